"""The answer that an agency gets: envelopes, signed, padded, then encrypted to its key (decision 10).

Built before the transaction that discloses it and sent after its commit. Never stored: a second delivery builds it
again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from consent.columns import to_millis
from crypto.canonical import load_json
from crypto.errors import MalformedError
from crypto.jose import PublicKey, encrypt_jwe, load_jwk_set, sign_jws
from exchange.catalogue_model import Attribute, Catalogue
from exchange.derive import Answer, answer
from exchange.errors import AccessRefusedError
from exchange.forms import parse_form
from exchange.model import VALUE_FORM, HeldValue, RequestedAttribute

ANSWER_TYPE = "cdx-answer+jwt"
# base64url turns 192 bytes into 256: an answer's signed form has one of a few lengths, and yes is as long as no.
_PAD_TO = 192
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What an answer says besides the attributes."""

    issuer: str
    audience: str  # agency code
    pseudonym: str
    disclosure_id: UUID
    request_id: UUID
    agreement: str
    purpose: str
    issued_at: datetime
    expires_at: datetime


def envelopes(
    lines: Sequence[RequestedAttribute],
    left_out: Sequence[RequestedAttribute],
    held: Mapping[str, HeldValue],
    catalogue: Catalogue,
    *,
    today: date,
) -> list[dict[str, Any]]:
    """One envelope per line: the value in the form that was asked for, or why there is none.

    A line that the citizen left out is named with ``unavailable: "not_permitted"`` and nothing about what is held.
    """
    result = [_envelope(line, held.get(line.name), catalogue.attribute(line.name), today=today) for line in lines]
    result.extend({"name": line.name, "form": line.form, "unavailable": "not_permitted"} for line in left_out)
    return result


def _envelope(line: RequestedAttribute, held: HeldValue | None, attribute: Attribute, *, today: date) -> dict[str, Any]:
    envelope: dict[str, Any] = {
        "name": line.name,
        "form": line.form,
        "classification": attribute.classification,
    }
    if held is None:
        envelope["unavailable"] = "not_held"
        return envelope
    given: Answer = answer(parse_form(line.form), held, attribute=attribute, compare_to=line.compare_to, today=today)
    if given.state != "present":
        envelope["unavailable"] = given.unavailable or given.state
    elif isinstance(given.value, Mapping):
        envelope.update(given.value)  # code and label
    else:
        envelope["value"] = given.value
    envelope["source"] = {"agency": held.provider, "class": held.source_class}
    envelope["assurance"] = held.assurance
    if line.form == VALUE_FORM:  # the dates describe the value; a weaker form tells no more than its answer
        if held.last_updated is not None:
            envelope["last_updated"] = held.last_updated
            if _is_stale(held.last_updated, attribute, today):
                envelope["stale"] = True  # older than the catalogue says a value of this kind may be
        if held.valid_until is not None:
            envelope["valid_until"] = held.valid_until
    return envelope


def _is_stale(last_updated: str, attribute: Attribute, today: date) -> bool:
    if attribute.freshness_days is None:
        return False
    return date.fromisoformat(last_updated) + timedelta(days=attribute.freshness_days) < today


def seal_answer(
    heading: Heading, attributes: list[dict[str, Any]], *, receipt: str, signer: Any, recipient: PublicKey
) -> str:
    """The compact JWE: JWS in JWE, padded so that its length tells nothing about the values."""
    claims: dict[str, Any] = {
        "iss": heading.issuer,
        "aud": heading.audience,
        "sub": heading.pseudonym,
        "jti": str(heading.disclosure_id),
        "request": str(heading.request_id),
        "agreement": heading.agreement,
        "purpose": heading.purpose,
        "iat": to_millis(heading.issued_at) // 1000,
        "exp": to_millis(heading.expires_at) // 1000,
        "attributes": attributes,
        "receipt": receipt,
        "pad": "",
    }
    bare = _encode(claims).encode()
    # The padding is inside the signature, at the end of the object: …,"pad":"AAAA"}
    payload = bare[:-2] + b"A" * (-len(bare) % _PAD_TO) + bare[-2:]
    return encrypt_jwe(sign_jws(payload, key=signer, typ=ANSWER_TYPE).encode(), key=recipient)


@lru_cache(maxsize=1024)
def encryption_key(client_id: str, jwks: str) -> PublicKey:
    """The key that a client's answers are encrypted to: the first ``use: enc`` key of its set.

    Raises:
        AccessRefusedError: the client registered none, so nothing can be sent to it.
    """
    try:
        keys = load_jwk_set(load_json(jwks, max_bytes=65_536), use="enc")
    except MalformedError as exc:
        raise AccessRefusedError(f"client {client_id} has a malformed key set") from exc
    if not keys:
        raise AccessRefusedError(f"client {client_id} has no encryption key")
    return keys[0]
