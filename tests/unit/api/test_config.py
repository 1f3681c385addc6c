"""The configuration reports every fault at once and refuses what is insecure outside development."""

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from api.config import REQUIRED, Config, Environment, settings
from api.errors import ConfigError
from crypto.checkpoint import Cosigner

DEVELOPMENT = {
    "CDX_ENVIRONMENT": "development",
    "CDX_PUBLIC_URL": "http://127.0.0.1:8000",
    "CDX_DATABASE_URL": "sqlite:///cdx.db",
    "CDX_UNSAFE_LOCAL_KEYS_DIR": "keys",
}
PRODUCTION = {
    "CDX_ENVIRONMENT": "production",
    "CDX_PUBLIC_URL": "https://exchange.example",
    "CDX_DATABASE_URL": "postgresql+psycopg://cdx@db.example/cdx",
    "CDX_DATABASE_PASSWORD_FILE": "/run/secrets/database",
    "CDX_WEB_KEYSET_FILE": "/etc/cdx/web.keyset",
    "CDX_WEB_ROOT_KEY_FILE": "/run/secrets/web",
    "CDX_LOG_KEYSET_FILE": "/etc/cdx/log.keyset",
    "CDX_LOG_ROOT_KEY_FILE": "/run/secrets/log",
    "CDX_LOG_VKEY_FILE": "/etc/cdx/log.vkey",
} | {
    f"CDX_{kind}_{part}": "https://office.example" if part == "URL" else "Data Office"
    for kind in ("OPERATOR", "AUTHORITY")
    for part in ("NAME", "ADDRESS", "CONTACT", "URL")
}


def faults(environ):
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environ)
    return caught.value.faults


def test_a_complete_configuration_of_each_environment():
    development = Config.from_env(DEVELOPMENT)
    assert development.environment is Environment.DEVELOPMENT
    assert development.teaches
    assert development.vkey_file == Path("keys/log.vkey")
    production = Config.from_env(PRODUCTION)
    assert not production.teaches
    assert production.warnings() == []
    sandbox = Config.from_env(PRODUCTION | {"CDX_ENVIRONMENT": "sandbox"})
    assert sandbox.teaches


def test_nothing_said_means_production():
    assert Config.from_env(PRODUCTION | {"CDX_ENVIRONMENT": ""}).environment is Environment.PRODUCTION


def test_all_faults_are_reported_at_once():
    found = faults(
        {
            "CDX_ENVIRONMENT": "live",
            "CDX_DATABASE_URL": "mysql://db/cdx",
            "CDX_WORKERS": "many",
            "CDX_LISTEN": "8000",
            "CDX_PRIVATE_NETWORKS": "10.0.0.0/8, everything",
            "CDX_DEBUG": "yes",
            "CDX_LOG_LEVEL": "loud",
            "CDX_PUBLIC_ULR": "https://exchange.example",
        }
    )
    named = {fault.split(" ")[0] for fault in found}
    assert named == {
        "CDX_ENVIRONMENT",
        "CDX_PUBLIC_URL",
        "CDX_DATABASE_URL",
        "CDX_WORKERS",
        "CDX_LISTEN",
        "CDX_PRIVATE_NETWORKS",
        "CDX_DEBUG",
        "CDX_LOG_LEVEL",
        "CDX_PUBLIC_ULR",
    }


def test_a_fault_does_not_repeat_the_value():
    found = faults(DEVELOPMENT | {"CDX_DATABASE_URL": "postgres:hunter2", "CDX_WORKERS": "hunter2"})
    assert len(found) == 2
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize("environment", ["sandbox", "production"])
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"CDX_PUBLIC_URL": "http://exchange.example"}, "CDX_PUBLIC_URL"),
        ({"CDX_DEBUG": "true"}, "CDX_DEBUG"),
        ({"CDX_DATABASE_URL": "postgresql+psycopg://cdx:pw@db.example/cdx"}, "CDX_DATABASE_URL"),
        ({"CDX_OPENID_ISSUER": "http://id.example", "CDX_OPENID_AUDIENCE": "cdx"}, "CDX_OPENID_ISSUER"),
        (
            {
                "CDX_UNSAFE_LOCAL_KEYS_DIR": "keys",
                "CDX_WEB_KEYSET_FILE": "",
                "CDX_WEB_ROOT_KEY_FILE": "",
                "CDX_LOG_KEYSET_FILE": "",
                "CDX_LOG_ROOT_KEY_FILE": "",
            },
            "CDX_UNSAFE_LOCAL_KEYS_DIR",
        ),
    ],
)
def test_insecure_settings_are_refused_outside_development(environment, change, fault):
    found = faults(PRODUCTION | change | {"CDX_ENVIRONMENT": environment})
    assert len(found) == 1
    assert found[0].startswith(fault)
    assert environment in found[0]


def test_the_same_settings_serve_development():
    config = Config.from_env(
        DEVELOPMENT
        | {"CDX_DEBUG": "true", "CDX_OPENID_ISSUER": "http://127.0.0.1:9000", "CDX_OPENID_AUDIENCE": "cdx"}
        | {"CDX_DATABASE_URL": "postgresql+psycopg://cdx:pw@127.0.0.1/cdx"}
    )
    assert config.debug


def test_unsafe_keys_are_warned_about_loudly():
    warnings = Config.from_env(DEVELOPMENT).warnings()
    assert len(warnings) == 1
    assert "UNSAFE" in warnings[0]


def test_sqlite_outside_development_is_allowed_and_warned_about():
    warnings = Config.from_env(PRODUCTION | {"CDX_DATABASE_URL": "sqlite:////var/lib/cdx/cdx.db"}).warnings()
    assert len(warnings) == 1
    assert "SQLite" in warnings[0]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"CDX_WEB_ROOT_KEY_FILE": ""}, "belong together"),
        ({"CDX_LOG_KEYSET_FILE": ""}, "belong together"),
        ({"CDX_LOG_ROOT_KEY_FILE": "/run/secrets/web"}, "must differ"),
        ({"CDX_LOG_VKEY_FILE": ""}, "CDX_LOG_VKEY_FILE is missing"),
        ({"CDX_OPENID_ISSUER": "https://id.example"}, "belong together"),
        ({"CDX_PUBLIC_URL": "https://exchange.example/"}, "without a slash"),
        ({"CDX_PUBLIC_URL": "https://user@exchange.example"}, "without user"),
        ({"CDX_DATABASE_URL": "sqlite://"}, "CDX_DATABASE_URL"),
    ],
)
def test_what_does_not_fit_together(change, fault):
    assert any(fault in line for line in faults(PRODUCTION | change))


def test_web_workers_need_no_log_keys():
    environ = {name: value for name, value in PRODUCTION.items() if not name.startswith("CDX_LOG_")}
    config = Config.from_env(environ | {"CDX_LOG_VKEY_FILE": "/etc/cdx/log.vkey"})
    assert config.log_keyset_file is None


def test_no_keys_at_all():
    environ = {name: value for name, value in PRODUCTION.items() if "KEYSET" not in name and "ROOT" not in name}
    assert any(line.startswith("no keys") for line in faults(environ))


def test_a_file_gives_settings_and_the_environment_wins(tmp_path):
    path = tmp_path / "cdx.toml"
    path.write_text(
        'environment = "development"\npublic_url = "http://127.0.0.1:8000"\ndatabase_url = "sqlite:///cdx.db"\n'
        'unsafe_local_keys_dir = "keys"\nworkers = 7\ndebug = true\nprivate_networks = ["10.0.0.0/8", "fd00::/8"]\n'
    )
    config = Config.from_env({"CDX_CONFIG": str(path), "CDX_WORKERS": "3"})
    assert config.workers == 3
    assert config.debug
    assert config.private_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize("text", ["workers = ", "workers = 'x'\nworkers = 1", "wrokers = 3"])
def test_faults_of_a_file(tmp_path, text):
    path = tmp_path / "cdx.toml"
    path.write_text(text)
    assert any("cdx.toml" in line or "WROKERS" in line for line in faults(DEVELOPMENT | {"CDX_CONFIG": str(path)}))


def test_a_file_that_is_not_there():
    assert any("nowhere.toml" in line for line in faults(DEVELOPMENT | {"CDX_CONFIG": "nowhere.toml"}))


def test_variables_of_tests_and_of_the_demonstration_are_not_ours():
    Config.from_env(DEVELOPMENT | {"CDX_TEST_POSTGRES_URL": "x", "CDX_DEMO_PORT": "1", "PATH": "/bin"})


def test_limits_reach_the_exchange():
    config = Config.from_env(
        DEVELOPMENT
        | {"CDX_REQUEST_LIFETIME_DAYS": "3", "CDX_REDELIVERY_WINDOW_SECONDS": "5"}
        | {"CDX_INTEGRATE_WITHIN_SECONDS": "7", "CDX_MAX_OUTBOX": "99"}
    )
    assert config.settings.request_lifetime == timedelta(days=3)
    assert config.settings.redelivery_window == timedelta(seconds=5)
    assert config.settings.integrate_within == timedelta(seconds=7)
    assert config.settings.max_outbox == 99


WITNESS = Cosigner("w.example", bytes(32)).vkey
POLICIES = {
    "quorum none\n": "asks for nobody",
    f"witness w {WITNESS}\nquorum w\n": "witnesses with an address are no quorum",
    f"witness w {WITNESS} https://w.example\n": "exactly one quorum line",
    f"witness w {WITNESS[:-2]} https://w.example\nquorum w\n": "line 1",
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_that_nobody_could_meet_is_a_fault(tmp_path, policy):
    path = tmp_path / "policy"
    path.write_text(policy)
    config = Config.from_env(DEVELOPMENT | {"CDX_WITNESS_POLICY_FILE": str(path)})
    with pytest.raises(ConfigError, match=POLICIES[policy]):
        config.witness_policy()
    path.unlink()
    with pytest.raises(ConfigError, match="CDX_WITNESS_POLICY_FILE"):
        config.witness_policy()
    assert Config.from_env(DEVELOPMENT).witness_policy() is None


def test_receipts_name_the_operator_and_the_authority(tmp_path):
    settings = Config.from_env(PRODUCTION).settings
    assert settings.operator.name == settings.authority.name == "Data Office"
    assert settings.operator.url == "https://office.example"
    unnamed = Config.from_env(PRODUCTION | {"CDX_AUTHORITY_CONTACT": ""})
    assert any("authority" in line for line in unnamed.warnings())
    path = tmp_path / "cdx.toml"
    path.write_text('[operator]\nname = "Exchange Office"\n')
    environ = {name: value for name, value in PRODUCTION.items() if name != "CDX_OPERATOR_NAME"}
    assert Config.from_env(environ | {"CDX_CONFIG": str(path)}).settings.operator.name == "Exchange Office"


def test_the_password_comes_from_its_file(tmp_path):
    (tmp_path / "password").write_text("p@ss:w/rd%\n")
    config = Config.from_env(PRODUCTION | {"CDX_DATABASE_PASSWORD_FILE": str(tmp_path / "password")})
    assert config.connect_url() == "postgresql+psycopg://cdx:p%40ss%3Aw%2Frd%25@db.example/cdx"
    missing = Config.from_env(PRODUCTION | {"CDX_DATABASE_PASSWORD_FILE": str(tmp_path / "nowhere")})
    with pytest.raises(ConfigError, match="CDX_DATABASE_PASSWORD_FILE"):
        missing.connect_url()


def test_the_logs_origin_follows_the_public_address():
    assert Config.from_env(PRODUCTION).origin == "exchange.example/audit"
    assert Config.from_env(PRODUCTION | {"CDX_LOG_ORIGIN": "log.example/1"}).origin == "log.example/1"


def test_every_setting_says_what_it_is():
    assert {"public_url", "database_url"} == REQUIRED
    assert all(setting.help for setting in settings().values())
    assert "secret" not in "".join(settings())
