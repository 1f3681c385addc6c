"""ID tokens of the configured OpenID provider (OIDC Core §3.1.3.7), as they start a citizen's own session here.

Besides the rules of the standard: the token is at most five minutes old, good once, and its ``nonce`` ties it to one
key or browser. On a person's own device that is the thumbprint of the DPoP key that comes with it, so that it is worth
nothing to anyone who holds another key; in the browser it is made of the cookie of this sign-in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from api.oauth.claims import require_past, require_recent, require_unexpired, text_claim, time_claim
from api.oauth.errors import SignInError
from api.oauth.openid_provider import OpenIDProvider
from api.oauth.remote_keys import RemoteKey
from crypto.canonical import load_json
from crypto.encoding import b64u_decode
from crypto.errors import CryptoError
from crypto.jose import unverified_header, verify_jws
from crypto.jwk import ALGORITHM_NAMES
from exchange.access import SingleUse, single_use_digest

ALGORITHMS = ("ES256", "PS256", "RS256")
"""For ID tokens alone. RS256 is what many providers sign with (OIDC Core §15.1); FAPI forbids it everywhere else."""
MAX_AGE_SECONDS = 300
MAX_ID_TOKEN_BYTES = 16_384
ID_TOKEN = "id-token"  # noqa: S105 - the name of a kind
_CLOCK_MARGIN = timedelta(seconds=60)
# RSA with PKCS #1 v1.5 is what many providers sign ID tokens with. It exists for them alone, in PyJWT, not in crypto.
_RS256 = jwt.PyJWS(algorithms=["RS256"])


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSettings:
    """What is configured about the provider.

    Attributes:
        issuer: its issuer identifier.
        client_id: ours there, the audience of its ID tokens.
        claim: the claim that names the person; the provider vouches for it.
        scheme: the identifier scheme of what that claim holds.
        algorithms: what it may sign with.
    """

    issuer: str
    client_id: str
    claim: str
    scheme: str
    algorithms: tuple[str, ...] = ALGORITHMS


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """An ID token that holds: the identifier that it vouches for, and what to insert so that it holds only once.

    ``acr`` and ``auth_time`` are as the provider says, for whoever asked for them; None: it does not say.
    """

    scheme: str
    identifier: str
    use: SingleUse
    acr: str | None
    auth_time: float | None

    def __repr__(self) -> str:
        return f"SignIn(scheme={self.scheme!r}, <redacted>)"


def verify_id_token(
    token: str, *, provider: OpenIDProvider, settings: SignInSettings, nonce: str, now: datetime
) -> SignIn:
    """Check an ID token.

    Args:
        token: the compact JWS.
        provider: finds the provider's keys.
        settings: issuer, audience, algorithms, and the claim that names the person.
        nonce: what ties the token to this sign-in: thumbprint of the DPoP key that came along, or of the browser's.
        now: the time of the request.

    Raises:
        SignInError: a check failed. The message names no value of a claim about the person.
        SignInUnavailableError: the provider's keys cannot be had.
    """
    try:
        header = unverified_header(token, max_bytes=MAX_ID_TOKEN_BYTES)
        signed = token.rpartition(".")[0]
        claims = load_json(b64u_decode(signed.partition(".")[2]), max_bytes=MAX_ID_TOKEN_BYTES, allow_float=True)
    except CryptoError as exc:
        raise SignInError(f"the ID token is not a signed JWT: {exc}") from None
    if not isinstance(claims, dict):
        raise SignInError("the ID token is not a signed JWT")
    # The claims first, though nobody vouches for them yet: only a token that could hold makes us fetch keys.
    issued = _check_claims(claims, settings, nonce=nonce, now=now)
    _check_signature(token, header, provider, settings, now)
    # The digest is of what is signed: an ES256 signature has a second form that verifies too.
    use = SingleUse(
        kind=ID_TOKEN,
        digest=single_use_digest(ID_TOKEN, settings.issuer, signed),
        expires_at=datetime.fromtimestamp(issued + MAX_AGE_SECONDS, tz=UTC) + _CLOCK_MARGIN,
    )
    return SignIn(
        scheme=settings.scheme,
        identifier=text_claim(claims, settings.claim, error=SignInError),
        use=use,
        acr=text_claim(claims, "acr", error=SignInError) if "acr" in claims else None,
        auth_time=time_claim(claims, "auth_time", error=SignInError) if "auth_time" in claims else None,
    )


def _check_claims(claims: Mapping[str, Any], settings: SignInSettings, *, nonce: str, now: datetime) -> float:
    if claims.get("iss") != settings.issuer:
        raise SignInError(f"iss of the ID token must be {settings.issuer}")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if settings.client_id not in audiences:
        raise SignInError(f"aud of the ID token must be {settings.client_id}")
    # OIDC Core §3.1.3.7 steps 4 and 5.
    if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != settings.client_id:
        raise SignInError(f"azp of the ID token must be {settings.client_id}")
    text_claim(claims, "sub", error=SignInError)
    require_unexpired(claims, now, error=SignInError)
    issued = require_recent(claims, "iat", now, max_age=MAX_AGE_SECONDS, error=SignInError)
    if "nbf" in claims:
        require_past(claims, "nbf", now, error=SignInError)
    if claims.get("nonce") != nonce:
        raise SignInError(f"nonce of the ID token must be {nonce}: of a person's own device, its key's thumbprint")
    return issued


def _check_signature(
    token: str, header: Mapping[str, Any], provider: OpenIDProvider, settings: SignInSettings, now: datetime
) -> None:
    algorithm, kid = header["alg"], header.get("kid")
    if algorithm not in settings.algorithms:
        raise SignInError(f"alg of the ID token must be one of {', '.join(settings.algorithms)}")
    if not isinstance(kid, str | None):
        raise SignInError("kid of the ID token is no text")
    # An ID token of this profile has no typ, or JWT; a logout token or at+jwt of the same provider is none.
    if str(header.get("typ", "jwt")).lower() != "jwt":
        raise SignInError("typ of the ID token is that of another kind of token")
    for key in provider.keys(ALGORITHM_NAMES.get(algorithm, algorithm), kid, now):
        if _verifies(token, algorithm, key):
            return
    raise SignInError("no key of the OpenID provider verifies the ID token")


def _verifies(token: str, algorithm: str, key: RemoteKey) -> bool:
    try:
        if algorithm == "RS256":
            _RS256.decode_complete(token, jwt.PyJWK(key.jwk, algorithm="RS256"), algorithms=["RS256"])
        else:
            verify_jws(token, key=key.public, typ=None, max_bytes=MAX_ID_TOKEN_BYTES)
    except (CryptoError, jwt.PyJWTError):
        return False
    return True
