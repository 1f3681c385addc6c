"""The one table of rights: complete, and what it must never say."""

import re

import pytest

import consent.tables
import exchange.audit.tables
import exchange.tables
from exchange.grants import GRANTS, Roles, privileges, statements

METADATA = (consent.tables.metadata, exchange.tables.metadata, exchange.audit.tables.metadata)
TABLES = {table.name: table for metadata in METADATA for table in metadata.sorted_tables}
ROLES = ("web", "log", "auditor")
SEALED = {name for name, table in TABLES.items() if {"ct", "wrapped", "details"} & set(table.c.keys())}
ABOUT_PEOPLE = {name for name, table in TABLES.items() if {"subject_ref", "sealed_by"} & set(table.c.keys())}


def test_every_table_is_in_it_and_no_other():
    assert GRANTS.keys() == TABLES.keys() | {"alembic_version"}


@pytest.mark.parametrize("table", GRANTS)
def test_every_cell_is_well_formed_and_names_columns_that_exist(table):
    for role in ROLES:
        cell = getattr(GRANTS[table], role)
        given = privileges(cell)
        whole = re.sub(r" \([^)]*\)", "", cell)
        assert sorted(given) == sorted(filter(None, whole.split(", ")))
        columns = set().union(*(names for names in given.values() if names))
        assert columns <= set(TABLES[table].c.keys() if table in TABLES else ())


EXPIRING = {"access_token": "expires_at", "refresh_token": "expires_at", "authorization_request": "decide_until"}
LOG_ITSELF = ("audit_leaf", "audit_tile", "audit_head", "audit_checkpoint", "audit_cosigned", "audit_origin")


@pytest.mark.parametrize("table", LOG_ITSELF)
def test_the_web_reads_the_log_and_writes_nothing_there(table):
    assert privileges(GRANTS[table].web).keys() == {"SELECT"}


def test_the_web_only_appends_where_entries_wait():
    assert privileges(GRANTS["audit_outbox"].web).keys() == {"SELECT", "INSERT"}
    assert privileges(GRANTS["consent_event"].web).keys() == {"SELECT", "INSERT"}


@pytest.mark.parametrize("table", sorted(SEALED | ABOUT_PEOPLE | {"subject", "consent_event", "client", "agreement"}))
def test_the_log_learns_nothing_of_people_and_changes_nothing_of_theirs(table):
    given = privileges(GRANTS[table].log)
    if table in EXPIRING:  # deleted when its time has come, and otherwise unseen
        assert given == {"SELECT": {EXPIRING[table]}, "DELETE": None}
    else:
        assert given == {}


def test_the_log_never_changes_what_is_written_once():
    for table in ("audit_leaf", "audit_checkpoint", "audit_origin"):
        assert privileges(GRANTS[table].log).keys() <= {"SELECT", "INSERT"}
    assert privileges(GRANTS["audit_head"].log)["UPDATE"].isdisjoint({"id", "origin"})


def test_the_auditor_reads_the_log_and_nothing_about_people():
    for table, grants in GRANTS.items():
        assert privileges(grants.auditor).keys() <= {"SELECT"}
        assert not grants.auditor or table not in SEALED | ABOUT_PEOPLE


def test_statements_take_everything_away_first_and_quote_every_name():
    roles = Roles(web='w"eb', log="log", auditor="auditor")

    def quote(name):
        return '"' + name.replace('"', '""') + '"'

    made = list(statements(roles, database="cdx", schema="public", quote=quote))
    assert made == list(statements(roles, database="cdx", schema="public", quote=quote))
    for table in GRANTS:
        of_table = [one for one in made if f'"public"."{table}" ' in one]
        assert of_table[0] == f'REVOKE ALL ON TABLE "public"."{table}" FROM PUBLIC, "w""eb", "log", "auditor"'
        assert all(one.startswith("GRANT ") for one in of_table[1:])
    assert not [one for one in made if one.startswith("GRANT") and ("TRUNCATE" in one or " ALL " in one)]
