"""What is pushed, and what becomes of it, as values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from crypto import canonical
from crypto.encoding import b64u_encode
from crypto.ids import random_bytes
from exchange.agreement_model import AgreementLine

URI_LIFETIME: Final = timedelta(seconds=300)
"""FAPI 2.0 SP §5.3.2.2-12: less than 600 s."""
DECISION_TIME: Final = timedelta(minutes=40)
"""From the push to the last moment of a decision: signing in, and half an hour to read (WCAG 2.2.1)."""
CODE_LIFETIME: Final = timedelta(seconds=60)
"""FAPI 2.0 SP §5.3.2.1-11."""
DETAILS_TYPE: Final = "citizen_attributes"
"""The one type of authorization details (RFC 9396 §2)."""


def new_secret() -> str:
    """A capability: 32 random bytes as text (decision 11). What is stored of it is its digest."""
    return b64u_encode(random_bytes(32))


def digest_of(secret: str) -> bytes:
    """What is stored of a capability. One hash is enough: there is nothing to guess in 32 random bytes."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """What an agency asks a person to allow (RFC 9396, type ``citizen_attributes``).

    Attributes:
        agreement, purpose: codes.
        lines: attributes in exact forms; ``required``: the purpose cannot be served without it.
        duration: ISO 8601, how long the permission shall hold; None: as long as the agreement admits.
        uses: for how many disclosures; None: as many as the agreement admits.
        message: shown to the person, as text.
    """

    agreement: str
    purpose: str
    lines: tuple[AgreementLine, ...]
    duration: str | None = None
    uses: int | None = None
    message: str | None = field(default=None, repr=False)

    def details(self) -> dict[str, Any]:
        """As authorization details."""
        told: dict[str, Any] = {
            "type": DETAILS_TYPE,
            "agreement": self.agreement,
            "purpose": self.purpose,
            "attributes": [{"name": line.name, "form": line.form, "required": line.required} for line in self.lines],
        }
        optional = {"duration": self.duration, "uses": self.uses, "message": self.message}
        return told | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> "Permission":
        """From authorization details whose shape was checked."""
        return cls(
            agreement=details["agreement"],
            purpose=details["purpose"],
            lines=tuple(
                AgreementLine(name=line["name"], form=line["form"], required=line["required"])
                for line in details["attributes"]
            ),
            duration=details.get("duration"),
            uses=details.get("uses"),
            message=details.get("message"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedRequest:
    """An authorization request as it was pushed (RFC 9126), checked.

    Attributes:
        permission: what is asked.
        redirect_uri: where the person is sent back to; one that the client registered.
        state: the client's own; goes back unchanged.
        code_challenge: SHA-256 of the verifier, base64url (RFC 7636 §4.2, S256).
        acr_values: how the person must have signed in, any of them; empty: in any way.
        max_age: how many seconds ago at most; None: whenever.
    """

    permission: Permission
    redirect_uri: str
    code_challenge: str
    state: str | None = field(default=None, repr=False)
    acr_values: tuple[str, ...] = ()
    max_age: int | None = None

    def to_bytes(self) -> bytes:
        """The stored form, before it is sealed."""
        content: dict[str, Any] = {
            "permission": self.permission.details(),
            "redirect_uri": self.redirect_uri,
            "code_challenge": self.code_challenge,
            "acr_values": list(self.acr_values),
        }
        optional = {"state": self.state, "max_age": self.max_age}
        return canonical.encode(content | {name: value for name, value in optional.items() if value is not None})

    @classmethod
    def from_bytes(cls, stored: bytes) -> "PushedRequest":
        """What :meth:`to_bytes` made."""
        content = canonical.decode(stored)
        return cls(
            permission=Permission.of(content["permission"]),
            redirect_uri=content["redirect_uri"],
            code_challenge=content["code_challenge"],
            state=content.get("state"),
            acr_values=tuple(content["acr_values"]),
            max_age=content.get("max_age"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """Stored. ``secret`` is the request_uri, told once."""

    secret: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAdmitted:
    """The agreement does not admit what is asked; ``text`` says why, and names what the caller wrote."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A pushed request that still waits for its decision, and who pushed it."""

    id: UUID
    client_id: str
    agency: str
    agency_name: str
    request: PushedRequest
    decide_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What goes back to the client with the person: a code, or None: the person said no, or did not sign in."""

    redirect_uri: str
    state: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)
