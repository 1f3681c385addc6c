"""DPoP proofs (RFC 9449 §4.3), as a pure function of what came and the time.

The checks carry the ids DP-01 … of the DPoP check list (RFC 9449). ``htu`` is compared with the
configured public address, never with the Host header, which the caller writes. That a proof is used once (DP-09) is for
the transaction that acts on it: the proof brings the digest to insert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from api.oauth.claims import require_past, require_recent, require_unexpired, text_claim
from api.oauth.errors import MissingProofError, ProofError
from crypto.errors import CryptoError, MalformedError
from crypto.jose import PublicKey, load_public_jwk, verify_jws
from exchange.access import PROOF, SingleUse, single_use_digest

ALGORITHMS = ("ES256", "PS256", "Ed25519", "EdDSA")
"""DP-03, as announced to callers."""
MAX_AGE_SECONDS = 120
MAX_PROOF_BYTES = 4096
_KEYS_KEPT = 2048
# Rows outlive the proof a little, since another process may check it by a slower clock.
_CLOCK_MARGIN = timedelta(seconds=60)
_DEFAULT_PORTS = {"https": 443, "http": 80}
# RFC 3986 §3.3: what may stand in a path as it is.
_PATH_SIGNS = "/:@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A proof that holds: who holds the key, and what to insert so that it holds only once."""

    jkt: str
    use: SingleUse


def verify_proof(values: Sequence[str], *, method: str, url: str, now: datetime, ath: str | None = None) -> Proof:
    """Check a proof.

    Args:
        values: the values of all DPoP headers of the request.
        method: the HTTP method of the request.
        url: the address that the request is for: configured public address and path.
        now: the time of the request.
        ath: base64url SHA-256 of the access token that came along; None where a token is asked for.

    Raises:
        MissingProofError: there is no DPoP header.
        ProofError: a check failed.
    """
    if not values:
        raise MissingProofError("the request has no DPoP header")
    # DP-01. Servers join repeated headers with a comma, which no proof contains.
    if len(values) != 1 or "," in values[0]:
        raise ProofError("there must be exactly one DPoP header")
    try:
        # DP-02 typ, DP-03 algorithm, DP-04 public key only, DP-05 signature.
        verified = verify_jws(values[0].strip(" "), key=_proof_key, typ="dpop+jwt", max_bytes=MAX_PROOF_BYTES)
        claims = verified.claims(allow_float=True)
    except CryptoError as exc:
        raise ProofError(f"the DPoP proof does not hold: {exc}") from None
    jkt = _proof_key(verified.header).thumbprint
    _require_equal("htm", text_claim(claims, "htm", error=ProofError), method)  # DP-06
    _require_url(claims, url)  # DP-07
    issued = require_recent(claims, "iat", now, max_age=MAX_AGE_SECONDS, error=ProofError)  # DP-08
    if "exp" in claims:
        require_unexpired(claims, now, error=ProofError)
    if "nbf" in claims:
        require_past(claims, "nbf", now, error=ProofError)
    if ath is not None:  # DP-11
        _require_equal("ath", text_claim(claims, "ath", error=ProofError), ath)
    jti = text_claim(claims, "jti", error=ProofError)
    expires_at = datetime.fromtimestamp(issued, tz=UTC) + timedelta(seconds=MAX_AGE_SECONDS) + _CLOCK_MARGIN
    # DP-09. The owner is the key: two keys may well use the same jti.
    use = SingleUse(kind=PROOF, digest=single_use_digest(PROOF, jkt, jti), expires_at=expires_at)
    return Proof(jkt=jkt, use=use)


def _proof_key(header: Mapping[str, Any]) -> PublicKey:
    jwk = header.get("jwk")
    if not isinstance(jwk, dict):
        raise MalformedError("the header has no jwk")
    if all(isinstance(value, str) for value in jwk.values()):
        return _load_key(tuple(sorted(jwk.items())))
    return load_public_jwk(jwk, use="sig")


@lru_cache(maxsize=_KEYS_KEPT)
def _load_key(members: tuple[tuple[str, str], ...]) -> PublicKey:
    """A caller keeps its key for long, and loading it costs a third of checking its signature."""
    return load_public_jwk(dict(members), use="sig")


def _require_equal(name: str, received: str, expected: str) -> None:
    if not compare_digest(received.encode("utf-8"), expected.encode("utf-8")):
        raise ProofError(f"{name} is {received}, expected {expected}")


def _require_url(claims: Mapping[str, Any], url: str) -> None:
    received = text_claim(claims, "htu", error=ProofError)
    if received != url and normalised(received) != normalised(url):
        raise ProofError(f"htu is {received}, expected {url}")


def normalised(url: str) -> tuple[str, str, int | None, str]:
    """What two spellings of one address have in common (RFC 9449 §4.3, RFC 3986 §6.2): no query, no fragment.

    Raises:
        ProofError: not an absolute address, or one with user information.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ProofError(f"htu is not an address: {url}") from None
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        raise ProofError(f"htu is not an absolute http address: {url}")
    path = encoded_path(unquote(parts.path or "/"))
    return scheme, parts.hostname, port or _DEFAULT_PORTS[scheme], path


def encoded_path(path: str) -> str:
    """A decoded path as it stands in an address: a ``?`` that was encoded must not begin a query."""
    return quote(path, safe=_PATH_SIGNS)
