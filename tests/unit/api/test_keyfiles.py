"""Key files are private, sealed, and never overwritten."""

import stat

import pytest

from api.errors import ConfigError
from api.keyfiles import PURPOSES, KeyFiles, key_files, make_keyset, read_keyset
from crypto.encoding import b64u_encode
from crypto.keyset import KeyPurpose


@pytest.fixture
def files(tmp_path):
    return KeyFiles(name="web", keyset=tmp_path / "keys" / "web.keyset", root=tmp_path / "keys" / "web.root")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_made_files_are_private_and_open_again(files, now):
    made = make_keyset(files, now)
    assert mode(files.keyset.parent) == 0o700
    assert mode(files.keyset) == mode(files.root) == 0o600
    assert {key.purpose for key in made.keys} == set(PURPOSES["web"])
    assert read_keyset(files) == made
    assert sorted(path.name for path in files.keyset.parent.iterdir()) == ["web.keyset", "web.root"]


def test_no_secret_stands_in_the_sealed_file(files, now):
    made = make_keyset(files, now)
    sealed = files.keyset.read_bytes()
    assert not any(key.material in sealed or b64u_encode(key.material).encode() in sealed for key in made.keys)


def test_making_again_changes_nothing(files, now):
    first = make_keyset(files, now)
    assert make_keyset(files, now) == first


def test_a_root_key_that_is_provided_is_used(files, now):
    files.root.parent.mkdir()
    files.root.write_bytes(bytes(range(32)))
    files.root.chmod(0o600)
    made = make_keyset(files, now)
    assert files.root.read_bytes() == bytes(range(32))
    assert read_keyset(files) == made


def test_web_workers_hold_no_log_key(files, now):
    assert KeyPurpose.LOG_SIGNING not in PURPOSES["web"]
    assert make_keyset(files, now).all(KeyPurpose.LOG_SIGNING) == ()
    assert PURPOSES["log"] == (KeyPurpose.LOG_SIGNING,)


@pytest.mark.parametrize("which", ["keyset", "root"])
def test_files_that_others_can_read_are_refused(files, now, which):
    make_keyset(files, now)
    getattr(files, which).chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        read_keyset(files)


@pytest.mark.parametrize("which", ["keyset", "root"])
def test_missing_files_are_named(files, now, which):
    make_keyset(files, now)
    getattr(files, which).unlink()
    with pytest.raises(ConfigError, match=f"web.{which}"):
        read_keyset(files)


@pytest.mark.parametrize("root", [b"", b"x" * 31, b"x" * 33, b"\xff" * 43, b"a" * 43])
def test_a_wrong_root_key_opens_nothing(files, now, root):
    make_keyset(files, now)
    files.root.write_bytes(root)
    with pytest.raises(ConfigError):
        read_keyset(files)


def test_an_altered_keyset_does_not_open(files, now):
    make_keyset(files, now)
    data = bytearray(files.keyset.read_bytes())
    data[-1] ^= 1
    files.keyset.write_bytes(data)
    with pytest.raises(ConfigError, match="does not open"):
        read_keyset(files)


def test_a_folder_that_cannot_be_made(tmp_path, now):
    (tmp_path / "file").write_text("in the way")
    files = KeyFiles(name="log", keyset=tmp_path / "file" / "log.keyset", root=tmp_path / "file" / "log.root")
    with pytest.raises(ConfigError):
        make_keyset(files, now)


def test_a_role_without_its_files_is_told_so(tmp_path):
    from api.config import Config, Environment

    config = Config(
        environment=Environment.PRODUCTION,
        public_url="https://exchange.example",
        database_url="sqlite:///cdx.db",
        web_keyset_file=tmp_path / "web.keyset",
        web_root_key_file=tmp_path / "web.root",
    )
    assert key_files(config, "web").keyset == tmp_path / "web.keyset"
    with pytest.raises(ConfigError, match="CDX_LOG_KEYSET_FILE"):
        key_files(config, "log")
