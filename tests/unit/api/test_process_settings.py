"""What each child of ``cdx serve`` is told, and what it is not."""

import pytest

from api.config import Config
from api.errors import ConfigError
from api.process_settings import WITHHELD, read_settings, settings_of

SETTINGS = {
    "CDX_ENVIRONMENT": "development",
    "CDX_PUBLIC_URL": "http://127.0.0.1:8000",
    "CDX_DATABASE_URL": "postgresql+psycopg://web@db/cdx",
    "CDX_DATABASE_PASSWORD_FILE": "/k/web.password",
    "CDX_LOG_DATABASE_URL": "postgresql+psycopg://log@db/cdx",
    "CDX_LOG_DATABASE_PASSWORD_FILE": "/k/log.password",
    "CDX_WEB_KEYSET_FILE": "/k/web.keyset",
    "CDX_WEB_ROOT_KEY_FILE": "/k/web.root",
    "CDX_LOG_KEYSET_FILE": "/k/log.keyset",
    "CDX_LOG_ROOT_KEY_FILE": "/k/log.root",
    "CDX_LOG_VKEY_FILE": "/k/log.vkey",
    "CDX_MAX_OUTBOX": "16",
}


def test_the_web_gets_nothing_of_the_log_but_its_public_key():
    given = settings_of("web", SETTINGS)
    assert {name for name in given if "_LOG_" in name} == {"CDX_LOG_VKEY_FILE"}
    assert given.keys() == SETTINGS.keys() - WITHHELD["web"]
    Config.from_env(given)


def test_the_worker_gets_the_logs_role_as_its_database_and_no_web_keys():
    given = settings_of("worker", SETTINGS)
    assert given["CDX_DATABASE_URL"] == SETTINGS["CDX_LOG_DATABASE_URL"]
    assert given["CDX_DATABASE_PASSWORD_FILE"] == "/k/log.password"
    assert "web" not in " ".join(given.values())
    assert given["CDX_MAX_OUTBOX"] == "16"
    assert Config.from_env(given).log_database_url is None


def test_the_webs_password_is_never_the_workers():
    without = {name: value for name, value in SETTINGS.items() if name != "CDX_LOG_DATABASE_PASSWORD_FILE"}
    assert "CDX_DATABASE_PASSWORD_FILE" not in settings_of("worker", without)


def test_without_a_role_of_its_own_the_worker_enters_as_the_web_does():
    alone = {name: value for name, value in SETTINGS.items() if not name.startswith("CDX_LOG_DATABASE")}
    given = settings_of("worker", alone)
    assert given["CDX_DATABASE_URL"] == SETTINGS["CDX_DATABASE_URL"]
    assert given["CDX_DATABASE_PASSWORD_FILE"] == "/k/web.password"


def test_settings_of_the_file_are_read_and_the_file_is_not_passed_on(tmp_path):
    path = tmp_path / "cdx.toml"
    path.write_text('log_root_key_file = "/k/log.root"\nmax_outbox = 99\n[operator]\nname = "The Operator"\n')
    environ = {"CDX_CONFIG": str(path), "CDX_MAX_OUTBOX": "16", "CDX_TEST_ANYTHING": "x", "CDX_DEBUG": "", "HOME": "/"}
    read = read_settings(environ)
    assert read == {"CDX_LOG_ROOT_KEY_FILE": "/k/log.root", "CDX_MAX_OUTBOX": "16", "CDX_OPERATOR_NAME": "The Operator"}
    assert "CDX_LOG_ROOT_KEY_FILE" not in settings_of("web", read)
    path.write_text("= no TOML")
    with pytest.raises(ConfigError, match="TOML"):
        read_settings(environ)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"CDX_LOG_DATABASE_URL": "sqlite:///cdx.db"}, "SQLite has no roles"),
        ({"CDX_LOG_DATABASE_URL": ""}, "belongs to CDX_LOG_DATABASE_URL"),
        (
            {
                "CDX_ENVIRONMENT": "production",
                "CDX_PUBLIC_URL": "https://exchange.example",
                "CDX_LOG_DATABASE_URL": "postgresql+psycopg://log:hunter2@db/cdx",
            },
            "CDX_LOG_DATABASE_URL holds a password",
        ),
    ],
)
def test_settings_of_the_logs_role_that_cannot_be_are_refused(changes, said):
    with pytest.raises(ConfigError, match=said) as refused:
        Config.from_env(SETTINGS | changes)
    assert "hunter2" not in str(refused.value)
