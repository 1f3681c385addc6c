"""The configuration: one frozen value, read once, with every fault reported at once.

Each setting is an environment variable ``CDX_<NAME>``, or a line of the TOML file that ``CDX_CONFIG`` names (same names
in small letters, without the prefix); the environment wins. Secrets are never settings: settings name the files that
hold them, since the WSGI environment of every request contains the environment of the process. No default secrets.

Outside ``environment = "development"`` insecure settings are refused (:meth:`Config.faults`), not warned about.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints
from urllib.parse import urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from api import settings_file
from api.errors import ConfigError
from crypto.errors import MalformedError
from exchange.audit.policy_file import Policy, parse_policy
from exchange.context import UNNAMED_AUTHORITY, UNNAMED_OPERATOR, Settings
from exchange.model import Organisation

PREFIX = "CDX_"
_NOT_OURS = ("CDX_TEST_", "CDX_DEMO_", "CDX_BENCH_", "CDX_PROVIDER_")
_PARTS = ("name", "address", "contact", "url")

Network = IPv4Network | IPv6Network


class Environment(StrEnum):
    """DEVELOPMENT: one machine, invented people. SANDBOX: agencies try, invented people. PRODUCTION: real people."""

    DEVELOPMENT = "development"
    SANDBOX = "sandbox"
    PRODUCTION = "production"


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"


def _count(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _environment(text: str) -> Environment:
    if text not in tuple(Environment):
        raise ValueError(" or ".join(Environment))
    return Environment(text)


def _log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("debug, info, warning or error")
    return text.lower()


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("an address like https://exchange.example.org, without user, query and fragment")
    if text.endswith("/"):
        raise ValueError("an address without a slash at the end")
    return text


def _database_url(text: str) -> str:
    try:
        parsed = make_url(text)
    except ArgumentError:
        raise ValueError("sqlite:///path or postgresql+psycopg://user@host/name") from None
    if parsed.drivername not in ("sqlite", "postgresql+psycopg") or not parsed.database:
        raise ValueError("sqlite:///path or postgresql+psycopg://user@host/name")
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("host:port, like 127.0.0.1:8000")
    return text


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("networks separated by commas, like 10.0.0.0/8,fd00::/8") from None


@dataclass(frozen=True, slots=True)
class Setting:
    """How one setting is read from text, and what it is."""

    parse: Callable[[str], Any]
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings; ``cdx config check`` prints them with their help."""

    environment: Annotated[Environment, Setting(_environment, "development, sandbox or production")] = (
        Environment.PRODUCTION
    )
    public_url: Annotated[str, Setting(_url, "address under which others reach us; issuer of our tokens")]
    database_url: Annotated[str, Setting(_database_url, "sqlite:///path or postgresql+psycopg://user@host/name")]
    database_password_file: Annotated[Path | None, Setting(Path, "file with the database password")] = None
    log_database_url: Annotated[
        str | None, Setting(_database_url, "the same database under the sequencer's own role; default: database_url")
    ] = None
    log_database_password_file: Annotated[Path | None, Setting(Path, "file with that role's password")] = None
    web_keyset_file: Annotated[Path | None, Setting(Path, "sealed keys of the web workers")] = None
    web_root_key_file: Annotated[Path | None, Setting(Path, "32 bytes that open web_keyset_file")] = None
    log_keyset_file: Annotated[Path | None, Setting(Path, "sealed keys of the log's sequencer")] = None
    log_root_key_file: Annotated[Path | None, Setting(Path, "32 bytes that open log_keyset_file")] = None
    log_vkey_file: Annotated[Path | None, Setting(Path, "public key of the log, written by `cdx init`")] = None
    unsafe_local_keys_dir: Annotated[
        Path | None, Setting(Path, "in place of these files: a folder with keys, unprotected; development only")
    ] = None
    log_origin: Annotated[
        str | None, Setting(str, "name of the log, fixed by `cdx init`; default: host of public_url, then /audit")
    ] = None
    journal_dir: Annotated[
        Path | None, Setting(Path, "folder on another site for what a restore must know: withdrawals, erasures, ends")
    ] = None
    witness_policy_file: Annotated[
        Path | None, Setting(Path, "C2SP tlog-policy: witnesses of the log, their addresses, and how many must cosign")
    ] = None
    witness_every_seconds: Annotated[
        int, Setting(_count(1, 3600), "how often witnesses are asked to cosign; also when nothing happened")
    ] = 10
    max_unwitnessed_seconds: Annotated[
        int, Setting(_count(10, 7 * 86_400), "releases wait when the newest cosigned checkpoint is older than this")
    ] = 14_400
    listen: Annotated[str, Setting(_listen, "host:port on which `cdx serve` listens")] = "127.0.0.1:8000"
    workers: Annotated[int, Setting(_count(1, 256), "web processes")] = 2
    threads: Annotated[int, Setting(_count(1, 256), "threads in each web process")] = 4
    max_body_bytes: Annotated[int, Setting(_count(1024, 2**26), "longest request body, in bytes")] = 2**18
    log_level: Annotated[str, Setting(_log_level, "debug, info, warning or error")] = "info"
    debug: Annotated[bool, Setting(_flag, "true: errors show more; development only")] = False
    openid_issuer: Annotated[str | None, Setting(_url, "identity provider that citizens sign in with")] = None
    openid_audience: Annotated[str | None, Setting(str, "our client id at that identity provider")] = None
    openid_subject_claim: Annotated[str, Setting(str, "claim of its ID token that names the person")] = "sub"
    openid_subject_scheme: Annotated[str, Setting(str, "identifier scheme of that claim")] = "national-id"
    openid_client_key_file: Annotated[
        Path | None, Setting(Path, "private JWK (ES256) that we authenticate with there: people can sign in by browser")
    ] = None
    openid_client_password_file: Annotated[
        Path | None, Setting(Path, "in place of that key, for a provider that knows secrets only: file with ours")
    ] = None
    private_networks: Annotated[
        tuple[Network, ...], Setting(_networks, "private networks in which providers may be called, like 10.0.0.0/8")
    ] = ()
    operator_name: Annotated[str | None, Setting(str, "who operates the exchange, for receipts")] = None
    operator_address: Annotated[str | None, Setting(str, "its postal address")] = None
    operator_contact: Annotated[str | None, Setting(str, "where its data protection officer is reached")] = None
    operator_url: Annotated[str | None, Setting(_url, "its own pages")] = None
    authority_name: Annotated[str | None, Setting(str, "the data protection authority, for receipts")] = None
    authority_address: Annotated[str | None, Setting(str, "its postal address")] = None
    authority_contact: Annotated[str | None, Setting(str, "where complaints are taken")] = None
    authority_url: Annotated[str | None, Setting(_url, "its own pages")] = None
    request_lifetime_days: Annotated[int, Setting(_count(1, 365), "days until an undecided request lapses")] = 14
    redelivery_window_seconds: Annotated[
        int, Setting(_count(0, 86_400), "seconds in which a lost answer is sent again")
    ] = 600
    integrate_within_seconds: Annotated[
        int, Setting(_count(1, 86_400), "seconds until an entry must be in the log")
    ] = 60
    max_outbox: Annotated[int, Setting(_count(16, 10**6), "entries that may wait until releases wait too")] = 4096

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Config":
        """Read the settings.

        Raises:
            ConfigError: with all faults: unknown names, missing or wrong values, an insecure combination.
        """
        faults: list[str] = []
        raw = settings_file.read(environ, PREFIX, faults)
        known = {PREFIX + name.upper(): (name, setting) for name, setting in settings().items()}
        faults += [f"{name} is not a setting" for name in sorted(raw.keys() - known) if not name.startswith(_NOT_OURS)]
        values: dict[str, Any] = {}
        for name, (member, setting) in known.items():
            if not raw.get(name):
                if member in REQUIRED:
                    faults.append(f"{name} is missing: {setting.help}")
                continue
            try:
                values[member] = setting.parse(raw[name])
            except ValueError as exc:
                # The value itself is not repeated: it may be a password at the wrong place.
                faults.append(f"{name} must be {exc}")
        if faults:
            raise ConfigError(faults)
        config = cls(**values)
        if faults := config.faults():
            raise ConfigError(faults)
        return config

    def faults(self) -> list[str]:
        """What forbids a start with these settings."""
        found = []
        if bool(self.openid_issuer) != bool(self.openid_audience):
            found.append("CDX_OPENID_ISSUER and CDX_OPENID_AUDIENCE belong together")
        if (self.openid_client_key_file or self.openid_client_password_file) and not self.openid_issuer:
            found.append(
                "CDX_OPENID_CLIENT_KEY_FILE and CDX_OPENID_CLIENT_PASSWORD_FILE are of use with CDX_OPENID_ISSUER only"
            )
        if self.openid_client_key_file and self.openid_client_password_file:
            found.append("set CDX_OPENID_CLIENT_KEY_FILE or CDX_OPENID_CLIENT_PASSWORD_FILE, not both")
        files = (self.web_keyset_file, self.web_root_key_file, self.log_keyset_file, self.log_root_key_file)
        if self.unsafe_local_keys_dir and any(files):
            found.append("CDX_UNSAFE_LOCAL_KEYS_DIR takes the place of the four key files: set one or the other")
        if self.log_database_url and make_url(self.log_database_url).drivername == "sqlite":
            found.append("CDX_LOG_DATABASE_URL is for a role of PostgreSQL: SQLite has no roles")
        if self.log_database_password_file and not self.log_database_url:
            found.append("CDX_LOG_DATABASE_PASSWORD_FILE belongs to CDX_LOG_DATABASE_URL")
        if bool(self.web_keyset_file) != bool(self.web_root_key_file):
            found.append("CDX_WEB_KEYSET_FILE and CDX_WEB_ROOT_KEY_FILE belong together")
        if bool(self.log_keyset_file) != bool(self.log_root_key_file):
            found.append("CDX_LOG_KEYSET_FILE and CDX_LOG_ROOT_KEY_FILE belong together")
        if not self.log_vkey_file and not self.unsafe_local_keys_dir:
            found.append("CDX_LOG_VKEY_FILE is missing: public key of the log")
        if not self.unsafe_local_keys_dir and not any(files):
            found.append("no keys: set CDX_WEB_KEYSET_FILE and CDX_WEB_ROOT_KEY_FILE, and the same with LOG")
        if self.web_root_key_file is not None and self.web_root_key_file == self.log_root_key_file:
            found.append(
                "CDX_WEB_ROOT_KEY_FILE and CDX_LOG_ROOT_KEY_FILE must differ: web workers never hold the log's key"
            )
        if self.environment is not Environment.DEVELOPMENT:
            found += [f"{fault} (CDX_ENVIRONMENT is {self.environment.value})" for fault in self._insecure()]
        return found

    def _insecure(self) -> list[str]:
        found = []
        if not self.public_url.startswith("https://"):
            found.append("CDX_PUBLIC_URL must begin with https://")
        if self.openid_issuer and not self.openid_issuer.startswith("https://"):
            found.append("CDX_OPENID_ISSUER must begin with https://")
        if self.unsafe_local_keys_dir:
            found.append("CDX_UNSAFE_LOCAL_KEYS_DIR leaves root keys unprotected: use the four key files")
        if self.debug:
            found.append("CDX_DEBUG must be false")
        found += [
            f"{name}_URL holds a password: put it into {name}_PASSWORD_FILE"
            for name, url in (("CDX_DATABASE", self.database_url), ("CDX_LOG_DATABASE", self.log_database_url))
            if url and make_url(url).password
        ]
        return found

    def warnings(self) -> list[str]:
        """What is allowed and should be known at every start."""
        found = []
        if self.unsafe_local_keys_dir:
            found.append(
                f"UNSAFE LOCAL KEYS: whoever reads {self.unsafe_local_keys_dir} reads every person's data. "
                "Use invented people only."
            )
        if self.environment is not Environment.DEVELOPMENT and self.database_url.startswith("sqlite"):
            found.append("SQLite serves one machine: no second server can take over")
        unnamed = [kind for kind in ("operator", "authority") if not all(getattr(self, f"{kind}_{p}") for p in _PARTS)]
        if unnamed and self.environment is not Environment.DEVELOPMENT:
            found.append(f"receipts do not say who the {' and the '.join(unnamed)} is: set CDX_OPERATOR_NAME and so on")
        return found

    @property
    def signs_in_browsers(self) -> bool:
        """Whether this exchange is a relying party of the OpenID provider itself, for people who come by browser."""
        return bool(self.openid_issuer and (self.openid_client_key_file or self.openid_client_password_file))

    @property
    def teaches(self) -> bool:
        """Whether errors explain more than a stranger should read."""
        return self.environment is not Environment.PRODUCTION

    @property
    def origin(self) -> str:
        """The audit log's origin line for a new installation."""
        return self.log_origin or f"{urlsplit(self.public_url).netloc}/audit"

    @property
    def settings(self) -> Settings:
        """The limits of the main job.

        Raises:
            ConfigError: the witness policy cannot be used.
        """
        return Settings(
            request_lifetime=timedelta(days=self.request_lifetime_days),
            redelivery_window=timedelta(seconds=self.redelivery_window_seconds),
            integrate_within=timedelta(seconds=self.integrate_within_seconds),
            max_outbox=self.max_outbox,
            witnesses=self.witness_policy(),
            max_unwitnessed=timedelta(seconds=self.max_unwitnessed_seconds),
            operator=self._organisation("operator", UNNAMED_OPERATOR),
            authority=self._organisation("authority", UNNAMED_AUTHORITY),
        )

    def witness_policy(self) -> Policy | None:
        """Who must cosign the log; None: no witnesses are configured.

        Raises:
            ConfigError: the policy cannot be read, or could never be met.
        """
        if self.witness_policy_file is None:
            return None
        try:
            policy = parse_policy(self.witness_policy_file.read_bytes())
        except OSError as exc:
            raise ConfigError([f"CDX_WITNESS_POLICY_FILE: {exc.strerror}"]) from exc
        except MalformedError as exc:
            raise ConfigError([f"CDX_WITNESS_POLICY_FILE: {exc}"]) from exc
        if policy.quorum is None:
            raise ConfigError(["CDX_WITNESS_POLICY_FILE: quorum none asks for nobody; name a witness or a group"])
        if not policy.is_met_by([name for name, party in policy.witnesses.items() if party.url]):
            raise ConfigError(["CDX_WITNESS_POLICY_FILE: the witnesses with an address are no quorum"])
        return policy

    def _organisation(self, kind: str, unnamed: Organisation) -> Organisation:
        given = {part: getattr(self, f"{kind}_{part}") for part in _PARTS}
        return replace(unnamed, **{part: value for part, value in given.items() if value})

    @property
    def vkey_file(self) -> Path:
        """Where the log's public key is kept.

        Raises:
            ConfigError: nowhere.
        """
        if self.log_vkey_file is not None:
            return self.log_vkey_file
        if self.unsafe_local_keys_dir is not None:
            return self.unsafe_local_keys_dir / "log.vkey"
        raise ConfigError(["CDX_LOG_VKEY_FILE is missing: public key of the log"])

    def connect_url(self) -> str:
        """The database address with its password.

        Raises:
            ConfigError: the password file cannot be read.
        """
        return _with_password(self.database_url, "database_password_file", self.database_password_file)

    def log_connect_url(self) -> str:
        """The same database as the sequencer enters it: by a role of its own, where there is one.

        Raises:
            ConfigError: as :meth:`connect_url`.
        """
        if self.log_database_url is None:
            return self.connect_url()
        return _with_password(self.log_database_url, "log_database_password_file", self.log_database_password_file)


def settings() -> dict[str, Setting]:
    """All settings by member name, in order."""
    hints = get_type_hints(Config, include_extras=True)
    return {entry.name: hints[entry.name].__metadata__[0] for entry in fields(Config)}


REQUIRED: Final = frozenset(entry.name for entry in fields(Config) if entry.default is MISSING)


def _with_password(address: str, setting: str, file: Path | None) -> str:
    url: URL = make_url(address)
    if file is not None:
        try:
            url = url.set(password=file.read_text(encoding="utf-8").strip())
        except OSError as exc:
            raise ConfigError([f"{PREFIX}{setting.upper()}: {exc.strerror}"]) from exc
    return url.render_as_string(hide_password=False)
