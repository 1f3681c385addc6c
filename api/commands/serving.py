"""``cdx serve`` and ``cdx worker``."""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from importlib.metadata import version
from types import FrameType
from typing import Final

import click
import structlog

from api import supervisor
from api.commands.context import err, keep_files_private, load_config, out
from api.commands.web_process import arguments
from api.config import Config
from api.errors import ConfigError
from api.portal import create_portal_app
from api.process_settings import read_settings, settings_of, told
from api.telemetry import configure_logging
from api.wiring import LogServices, open_log, open_services, refuse_old_database
from exchange import configuration
from exchange.access import purge
from exchange.errors import DatabaseError, InconsistentLogError

PACKAGE: Final = "citizen-data-exchange"
PURGE_SECONDS: Final = 60.0
_STOPPED_ON_DOUBT: Final = 3
_WITNESS_SECONDS: Final = 5.0  # that are left to the calls under way when we stop


@click.command("serve")
@click.option("--web-only", is_flag=True, help="Serve without a sequencer: another machine runs `cdx worker`.")
def serve(*, web_only: bool) -> None:
    """Serve the API, together with the sequencer of the audit log.

    They belong together: when one of them ends, so does the other, since releases wait for a log that nobody writes.
    """
    keep_files_private()
    config = load_config()
    host, port = _address(config)
    # Everything that can be wrong is found out here, before any process is started.
    if supervisor.is_taken(host, port):
        raise ConfigError([f"{config.listen} is taken or not an address of this machine: set CDX_LISTEN to another"])
    require_parts(config, web_only=web_only)
    settings, bare = read_settings(os.environ), supervisor.small_environment(os.environ, prefixes=("LC_",))
    web = arguments("api.web:create", host=host, port=port, workers=config.workers, threads=config.threads)
    # From here on it starts: what with, is on record first.
    _tell_settings(config, settings)
    commands = {"web server": supervisor.Command(arguments=web, environ=bare | settings_of("web", settings))}
    if not web_only:
        commands["sequencer"] = supervisor.Command(
            arguments=["-m", "api.cli", "worker", "--with-parent"], environ=bare | settings_of("worker", settings)
        )

    def on_up() -> None:
        out.print(f"Serving {config.public_url} on http://{config.listen} (documentation: /docs). Ctrl-C stops.")

    ended = supervisor.supervise(
        commands,
        is_up=lambda: supervisor.answers(host, port),
        on_up=on_up,
    )
    if ended is not None:
        err.print(f"error: {ended}; everything was stopped", style="red")
        sys.exit(1)
    out.print("Stopped.")


@click.command("worker")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when standard input closes.")
def worker(*, with_parent: bool) -> None:
    """Run the sequencer of the audit log by itself, ask the witnesses to cosign, and delete what has expired.

    It alone holds the key that signs the log. Several may run: the log still has one line.
    """
    keep_files_private()
    config = load_config() if not with_parent else Config.from_env(os.environ)
    configure_logging(config.log_level)
    services = open_log(config)
    refuse_old_database(config, services.database)
    stop = threading.Event()

    def stop_it(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        services.sequencer.wake()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop_it)
    if with_parent:
        supervisor.stop_with_parent()
    cleaner = threading.Thread(target=_purge_now_and_then, args=(services, stop), name="purge", daemon=True)
    keeper = threading.Thread(target=_keep_journal, args=(services, stop), name="journal", daemon=True)
    for thread in (cleaner, keeper):
        thread.start()
    try:
        _sequence(services, stop)
    except InconsistentLogError as exc:
        err.print(f"error: {exc}; nothing more is signed. Run `cdx log verify-db`.", style="bold red")
        sys.exit(_STOPPED_ON_DOUBT)
    finally:
        stop.set()
        for thread in (cleaner, keeper):
            thread.join(timeout=5)
        services.database.dispose()


def _keep_journal(services: LogServices, stop: threading.Event) -> None:
    if services.journal is not None:
        services.journal.run(stop)


def _sequence(services: LogServices, stop: threading.Event) -> None:
    """Sequence and have it cosigned, until told to stop.

    Raises:
        InconsistentLogError: the log contradicts itself, or what its witnesses have of it.
        DatabaseError: the outcome of a commit is unknown.
    """
    quorum, failures = services.quorum, list[Exception]()
    if quorum is None:
        services.sequencer.run(stop)
        return

    def witness() -> None:
        try:
            quorum.run(stop)
        except Exception as exc:  # noqa: BLE001  # raised again below: without its witnesses the worker ends
            failures.append(exc)
            stop.set()
            services.sequencer.wake()

    quorum.check_start()
    thread = threading.Thread(target=witness, name="witnesses", daemon=True)
    thread.start()
    try:
        services.sequencer.run(stop)
    finally:
        stop.set()
        thread.join(timeout=_WITNESS_SECONDS)
    if failures:
        raise failures[0]


def _purge_now_and_then(services: LogServices, stop: threading.Event) -> None:
    log = structlog.get_logger("cdx.worker")
    while not stop.wait(PURGE_SECONDS):
        try:
            with services.database.write() as connection:
                deleted = purge(connection, services.clock())
                connection.commit()
        except DatabaseError as exc:
            log.warning("expired rows were not deleted; tried again later", reason=str(exc))
        else:
            log.debug("expired rows deleted", rows=deleted)


def require_parts(config: Config, *, web_only: bool) -> None:
    """See that everything can be opened that the processes will open.

    Raises:
        ConfigError, DatabaseError: it cannot, the database is older than it was, or requests and log would lie in two
            installations.
    """
    services = open_services(config, "web")
    try:
        refuse_old_database(config, services.exchange.database)
        create_portal_app(services)
    finally:
        services.close()
    if web_only:
        return
    log = open_log(config)
    log.database.dispose()
    if log.installation != services.exchange.installation:
        raise ConfigError(["CDX_DATABASE_URL and CDX_LOG_DATABASE_URL lead to two installations: name one database"])


def _tell_settings(config: Config, settings: Mapping[str, str]) -> None:
    services = open_services(config, "cli")
    try:
        configuration.tell(services.exchange, told(settings), version=version(PACKAGE), now=services.clock())
    finally:
        services.close()


def _address(config: Config) -> tuple[str, int]:
    host, _, port = config.listen.rpartition(":")
    return host.strip("[]"), int(port)


COMMANDS = (serve, worker)
