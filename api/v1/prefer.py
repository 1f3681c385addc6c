"""``Prefer: wait=<seconds>`` (RFC 7240, section 4.3): an answer that goes out together with its proof (ADR 0019).

The disclosure is committed before anything here begins, and nothing here can take the answer back: an entry that does
not reach the log in time, or cannot be proved, leaves the answer as it would have been, without
``Preference-Applied``. Between two looks nothing is held but the thread, and only half of a process's threads may wait.
"""

import time
from typing import Any, Final
from uuid import UUID

import structlog
from flask import request
from werkzeug.http import parse_list_header

from api.services import services
from crypto.errors import CryptoError
from exchange.audit.proofs import InclusionProof
from exchange.errors import ExchangeError, UnknownEntryError
from exchange.outcomes import Answered, Outcome

LONGEST_SECONDS: Final = 10
POLL_SECONDS: Final = 0.03
"""Rounds of the sequencer begin 20 ms apart: a look costs one indexed read."""
PREFER: Final = {
    "in": "header",
    "name": "Prefer",
    "description": (
        f"`wait=<seconds>` (RFC 7240), at most {LONGEST_SECONDS}: wait until the entry is in the log, and put the "
        "proof into the JSON answer. `Preference-Applied` says that it is there."
    ),
    "schema": {"type": "string"},
    "example": "wait=2",
}

_sleep = time.sleep
_monotonic = time.monotonic


def with_proof(outcome: Outcome, answer: Any) -> Any:
    """Add the proof of its entry to a JSON answer, if the caller asked to wait for it and it came in time.

    Args:
        outcome: what came of the request; only a released answer has an entry to wait for.
        answer: body, status and headers.
    """
    if not isinstance(outcome, Answered):
        return answer
    proof = _proof_within(outcome.entry_id, min(seconds_to_wait(request.headers.getlist("Prefer")), LONGEST_SECONDS))
    if proof is None:
        return answer
    body, status, headers = answer
    return {**body, "proof": proof.to_json()}, status, {**headers, "Preference-Applied": "wait"}


def seconds_to_wait(headers: list[str]) -> int:
    """The caller's preference; 0 when there is none. What is malformed or unknown is ignored (RFC 7240, section 2)."""
    for one in parse_list_header(", ".join(headers)):
        name, _, value = one.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":  # the first of several counts
            value = value.strip().strip('"')
            return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else 0  # longer is no time
    return 0


def _proof_within(entry_id: UUID, seconds: int) -> InclusionProof | None:
    slots = services().proof_slots
    if not seconds or not slots.acquire(blocking=False):
        return None
    try:
        deadline = _monotonic() + seconds
        while _monotonic() < deadline:
            _sleep(POLL_SECONDS)
            proof = _proof(entry_id)
            if proof is not None:
                return proof
    except (ExchangeError, CryptoError) as exc:
        # The values are out by law of the commit: whatever is wrong with the log is the sequencer's to tell.
        structlog.get_logger("cdx.api").warning("no proof for an answer", reason=type(exc).__name__)
    finally:
        slots.release()
    return None


def _proof(entry_id: UUID) -> InclusionProof | None:
    with services().exchange.database.read() as connection:
        try:
            return services().prover.inclusion(connection, entry_id=entry_id)
        except UnknownEntryError:
            return None
