"""``cdx keys``: which keys there are; a new one in the place of an old one."""

import click
from rich.table import Table
from sqlalchemy import func, select

from api.commands.context import err, keep_files_private, opened, out
from api.errors import ConfigError
from api.keyfiles import OF_INSTALLATION, key_files, read_keyset
from api.rotation import ROTATING, retire, rotate
from exchange.tables import kek, subject_key

_USE = click.argument("use", type=click.Choice(list(ROTATING)))


@click.group("keys")
def keys_group() -> None:
    """Look after keys."""


@keys_group.command("status")
def keys_status() -> None:
    """Show which keys there are and what they are for. No key is ever printed."""
    with opened() as services:
        table = Table("keyset", "purpose", "key", "algorithm", "status", "made")
        for name in OF_INSTALLATION:
            try:
                keyset = read_keyset(key_files(services.config, name))
            except ConfigError as exc:
                err.print(f"The {name} keys are not readable here: {exc}")
                continue
            for key in sorted(keyset.keys, key=lambda key: (key.purpose, not key.is_primary)):
                status = f"{key.status.value}, primary" if key.is_primary else key.status.value
                made = key.created_at.strftime("%Y-%m-%d %H:%M")
                table.add_row(name, key.purpose.value, key.kid, key.algorithm, status, made)
        out.print(table)
        with services.exchange.database.read() as connection:
            rows = connection.execute(
                select(kek.c.epoch, kek.c.status, func.count(subject_key.c.kid).label("wrapped"))
                .outerjoin(subject_key, subject_key.c.epoch == kek.c.epoch)
                .group_by(kek.c.epoch, kek.c.status)
                .order_by(kek.c.epoch)
            ).all()
        for row in rows:
            out.print(f"key epoch {row.epoch}: {row.status}, wraps {row.wrapped} personal keys")


@keys_group.command("rotate")
@_USE
def keys_rotate(use: str) -> None:
    """Make a new key for USE and let it take the lead; the old one stays good until `cdx keys retire`.

    Needs the web keyset, which seals the entry that tells of the key; for `log` the log's keyset as well. Interrupted,
    the same command goes on with the key that it had made.
    """
    keep_files_private()
    with opened() as services:
        public = rotate(services, use)
    out.print(f"The new {use} key leads: {public.key}" + ("" if public.kid is None else f" (kid {public.kid})"))
    if use == "log":
        out.print("Now start `cdx worker` (or `cdx serve`) anew: checkpoints then bear both signatures.")
        out.print(f"Give {services.config.vkey_file} to verifiers and witnesses; later: cdx keys retire log KID")
    else:
        out.print("Now start the web processes anew; later: cdx keys retire receipt KID")


@keys_group.command("retire")
@_USE
@click.argument("kid")
@click.confirmation_option(prompt="This key signs nothing more then. Go on?")
def keys_retire(use: str, kid: str) -> None:
    """End the key KID (see `cdx keys status`) after another one has taken its place. What it signed stays good.

    Refused while it is the only one, or before its successor is established. Needs the keysets that `rotate` needs.
    """
    keep_files_private()
    with opened() as services:
        retire(services, use, kid)
    out.print(f"The {use} key {kid} is retired. Start the processes that read it anew.")


COMMANDS = (keys_group,)
