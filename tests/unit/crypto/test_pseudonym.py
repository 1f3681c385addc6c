from uuid import UUID

import pytest

from crypto.errors import MalformedError
from crypto.pseudonym import PseudonymKey

KEY = PseudonymKey(key=bytes(range(32)), version=1)
SUBJECT = UUID(int=5)


def test_an_agency_always_meets_the_same_name():
    assert KEY.derive(agency="tax", subject_ref=SUBJECT) == KEY.derive(agency="tax", subject_ref=SUBJECT)
    assert len(KEY.derive(agency="tax", subject_ref=SUBJECT)) == 43


def test_no_two_agencies_people_or_keys_share_a_name():
    names = {
        KEY.derive(agency="tax", subject_ref=SUBJECT),
        KEY.derive(agency="health", subject_ref=SUBJECT),
        KEY.derive(agency="tax", subject_ref=UUID(int=6)),
        PseudonymKey(key=bytes(32), version=2).derive(agency="tax", subject_ref=SUBJECT),
    }
    assert len(names) == 4


@pytest.mark.parametrize("agency", ["", "x" * 65_536, "\ud800"])
def test_an_unusable_agency_is_refused(agency):
    with pytest.raises(MalformedError):
        KEY.derive(agency=agency, subject_ref=SUBJECT)


def test_a_key_has_32_bytes_and_is_not_shown():
    with pytest.raises(MalformedError):
        PseudonymKey(key=bytes(31), version=1)
    assert repr(KEY) == "PseudonymKey(version=1, <redacted>)"
