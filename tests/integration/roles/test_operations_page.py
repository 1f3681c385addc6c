"""What docs/operations.md tells a database administrator to do, done line by line up to a server that serves."""

import re
import secrets
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from exchange.grants import GRANTS
from tests.postgres import server_url
from tests.unit.api.commands import cdx, environment
from tests.unit.api.test_serving import command_of, descendants, is_ready, until
from tests.unit.docs.documents import read, sections

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
BLOCK = re.compile(r"```(sql|sh)\n(.*?)```", re.DOTALL)
NAMES = ("cdx_owner", "cdx_web", "cdx_log", "cdx_auditor")


class Page:
    """The blocks of the section, with names of this run in the place of the page's."""

    def __init__(self, folder):
        self.mark = secrets.token_hex(4)
        self.folder = folder
        self.database = f"cdx_test_page_{self.mark}"
        text = sections(read("docs/operations.md"), 2)["Roles of the database"]
        self.sql, self.as_owner, self.serving = [body.splitlines() for _, body in BLOCK.findall(text)]

    def here(self, line):
        """A line of the page as it is run here."""
        address = sa.make_url(server_url())
        for name in NAMES:
            url = address.set(username=f"{name}_{self.mark}", database=self.database)
            there = f"postgresql+psycopg://{name}@db.example/cdx"
            line = line.replace(there, shlex.quote(url.render_as_string(hide_password=False)))
            line = re.sub(rf"\b{name}\b", f"{name}_{self.mark}", line)
        return line.replace("DATABASE cdx ", f"DATABASE {self.database} ").replace("/etc/cdx/", f"{self.folder}/")

    def run(self, lines, environ):
        """Run ``export`` and ``cdx`` lines; what was printed."""
        printed = []
        for line in map(self.here, lines):
            words = shlex.split(line)
            if words[0] == "export":
                name, _, value = words[1].partition("=")
                environ[name] = value
            else:
                assert words[0] == "cdx"
                printed.append(cdx(environ, *words[1:]))
        return printed

    def superuser(self, *statements):
        engine = sa.create_engine(server_url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


@pytest.fixture
def page(tmp_path):
    page = Page(tmp_path)
    page.superuser(*map(page.here, page.sql))
    for line in page.sql:
        if found := re.match(r"CREATE ROLE cdx_(\w+) LOGIN PASSWORD '([^']*)'", line):
            (tmp_path / f"{found[1]}.password").write_text(found[2])
    yield page
    page.superuser(f"DROP DATABASE {page.database} WITH (FORCE)")
    page.superuser(*(f"DROP ROLE {name}_{page.mark}" for name in NAMES))


def environment_of(pid):
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_the_page_leads_to_a_server_whose_parts_know_only_their_own(page, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    keys = {
        f"CDX_{kind}_{what}_FILE": str(tmp_path / f"{kind}.{what}")
        for kind in ("WEB", "LOG")
        for what in ("KEYSET", "ROOT_KEY")
    }
    environ = environment(
        tmp_path,
        CDX_PUBLIC_URL=f"http://127.0.0.1:{port}",
        CDX_LISTEN=f"127.0.0.1:{port}",
        CDX_WORKERS="1",
        CDX_LOG_VKEY_FILE=str(tmp_path / "log.vkey"),
    )
    del environ["CDX_UNSAFE_LOCAL_KEYS_DIR"]
    # Some of the settings from a file: what a child may not have is withheld from there too.
    (tmp_path / "cdx.toml").write_text("".join(f'{name[4:].lower()} = "{path}"\n' for name, path in keys.items()))
    environ["CDX_CONFIG"] = str(tmp_path / "cdx.toml")

    _, printed, executed = page.run(page.as_owner, environ)
    assert "the three roles can do what they should" in executed
    assert printed.count("REVOKE ALL ON TABLE") == len(GRANTS)
    # By hand is the same as --execute.
    owner = sa.create_engine(sa.make_url(environ["CDX_DATABASE_URL"]), poolclass=sa.NullPool)
    with owner.begin() as connection:
        for statement in printed.strip().split(";\n"):
            connection.exec_driver_sql(statement.rstrip(";"))

    assert page.serving[-1] == "cdx serve"
    page.run(page.serving[:-1], environ)
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve"], env=environ, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: is_ready(port), process, tmp_path / "output")
            children = {pid: environment_of(pid) for pid in descendants(process.pid)}
            [worker] = [one for pid, one in children.items() if "worker --with-parent" in command_of(pid)]
            web = [one for pid, one in children.items() if "web_process" in command_of(pid)]
        finally:
            process.terminate()
            assert process.wait(60) == 0
    assert len(web) >= 1
    everything = " ".join(worker.values())
    assert f"cdx_log_{page.mark}" in worker["CDX_DATABASE_URL"]
    assert worker["CDX_DATABASE_PASSWORD_FILE"].endswith("log.password")
    for secret in ("WEB.KEYSET", "WEB.ROOT_KEY", "web.password", f"cdx_web_{page.mark}", "cdx.toml"):
        assert secret not in everything
    for one in web:
        everything = " ".join(one.values())
        assert f"cdx_web_{page.mark}" in one["CDX_DATABASE_URL"]
        for secret in ("LOG.KEYSET", "LOG.ROOT_KEY", "log.password", f"cdx_log_{page.mark}", "cdx.toml"):
            assert secret not in everything
