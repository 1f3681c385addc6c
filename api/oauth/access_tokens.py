"""Our own access tokens: at+jwt (RFC 9068), signed ES256, bound to a DPoP key by ``cnf.jkt`` (RFC 9449 §6.1).

A token that verifies says who asks. Whether it still counts stands in the database (invariant 13): that it verified is
kept in memory for its lifetime, liveness never is.

    header  {"alg","typ":"at+jwt","kid"}
    claims  {"iss","aud","sub","client_id","scope","iat","exp","jti","cnf":{"jkt"}}
            of a client: sub = client_id
            of a person: sub = subject reference, client_id = our id at the OpenID provider
            of a client, for a person's permission: sub = the person's pseudonym at the client's agency, and
            "authorization_details" (RFC 9396 §9.1): what was allowed, with the consent's id
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from api.oauth.cache import RecentlyUsed
from api.oauth.claims import text_claim, time_claim
from api.oauth.errors import AccessTokenError
from api.oauth.scopes import Scope
from crypto.encoding import b64u_encode
from crypto.errors import CryptoError
from crypto.ids import random_bytes
from crypto.jose import SigningKey, sign_jws, verify_jws
from exchange.access import NewToken, token_digest

TYPE = "at+jwt"
MAX_TOKEN_BYTES = 4096
_TOKENS_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedToken:
    """An access token whose signature, issuer, audience and form hold. Exactly one of client and subject is set."""

    digest: bytes  # names its row
    ath: str  # what a proof must name
    jkt: str
    scopes: frozenset[str]
    client_id: str | None
    subject_ref: UUID | None
    stands_for_person: bool  # a client's token for one person's permission
    expires_at: float  # seconds since the Unix epoch


class AccessTokens:
    """Makes and verifies the access tokens of one issuer for one resource."""

    def __init__(self, signer: SigningKey, *, issuer: str, resource: str) -> None:
        self._signer = signer
        self._public = signer.public_key()
        self._issuer = issuer
        self._resource = resource
        self._verified: RecentlyUsed[VerifiedToken] = RecentlyUsed(_TOKENS_KEPT)

    def for_client(
        self, client_id: str, scopes: Sequence[str], *, jkt: str, lifetime: int, now: datetime
    ) -> tuple[str, NewToken]:
        """Make a token for a client; also what must be stored before it is handed out."""
        new = new_token(jkt, scopes, lifetime, now, client_id=client_id)
        return self._sign(new, sub=client_id, client_id=client_id), new

    def for_subject(
        self, subject_ref: UUID, *, client_id: str, jkt: str, lifetime: int, now: datetime
    ) -> tuple[str, NewToken]:
        """Make a person's own token, as :meth:`for_client` does; ``client_id`` is ours at the OpenID provider."""
        new = new_token(jkt, (Scope.ME.value,), lifetime, now, subject_ref=subject_ref)
        return self._sign(new, sub=str(subject_ref), client_id=client_id), new

    def for_permission(self, new: NewToken, *, pseudonym: str, details: Sequence[Mapping[str, Any]]) -> str:
        """Make the token of a person's permission whose row was stored."""
        assert new.client_id is not None  # only clients redeem
        return self._sign(new, sub=pseudonym, client_id=new.client_id, authorization_details=list(details))

    def _sign(self, new: NewToken, *, sub: str, client_id: str, **more: Any) -> str:
        claims = {
            "iss": self._issuer,
            "aud": self._resource,
            "sub": sub,
            "client_id": client_id,
            "scope": " ".join(new.scopes),
            "iat": int(new.issued_at.timestamp()),
            "exp": int(new.expires_at.timestamp()),
            "jti": new.jti,
            "cnf": {"jkt": new.jkt},
        } | more
        return sign_jws(claims, key=self._signer, typ=TYPE)

    def verify(self, token: str, now: datetime) -> VerifiedToken:
        """Verify a token; a token that was verified before costs one hash.

        Raises:
            AccessTokenError: it is not ours, not for this resource, malformed or expired.
        """
        if not token.isascii():
            raise AccessTokenError("an access token is ASCII text")
        digest = sha256(token.encode("ascii")).digest()
        verified = self._verified.get(digest)
        if verified is None:
            verified = self._verify(token, ath=b64u_encode(digest))
            self._verified.put(digest, verified)
        late = now.timestamp() - verified.expires_at
        if late >= 0:
            self._verified.drop(digest)
            raise AccessTokenError(f"the access token expired {late:.0f} s ago by our clock")
        return verified

    def _verify(self, token: str, *, ath: str) -> VerifiedToken:
        try:
            claims = verify_jws(token, key=self._public, typ=TYPE, max_bytes=MAX_TOKEN_BYTES).claims()
        except CryptoError as exc:
            raise AccessTokenError(f"the access token does not hold: {exc}") from None
        for name, expected in (("iss", self._issuer), ("aud", self._resource)):
            if claims.get(name) != expected:
                raise AccessTokenError(f"{name} of the access token must be {expected}")
        confirmation = claims.get("cnf")
        if not isinstance(confirmation, dict):
            raise AccessTokenError("the access token is bound to no key")
        scopes = frozenset(text_claim(claims, "scope", error=AccessTokenError).split(" "))
        client_id: str | None = text_claim(claims, "client_id", error=AccessTokenError)
        sub = text_claim(claims, "sub", error=AccessTokenError)
        subject_ref = None
        if Scope.ME in scopes:
            client_id, subject_ref = None, _reference(sub)
        elif "authorization_details" not in claims and sub != client_id:
            raise AccessTokenError("sub of a client's token is its client_id")
        return VerifiedToken(
            digest=token_digest(text_claim(claims, "jti", error=AccessTokenError)),
            ath=ath,
            jkt=text_claim(confirmation, "jkt", error=AccessTokenError),
            scopes=scopes,
            client_id=client_id,
            subject_ref=subject_ref,
            stands_for_person="authorization_details" in claims,
            expires_at=time_claim(claims, "exp", error=AccessTokenError),
        )


def new_token(
    jkt: str,
    scopes: Sequence[str],
    lifetime: int,
    now: datetime,
    *,
    client_id: str | None = None,
    subject_ref: UUID | None = None,
) -> NewToken:
    """What must be stored of a token before it is handed out."""
    # Whole seconds, so that the row and the claim name the same moment.
    issued_at = now.replace(microsecond=0)
    return NewToken(
        jti=b64u_encode(random_bytes(24)),
        jkt=jkt,
        scopes=tuple(scopes),
        issued_at=issued_at,
        expires_at=issued_at + timedelta(seconds=lifetime),
        client_id=client_id,
        subject_ref=subject_ref,
    )


def _reference(sub: str) -> UUID:
    try:
        return UUID(sub)
    except ValueError:
        raise AccessTokenError("sub of a person's token is no reference") from None
