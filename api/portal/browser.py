"""What ties a browser to one sign-in and one decision: two cookies, each good for one pushed request.

- *Flow*: before signing in. State, nonce and PKCE verifier are hashes of the cookie, so that only the browser that
  began can come back (login CSRF, mix-up, code injection), and nothing has to be kept on our side.
- *Session*: after it, under a fresh secret (no session fixation). It is a person's own token in the database, so an
  erasure ends it; it opens one decision page and nothing else. The token of its form is a hash of it (CSRF).

``__Host-`` cookies (RFC 6265bis §4.1.3.2): HttpOnly, Secure, this host only; Lax, since the provider's answer is a
navigation from another site. Plain http exists in development only, where browsers would not keep them.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from uuid import UUID

from flask import Request, Response

from crypto.encoding import b64u_decode, b64u_encode, lp16_text
from crypto.errors import MalformedError
from exchange.access import SESSION, NewToken
from exchange.authorization.model import new_secret

FLOW_SECONDS = 900
_TAG = 12


@dataclass(frozen=True, slots=True)
class Flow:
    """One sign-in of one browser for one pushed request. ``value`` is the cookie."""

    value: str

    @classmethod
    def begin(cls, request_id: UUID) -> "Flow":
        """A new one."""
        return cls(f"{new_secret()}.{request_id}")

    @property
    def request_id(self) -> UUID | None:
        """The pushed request that it is for."""
        try:
            return UUID(self.value.partition(".")[2])
        except ValueError:
            return None

    @property
    def state(self) -> str:
        """RFC 6749 §10.12."""
        return _derived("state", self.value)

    @property
    def nonce(self) -> str:
        """OIDC Core §15.5.2."""
        return _derived("nonce", self.value)

    @property
    def verifier(self) -> str:
        """RFC 7636 §4.1."""
        return _derived("verifier", self.value)

    @property
    def challenge(self) -> str:
        """RFC 7636 §4.2."""
        return b64u_encode(sha256(self.verifier.encode("ascii")).digest())

    @classmethod
    def of(cls, request: Request, state: str, *, secure: bool) -> "Flow | None":
        """The one that an answer belongs to, if this browser began it."""
        value = request.cookies.get(_flow_name(state, secure=secure))
        flow = None if value is None else cls(value)
        if flow is None or flow.request_id is None or not compare_digest(flow.state, state):
            return None
        return flow

    def keep(self, response: Response, *, secure: bool) -> None:
        """Give the browser its cookie: one for each sign-in, so that two tabs do not disturb each other."""
        _set(response, _flow_name(self.state, secure=secure), self.value, seconds=FLOW_SECONDS, secure=secure)

    def forget(self, response: Response, *, secure: bool) -> None:
        """It has served."""
        _set(response, _flow_name(self.state, secure=secure), "", seconds=0, secure=secure)


@dataclass(frozen=True, slots=True)
class Session:
    """A person, signed in to decide upon one pushed request. ``secret`` is the cookie."""

    request_id: UUID
    secret: str

    @classmethod
    def begin(cls, request_id: UUID) -> "Session":
        """A new one, with a secret that nobody could have placed before."""
        return cls(request_id, new_secret())

    @classmethod
    def of(cls, request: Request, request_id: UUID, *, secure: bool) -> "Session | None":
        """The one that this browser has for this request."""
        value = request.cookies.get(_session_name(request_id, secure=secure))
        try:
            return None if value is None or len(b64u_decode(value)) != 32 else cls(request_id, value)
        except MalformedError:
            return None

    @property
    def jti(self) -> str:
        """What its row is found by. The colons keep it apart from every id that stands in a signed token."""
        return f"session:{self.request_id}:{self.secret}"

    def token(self, subject_ref: UUID, *, now: datetime, until: datetime) -> NewToken:
        """Its row."""
        return NewToken(
            jti=self.jti, jkt=SESSION, scopes=(SESSION,), issued_at=now, expires_at=until, subject_ref=subject_ref
        )

    @property
    def csrf(self) -> str:
        """What a form of this session must bring along."""
        return _derived("csrf", self.jti)

    def accepts(self, token: str) -> bool:
        """Whether a form is of this session."""
        return compare_digest(self.csrf.encode("ascii"), token.encode("utf-8", "surrogatepass"))

    def keep(self, response: Response, *, seconds: int, secure: bool) -> None:
        """Give the browser its cookie."""
        _set(response, _session_name(self.request_id, secure=secure), self.secret, seconds=seconds, secure=secure)

    def forget(self, response: Response, *, secure: bool) -> None:
        """It has served."""
        _set(response, _session_name(self.request_id, secure=secure), "", seconds=0, secure=secure)


def _derived(what: str, value: str) -> str:
    return b64u_encode(sha256(lp16_text(f"cdx/portal/{what}") + lp16_text(value)).digest())


def _flow_name(state: str, *, secure: bool) -> str:
    # Part of a cookie's name: characters of base64url only, whatever came as state.
    tag = "".join(character for character in state[:_TAG] if character.isascii() and character.isalnum())
    return _name(f"flow-{tag}", secure=secure)


def _session_name(request_id: UUID, *, secure: bool) -> str:
    return _name(f"session-{request_id}", secure=secure)


def _name(what: str, *, secure: bool) -> str:
    return f"{'__Host-' if secure else ''}cdx-{what}"


def _set(response: Response, name: str, value: str, *, seconds: int, secure: bool) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="Lax")
