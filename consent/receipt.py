"""What the citizen takes home: an ISO/IEC TS 27560 consent receipt with the whole record in it, signed.

A receipt that only points to a record is no evidence, so the record is always embedded (``consent.receipt_record``;
profile ``receipt-eu-gdpr`` of the DPV guide). ``receipt.schema.json`` says exactly which members there are.

Signed form: JWS, typ ``consent-receipt+jwt``, claims ``iss``, ``iat`` (seconds), ``jti`` (receipt id), ``receipt``.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from jsonschema import Draft202012Validator

from consent.dpv import CONTEXT, RECEIPT_SCHEMA
from consent.events import ConsentEvent
from consent.instants import to_millis
from consent.receipt_record import DataItem, Party, ProcessingDetails, build_record, rfc3339
from crypto.errors import MalformedError
from crypto.jose import KeyResolver, PublicKey, SigningKey, sign_jws, verify_jws

__all__ = [
    "MAX_BYTES",
    "TYP",
    "DataItem",
    "Party",
    "ProcessingDetails",
    "VerifiedReceipt",
    "build_receipt",
    "receipt_schema",
    "sign_receipt",
    "verify_receipt",
]

TYP: Final = "consent-receipt+jwt"
MAX_BYTES: Final = 131_072


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """A receipt whose signature holds and whose content has the published shape. ``claims`` stand under ``receipt``."""

    receipt: dict[str, Any]
    receipt_id: UUID
    issuer: str
    issued_at: datetime
    kid: str | None


def build_receipt(
    events: Sequence[ConsentEvent],
    details: ProcessingDetails,
    *,
    receipt_id: UUID,
    pii_principal_id: str,
    now: datetime,
) -> dict[str, Any]:
    """The receipt of one consent at ``now``: the fold of its events, with everything needed to read it.

    Raises:
        InconsistentConsentError: the events do not fold.
        ValueError: an attribute of the scope is not described, or the outcome does not have the published shape.
    """
    receipt = {
        "@context": CONTEXT,
        "@type": "dpv:ConsentReceipt",
        "schema_version": RECEIPT_SCHEMA,
        "receipt_id": str(receipt_id),
        "created": rfc3339(now),
        "record": [build_record(events, details, pii_principal_id=pii_principal_id, now=now)],
    }
    if faults := _faults(receipt):
        raise ValueError(f"receipt {receipt_id} is not as published: {'; '.join(faults)}")
    return receipt


def sign_receipt(receipt: Mapping[str, Any], *, key: SigningKey, issuer: str) -> str:
    """Sign a receipt that ``build_receipt`` made, as of its own ``created`` time."""
    issued_at = to_millis(datetime.fromisoformat(receipt["created"])) // 1000
    claims = {"iss": issuer, "iat": issued_at, "jti": receipt["receipt_id"], "receipt": dict(receipt)}
    return sign_jws(claims, key=key, typ=TYP)


def verify_receipt(token: str, *, key: PublicKey | KeyResolver, issuer: str) -> VerifiedReceipt:
    """Check a signed receipt: signature, issuer, shape. It proves what was so when it was issued, not what is so now.

    Raises:
        MalformedError: not a receipt of the published shape, or of another issuer, or an inconsistent one.
        VerificationError: the signature does not hold, or it is a token of another type.
        UnknownKeyError: from ``key``, when it is a function.
    """
    verified = verify_jws(token, key=key, typ=TYP, max_bytes=MAX_BYTES)
    claims = verified.claims()
    if claims.keys() != {"iss", "iat", "jti", "receipt"} or claims["iss"] != issuer or type(claims["iat"]) is not int:
        raise MalformedError("not the claims of a receipt of this issuer")
    receipt = claims["receipt"]
    if _faults(receipt):
        raise MalformedError("not a consent receipt of the published shape")
    try:
        issued_at, receipt_id = datetime.fromisoformat(receipt["created"]), UUID(receipt["receipt_id"])
    except ValueError:  # the 31st of February
        raise MalformedError("a receipt without a time or an id") from None
    if claims["jti"] != str(receipt_id) or claims["iat"] != to_millis(issued_at) // 1000:
        raise MalformedError("the claims are not those of the receipt")
    kid = verified.header.get("kid")
    return VerifiedReceipt(receipt=receipt, receipt_id=receipt_id, issuer=issuer, issued_at=issued_at, kid=kid)


def receipt_schema() -> dict[str, Any]:
    """The published JSON Schema of a receipt (draft 2020-12)."""
    schema: dict[str, Any] = json.loads(files("consent").joinpath("receipt.schema.json").read_text("utf-8"))
    return schema


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(receipt_schema())


def _faults(receipt: Any) -> list[str]:
    return [f"{fault.json_path}: {fault.validator}" for fault in _validator().iter_errors(receipt)]
