"""The keys of the one configured OpenID provider (OIDC Discovery §4), fetched safely and kept for a while.

Keys are fetched again when they are old, or when a token names one that is not among them; at most every half minute,
so that invented key names cannot make this service flood the provider.
"""

import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.oauth.errors import SignInUnavailableError
from api.oauth.safe_fetch import FetchError, fetch_json
from crypto.errors import MalformedError
from crypto.jose import PublicKey, load_public_jwk
from exchange.providers.addresses import AddressPolicy

FRESH_FOR = timedelta(minutes=10)
USABLE_FOR = timedelta(hours=1)
"""How long keys serve on when the provider cannot be reached: revoking one takes effect within that time."""
RETRY_AFTER = timedelta(seconds=30)
_MAX_KEYS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderKey:
    """One verification key of the provider."""

    kid: str | None
    algorithms: frozenset[str]  # names of ID token algorithms that it may verify
    public: PublicKey
    jwk: dict[str, Any]


class OpenIDProvider:
    """Finds the provider's keys. Safe between threads."""

    def __init__(self, issuer: str, *, addresses: AddressPolicy, tls: ssl.SSLContext) -> None:
        self._issuer = issuer
        self._addresses = addresses
        self._tls = tls
        self._lock = threading.Lock()
        self._keys: tuple[ProviderKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    def keys(self, algorithm: str, kid: str | None, now: datetime) -> Sequence[ProviderKey]:
        """Keys that may have signed: those of that name, or all of that algorithm when no name is given.

        Raises:
            SignInUnavailableError: the provider cannot be reached and no keys are left to use.
        """
        found = self._find(algorithm, kid)
        if not found or self._older_than(FRESH_FOR, now):
            self._refresh(now)
            found = self._find(algorithm, kid)
        if self._older_than(USABLE_FOR, now):
            raise SignInUnavailableError(f"the keys of {self._issuer} cannot be fetched")
        return found

    def _find(self, algorithm: str, kid: str | None) -> Sequence[ProviderKey]:
        return [key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid)]

    def _older_than(self, age: timedelta, now: datetime) -> bool:
        return self._fetched_at is None or now - self._fetched_at > age

    def _refresh(self, now: datetime) -> None:
        # Only who has no keys at all waits for whoever fetches them: a slow provider must not hold every thread.
        if not self._lock.acquire(blocking=self._older_than(USABLE_FOR, now)):
            return
        try:
            # Whoever waited here finds the work done.
            if self._tried_at is not None and now - self._tried_at < RETRY_AFTER:
                return
            self._tried_at = now
            self._keys = self._fetch()
            self._fetched_at = now
        except FetchError:
            pass  # what is there serves until it is too old
        finally:
            self._lock.release()

    def _get(self, url: str) -> Any:
        return fetch_json(url, addresses=self._addresses, tls=self._tls)

    def _fetch(self) -> tuple[ProviderKey, ...]:
        metadata = self._get(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
            raise FetchError("the provider's metadata names another issuer")
        address = metadata.get("jwks_uri")
        document = self._get(address) if isinstance(address, str) else None
        jwks = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(jwks, list) or len(jwks) > _MAX_KEYS:
            raise FetchError("the provider publishes no usable key set")
        return tuple(key for key in map(_load, jwks) if key is not None)


def _load(jwk: Any) -> ProviderKey | None:
    """A key of the set; None for one that is of no use here (RFC 7517 §5: such keys are skipped)."""
    if not isinstance(jwk, dict):
        return None
    # RS256 is unknown to crypto on purpose. The key behind it is checked as any RSA key is; only its alg is set aside.
    is_rs256 = jwk.get("alg") == "RS256"
    try:
        public = load_public_jwk({name: jwk[name] for name in jwk if name != "alg" or not is_rs256}, use="sig")
    except MalformedError:
        return None
    algorithms = {public.algorithm}
    if jwk.get("kty") == "RSA":
        algorithms = {"RS256", "PS256"} if jwk.get("alg") is None else {jwk["alg"]}
    return ProviderKey(kid=public.kid, algorithms=frozenset(algorithms), public=public, jwk=jwk)
