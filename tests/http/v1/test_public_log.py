"""The public log asked for what cannot be: a place that no log has is not found, and no fault of ours."""

import pytest

HUGE = "/".join(["x999"] * 10 + ["999"])
PLACES = [
    "/audit/tile/0/000",
    f"/audit/tile/0/{HUGE}",
    f"/audit/tile/0/{HUGE}.p/1",
    f"/audit/tile/{2**31}/000",
    f"/audit/tile/{2**63}/000",
    f"/audit/tile/{'9' * 200}/000",
    f"/audit/tile/{'9' * 5000}/000",
    "/audit/tile/64/000",
    "/audit/tile/-1/000",
    "/audit/tile/0/000.p/0",
    "/audit/tile/0/000.p/256",
    "/audit/tile/0/000.p/257",
    "/audit/tile/0/1",
    "/audit/tile/0/../0/000",
    "/audit/tile/0/%00",
    "/audit/tile/0/\u0660\u0660\u0660",
    f"/audit/proof/inclusion?index={2**62}",
    f"/audit/proof/inclusion?index=0&size={2**62}",
    f"/audit/proof/consistency?from={2**62}",
    f"/audit/proof/consistency?from=1&to={2**62}",
    "/audit/proof/inclusion?id=019bf2a2-0000-7000-8000-000000000000",
]
QUESTIONS = [
    f"/audit/proof/inclusion?index={2**63}",
    "/audit/proof/inclusion?index=-1",
    "/audit/proof/inclusion?index=1.0",
    f"/audit/proof/inclusion?index={'9' * 5000}",
    "/audit/proof/inclusion?index=0&size=0",
    "/audit/proof/inclusion?index=0&index=1&id=x",
    "/audit/proof/inclusion?id=x",
    "/audit/proof/inclusion?id=' OR 1=1 --",
    "/audit/proof/inclusion",
    "/audit/proof/inclusion?id=019bf2a2-0000-7000-8000-000000000000&index=0",
    "/audit/proof/inclusion?index=0&unknown=1",
    "/audit/proof/consistency",
    "/audit/proof/consistency?from=0",
    f"/audit/proof/consistency?from={2**63}",
]


@pytest.mark.parametrize("path", PLACES, ids=lambda path: path[:50])
def test_a_place_that_no_log_has_is_not_found(lasting, path):
    answer = lasting.http().get(path)
    assert answer.status_code == 404, answer.text
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("path", [f"/audit/tile/entries/{HUGE}", "/audit/tile/entries/x", "/audit/tile/entries/000"])
def test_entries_that_no_log_has_are_not_found(lasting, path):
    auditor = lasting.agency(scope="audit:read")
    assert auditor.get(path).status_code == 404


@pytest.mark.parametrize("path", QUESTIONS, ids=lambda path: path[:50])
def test_a_question_about_no_place_is_not_valid(lasting, path):
    answer = lasting.http().get(path)
    assert answer.status_code == 422, answer.text
    assert answer.content_type == "application/problem+json"
    assert "9" * 30 not in answer.text
    assert "1=1" not in answer.text
