"""Values that belong to a person, and whether an answer or a log line repeats one."""

import json

from structlog.testing import capture_logs

from tests.http.v1.site import asked

SUBJECT = "CANARY-771201-4"
VALUES = {
    "subject": SUBJECT,
    "officer": "canary-officer-8831",
    "role": "canary-role-8832",
    "case": "canary-case-8833",
    "message": "canary-message-8834",
}


def told(**members):
    """A request full of values that must not come back."""
    return (
        asked(
            SUBJECT,
            acting_officer={"id": VALUES["officer"], "role": VALUES["role"]},
            case_reference=VALUES["case"],
            message=VALUES["message"],
        )
        | members
    )


def refused(answer, status, slug, *where):
    """A problem that names its fault, and nothing that belongs to a person."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text}"
    assert answer.content_type == "application/problem+json"
    problem = answer.json
    assert problem["type"] == f"urn:cdx:problem:{slug}", answer.text
    assert problem["title"]
    assert problem["status"] == status
    assert problem["correlation_id"] == answer.headers["X-Correlation-Id"]
    found = {one.get("pointer", one.get("parameter")) for one in problem.get("errors", [])}
    assert found >= set(where), answer.text
    repeats_nothing(answer)
    return problem


def repeats_nothing(answer, *more):
    """Neither body nor headers hold a value that was sent."""
    text = answer.text + json.dumps(list(answer.headers))
    for value in (*VALUES.values(), *more):
        assert value not in text, f"{value!r} came back: {text}"


def logged_nothing(send):
    """What ``send`` answers, having seen that no line of the operational log holds a value."""
    with capture_logs() as lines:
        answer = send()
    assert lines
    for value in VALUES.values():
        assert value not in repr(lines)
    return answer
