"""``cdx init``, ``config``, ``db``, ``openapi``."""

import json

import click
from rich.table import Table

from api import schema
from api.app import openapi_document
from api.commands.context import keep_files_private, load_config, out
from api.commands.restoring import restored
from api.config import PREFIX, REQUIRED, settings
from api.errors import ConfigError
from api.keyfiles import OF_INSTALLATION, key_files, read_keyset
from api.wiring import initialise
from exchange.database import Database
from exchange.grants import Roles
from exchange.roles import grant, grant_statements


@click.command("init")
def init() -> None:
    """Make a new installation: keys, tables, the operator's key and an empty audit log.

    Interrupted, it can be run again. It never replaces keys or an installation that are there.
    """
    keep_files_private()
    services = initialise(load_config())
    services.close()
    config = services.config
    out.print(f"The installation {services.exchange.installation.id} is ready.")
    for name in OF_INSTALLATION:
        files = key_files(config, name)
        out.print(f"  {name} keys     {files.keyset} (opened by {files.root})")
    out.print(f"  log key      {config.vkey_file} (public: give it to whoever verifies the log)")
    out.print("Keep copies of the keys apart from the database: without them nobody reads what it holds, you included.")
    out.print("Next: cdx catalogue load FILE, then cdx serve")


@click.group("config")
def config_group() -> None:
    """Look at the settings."""


@config_group.command("check")
def config_check() -> None:
    """Check settings, key files and the database, and list every fault."""
    config = load_config()
    faults = []
    for name in OF_INSTALLATION:
        if getattr(config, f"{name}_keyset_file") or config.unsafe_local_keys_dir:
            try:
                read_keyset(key_files(config, name))
            except ConfigError as exc:
                faults += exc.faults
    try:
        config.witness_policy()
    except ConfigError as exc:
        faults += exc.faults
    database = Database(config.connect_url())
    try:
        found = schema.current(database)
        if found != schema.head():
            faults.append(f"the database's schema is {found or 'missing'}: run `cdx init` or `cdx db upgrade`")
        else:
            database.assert_durable()
    finally:
        database.dispose()
    if faults:
        raise ConfigError(faults)
    out.print(
        f"The {config.environment.value} configuration for {config.public_url} is complete; keys and database fit."
    )


@config_group.command("show")
def config_show() -> None:
    """List all settings with their meaning; nothing needs to be set for this."""
    table = Table("setting", "meaning")
    for name, setting in settings().items():
        required = " (required)" if name in REQUIRED else ""
        table.add_row(PREFIX + name.upper(), setting.help + required)
    out.print(table)


@click.group("db")
def db_group() -> None:
    """Look after the database."""


@db_group.command("upgrade")
def db_upgrade() -> None:
    """Bring the tables to the state that this version needs. Safe to run twice, or from two machines at once."""
    keep_files_private()
    config = load_config()
    schema.upgrade(config.connect_url())
    out.print(f"The database is at {schema.head()}.")


@db_group.command("grants")
@click.option("--web", required=True, metavar="ROLE", help="Role of the web processes and of commands.")
@click.option("--log", required=True, metavar="ROLE", help="Role of the sequencer: CDX_LOG_DATABASE_URL.")
@click.option("--auditor", required=True, metavar="ROLE", help="Role that only reads the log.")
@click.option("--execute", is_flag=True, help="Run the statements, as the owner of the tables, and check the outcome.")
def db_grants(web: str, log: str, auditor: str, *, execute: bool) -> None:
    """Print the statements that give three PostgreSQL roles their rights, and nobody else any.

    Connect as the owner of the tables. Run it again after each `cdx db upgrade`.
    """
    roles = Roles(web=web, log=log, auditor=auditor)
    database = Database(load_config().connect_url(), pool_size=1)
    try:
        if execute:
            done = grant(database, roles)
            out.print(f"{done} statements were run; the three roles can do what they should, and no more.")
            return
        for statement in grant_statements(database, roles):
            click.echo(f"{statement};")
    finally:
        database.dispose()


db_group.add_command(restored)


@click.command("openapi")
def openapi() -> None:
    """Print the description of the API (OpenAPI 3.1)."""
    out.print(json.dumps(openapi_document("https://exchange.example"), indent=2))


COMMANDS = (init, config_group, db_group, openapi)
