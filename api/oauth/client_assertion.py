"""Client authentication by ``private_key_jwt`` (RFC 7523 §3, OIDC Core §9), as FAPI 2.0 narrows it.

Authlib's own check takes RS256, an array as ``aud`` and any lifetime, and refuses PS256 and Ed25519; this one takes its
place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api.oauth.claims import require_past, require_unexpired, text_claim
from api.oauth.errors import ClientAssertionError
from crypto.canonical import load_json
from crypto.encoding import b64u_decode
from crypto.errors import CryptoError
from crypto.jose import PublicKey, verify_jws
from crypto.jwk import ALGORITHM_NAMES
from exchange.access import ClientRecord, SingleUse, single_use_digest

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ("ES256", "PS256", "Ed25519", "EdDSA")
MAX_LIFETIME_SECONDS = 300
MAX_ASSERTION_BYTES = 8192
ASSERTION = "client-assertion"
NOBODY = (
    "no registered key of a client in force verifies the client assertion "
    f"(algorithms: {', '.join(ALGORITHMS)}; several keys are told apart by kid)"
)
_CLOCK_MARGIN = timedelta(seconds=60)
# A token of another kind, signed with the same key, must not pass for an assertion (RFC 8725 §3.11).
_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})


FindKeys = Callable[[str, str | None], Sequence[PublicKey]]
"""``find(algorithm, kid)``: the keys of a client that may have signed; for an unknown client none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """A client's assertion that holds, and what to insert so that it holds only once."""

    client: ClientRecord
    use: SingleUse


def unverified_client_id(assertion: str) -> str:
    """Who the assertion claims to come from: to find keys, never to decide anything.

    Raises:
        ClientAssertionError: it is not a JWT that names its issuer.
    """
    if len(assertion) > MAX_ASSERTION_BYTES:
        raise ClientAssertionError(f"the client assertion has more than {MAX_ASSERTION_BYTES} bytes")
    parts = assertion.split(".")
    try:
        claims = load_json(b64u_decode(parts[1]), max_bytes=MAX_ASSERTION_BYTES, allow_float=True)
    except (IndexError, CryptoError):
        raise ClientAssertionError("the client assertion is not a signed JWT") from None
    if not isinstance(claims, dict):
        raise ClientAssertionError("the client assertion is not a signed JWT")
    return text_claim(claims, "iss", error=ClientAssertionError)


def verify_assertion(
    assertion: str, *, client: ClientRecord | None, find: FindKeys, nobody: PublicKey, issuer: str, now: datetime
) -> Assertion:
    """Check an assertion.

    Args:
        assertion: the compact JWS.
        client: the client that it claims to come from; None when there is none in force.
        find: finds the client's keys by algorithm and kid.
        nobody: a key that is checked against for an unknown client, so that both take the same time.
        issuer: our issuer identifier, the only audience that is accepted.
        now: the time of the request.

    Raises:
        ClientAssertionError: a check failed. Unknown client, unknown key and bad signature are told apart by nothing.
    """
    try:
        verified = verify_jws(
            assertion,
            key=lambda header: _client_key(header, find, nobody),
            typ=None,
            max_bytes=MAX_ASSERTION_BYTES,
        )
        claims = verified.claims(allow_float=True)
    except CryptoError:
        raise ClientAssertionError(NOBODY) from None
    if client is None:
        # Somebody signed with the very key that no client has.
        raise ClientAssertionError(NOBODY)
    if str(verified.header.get("typ", "")).lower().removeprefix("application/") not in _TYPES:
        raise ClientAssertionError("typ of the client assertion is that of another kind of token")
    for name, expected in (("iss", client.id), ("sub", client.id), ("aud", issuer)):
        # AS-08: the issuer, and as a string: an array may hold another server that would accept it too.
        if claims.get(name) != expected:
            raise ClientAssertionError(f"{name} of the client assertion must be the text {expected}")
    expires = require_unexpired(claims, now, error=ClientAssertionError)
    issued = require_past(claims, "iat", now, error=ClientAssertionError)
    if "nbf" in claims:
        require_past(claims, "nbf", now, error=ClientAssertionError)
    if not 0 < expires - issued <= MAX_LIFETIME_SECONDS:
        raise ClientAssertionError(f"exp of the client assertion must be at most {MAX_LIFETIME_SECONDS} s after iat")
    jti = text_claim(claims, "jti", error=ClientAssertionError)
    use = SingleUse(
        kind=ASSERTION,
        digest=single_use_digest(ASSERTION, client.id, jti),
        expires_at=datetime.fromtimestamp(expires, tz=UTC) + _CLOCK_MARGIN,
    )
    return Assertion(client=client, use=use)


def _client_key(header: Mapping[str, Any], find: FindKeys, nobody: PublicKey) -> PublicKey:
    kid, algorithm = header.get("kid"), ALGORITHM_NAMES.get(header["alg"])
    if algorithm is None or not isinstance(kid, str | None):
        return nobody
    # CR-10: where keys share a kid, or none is named, the algorithm decides.
    fitting = find(algorithm, kid)
    return fitting[0] if len(fitting) == 1 else nobody
