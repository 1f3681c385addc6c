"""An agreement from proposal to approval: two people, the digest of what was read, and nothing that changes unseen."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from exchange import agreements
from exchange.agreements import approve, find_agreement, list_agreements, list_revisions, propose
from exchange.catalogue import load_catalogue
from exchange.errors import AgreementError, UnknownAgreementError
from exchange.model import AgreementStatus
from exchange.tables import agreement as agreement_table
from tests.house import COUNTRY, HOUSING, House
from tests.integration.main_job.rows import entries, facts, types

HOUSING_TEXT = (COUNTRY / "agreements" / "housing-benefit.yaml").read_text(encoding="utf-8")
NEW_TEXT = HOUSING_TEXT.replace("code: housing-benefit", "code: housing-new")
SHORTER = NEW_TEXT.replace("  - {name: bank_account, form: equals, required: false}\n", "")


def found(house: House, code="housing-new"):
    with house.exchange.database.read() as connection:
        return find_agreement(connection, code)


def proposed(house: House, text=NEW_TEXT, by="officer-a"):
    return propose(house.exchange, text, by=by, now=house.clock.move(seconds=1))


def approved(house: House, text=NEW_TEXT):
    made = proposed(house, text)
    now = house.clock.move(seconds=1)
    return approve(house.exchange, made.code, revision=made.revision, digest=made.digest, by="officer-b", now=now)


def refused(house: House, **changes):
    """Try an approval that must not do anything."""
    made = found(house)
    given = {"revision": made.revision, "digest": made.digest, "by": "officer-b", "now": house.clock()}
    before = types(house), found(house)
    with pytest.raises(AgreementError) as caught:
        approve(house.exchange, made.code, **{**given, **changes})
    assert (types(house), found(house)) == before
    return str(caught.value)


def test_a_proposal_permits_nothing(house: House):
    made = proposed(house)
    assert (made.revision, made.version, made.status) == (1, 1, AgreementStatus.PROPOSED)
    assert found(house) == made
    assert not made.is_in_force(house.clock())


def test_an_approval_by_another_person_puts_it_in_force(house: House):
    made = approved(house)
    assert (made.revision, made.version, made.status) == (1, 2, AgreementStatus.IN_FORCE)
    assert found(house) == made
    assert made.is_in_force(house.clock())


def test_proposal_and_approval_are_on_record_and_who_did_it_is_sealed(house: House):
    made = approved(house)
    asked, agreed = entries(house)[-2:]
    assert (asked.type, agreed.type) == ("agreement.proposed", "agreement.approved")
    for entry, person in ((asked, "officer-a"), (agreed, "officer-b")):
        assert (entry.org, entry.purpose) == (HOUSING, "housing_benefit")
        assert entry.detail == {
            "agreement": "housing-new",
            "revision": "1",
            "digest": made.digest,
            "legal_basis": "consent",
        }
        assert facts(house, entry.id) == {"by": person}


def test_who_proposes_cannot_approve(house: House):
    proposed(house)
    for by in ("officer-a", "Officer-A", " officer-a ", "officer-\uff41"):
        assert "cannot approve" in refused(house, by=by)


def test_an_approval_names_what_was_read(house: House):
    made = proposed(house)
    assert "digest" in refused(house, digest="0" * 64)
    assert "digest" in refused(house, digest=made.digest.upper())
    newer = proposed(house, SHORTER)
    # What was read is revision 1; revision 2 says something else.
    assert "digest" in refused(house, revision=newer.revision, digest=made.digest)


def test_somebody_acts(house: House):
    for by in ("", "  ", "x" * 129):
        with pytest.raises(AgreementError):
            proposed(house, by=by)
    proposed(house)
    for by in ("", "  ", "x" * 129):
        refused(house, by=by)
        with pytest.raises(AgreementError):
            agreements.end(house.exchange, "housing-new", by=by, now=house.clock())


def test_what_does_not_exist_is_unknown(house: House):
    made = proposed(house)
    for code, revision in (("no-such", 1), (made.code, 2)):
        with pytest.raises(UnknownAgreementError):
            approve(house.exchange, code, revision=revision, digest=made.digest, by="officer-b", now=house.clock())
    with pytest.raises(UnknownAgreementError):
        agreements.end(house.exchange, "no-such", by="officer-b", now=house.clock())
    with pytest.raises(UnknownAgreementError):
        found(house, "no-such")


def test_a_revision_is_approved_once(house: House):
    approved(house)
    assert "already approved" in refused(house)


def test_a_new_revision_waits_while_the_old_one_goes_on(house: House):
    old = approved(house)
    new = proposed(house, SHORTER)
    assert (new.id, new.revision) == (old.id, 2)
    assert found(house) == old
    agreed = approve(house.exchange, new.code, revision=2, digest=new.digest, by="officer-b", now=house.clock())
    assert found(house) == agreed
    assert (agreed.revision, agreed.version) == (2, 3)
    assert ("bank_account", "equals") not in agreed.keys
    with house.exchange.database.read() as connection:
        first, second = list_revisions(connection, old.code)
    assert (first.digest, second.digest) == (old.digest, new.digest)
    assert (second.proposed_by, second.approved_by) == ("officer-a", "officer-b")


def test_a_proposal_replaces_one_that_was_never_approved(house: House):
    old = proposed(house)
    new = proposed(house, SHORTER)
    assert (new.revision, new.version) == (2, 2)
    assert found(house) == new
    # The first one can still be approved by who prefers it, as long as nothing newer is in force.
    approve(house.exchange, old.code, revision=1, digest=old.digest, by="officer-b", now=house.clock())
    assert found(house).digest == old.digest


def test_an_overtaken_revision_cannot_come_back(house: House):
    approved(house)
    second = proposed(house, SHORTER)
    third = proposed(house, SHORTER.replace("max_duration: P12M", "max_duration: P6M"))
    approve(house.exchange, third.code, revision=3, digest=third.digest, by="officer-b", now=house.clock())
    assert "newer" in refused(house, revision=2, digest=second.digest)


FIXED = [
    ("consumer: housing-benefit-office", "consumer: student-finance", "consumer"),
    ("purpose: housing_benefit", "purpose: student_grant", "purpose"),
    ("legal_basis: consent", "legal_basis: explicit_consent", "legal_basis"),
]


def test_who_asks_why_and_on_which_ground_stays_the_same(house: House):
    approved(house)
    for old, new, place in FIXED:
        with pytest.raises(AgreementError, match=rf"line \d+, {place}: stays the same"):
            proposed(house, NEW_TEXT.replace(old, new))


def test_all_faults_of_a_proposal_are_listed_and_nothing_is_written(house: House):
    before = types(house)
    text = NEW_TEXT.replace("housing-benefit-office", "nobody").replace("household_size", "shoe_size")
    with pytest.raises(AgreementError) as caught:
        proposed(house, text.replace("retention_days: 1825", "retention_days: 36500"))
    assert len(str(caught.value).splitlines()) == 4
    assert types(house) == before
    with pytest.raises(UnknownAgreementError):
        found(house)


def test_an_approval_looks_at_the_catalogue_of_that_day(house: House):
    proposed(house)
    catalogue = (COUNTRY / "catalogue.yaml").read_text(encoding="utf-8")
    load_catalogue(house.exchange, catalogue.replace("retention_days: 1825", "retention_days: 365"), house.clock())
    assert "retention_days" in refused(house)


def test_agreements_are_listed_by_code_and_page(house: House):
    with house.exchange.database.read() as connection:
        every = list_agreements(connection)
        page = list_agreements(connection, after=every[1].code, limit=2)
        of_one = list_agreements(connection, consumer=HOUSING)
    assert [one.code for one in every] == sorted(one.code for one in every)
    assert page == every[2:4]
    assert {one.consumer for one in of_one} == {HOUSING}


def test_of_many_approvals_at_once_one_counts(house: House):
    made = proposed(house)

    def try_it(number):
        try:
            return approve(
                house.exchange, made.code, revision=1, digest=made.digest, by=f"officer-{number}", now=house.clock()
            )
        except AgreementError:
            return None

    with ThreadPoolExecutor(6) as pool:
        assert sum(result is not None for result in pool.map(try_it, range(6))) == 1
    assert found(house).version == 2
    assert types(house).count("agreement.approved") == types(house).count("agreement.proposed")


def test_proposals_at_once_get_revisions_of_their_own(house: House):
    def try_it(number):
        try:
            return proposed(house, NEW_TEXT.replace("P12M", f"P{number + 1}M")).revision
        except AgreementError:
            return None  # two began the agreement at the same moment

    with ThreadPoolExecutor(6) as pool:
        made = [revision for revision in pool.map(try_it, range(6)) if revision is not None]
    with house.exchange.database.read() as connection:
        stored = [revision.revision for revision in list_revisions(connection, "housing-new")]
    assert sorted(made) == stored == list(range(1, len(made) + 1))


def test_a_changed_body_is_found_when_it_is_read(house: House):
    approved(house)
    with house.exchange.database.write() as connection:
        body = connection.execute(
            select(agreement_table.c.body).where(agreement_table.c.code == "housing-new")
        ).scalar_one()
        forged = body.replace(b"in_range:0-30000", b"value")
        connection.execute(agreement_table.update().where(agreement_table.c.code == "housing-new").values(body=forged))
        connection.commit()
    with pytest.raises(AgreementError, match="digest"):
        found(house)
