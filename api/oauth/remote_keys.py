"""Public keys that somebody else publishes, fetched safely and kept for a while.

They are fetched again when they are old, or when a token names one that is not among them; at most every half minute,
so that invented key names cannot make this service flood anybody. Of the OpenID provider, and of clients that register
a ``jwks_uri``.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from api.oauth.safe_fetch import DEADLINE_SECONDS, FetchError
from crypto.errors import MalformedError
from crypto.jose import PublicKey, load_public_jwk

FRESH_FOR = timedelta(minutes=10)
USABLE_FOR = timedelta(hours=1)
"""How long keys serve on when they cannot be fetched: revoking one takes effect within that time."""
RETRY_AFTER = timedelta(seconds=30)
MAX_KEYS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteKey:
    """One published verification key."""

    kid: str | None
    algorithms: frozenset[str]  # names of algorithms that it may verify
    public: PublicKey
    jwk: dict[str, Any]


Load = Callable[[], Sequence[RemoteKey]]


class RemoteKeys:
    """The keys of one publisher. Safe between threads.

    Args:
        load: fetches them; raises FetchError.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._keys: tuple[RemoteKey, ...] = ()
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None

    def find(self, algorithm: str, kid: str | None, now: datetime) -> Sequence[RemoteKey]:
        """Keys that may have signed: those of that name, or all of that algorithm when no name is given.

        Raises:
            FetchError: they cannot be had, and none are left to use.
        """
        self.keep_fresh(now)
        found = self._find(algorithm, kid)
        if not found:
            self._refresh(now)
            found = self._find(algorithm, kid)
        return found

    def keep_fresh(self, now: datetime) -> None:
        """Fetch when what is there is old.

        Raises:
            FetchError: it cannot be had, and what is there is too old to use.
        """
        if self._older_than(FRESH_FOR, now):
            self._refresh(now)
        if self._older_than(USABLE_FOR, now):
            raise FetchError("the keys cannot be fetched")

    def _find(self, algorithm: str, kid: str | None) -> Sequence[RemoteKey]:
        return [key for key in self._keys if algorithm in key.algorithms and kid in (None, key.kid)]

    def _older_than(self, age: timedelta, now: datetime) -> bool:
        return self._fetched_at is None or now - self._fetched_at > age

    def _refresh(self, now: datetime) -> None:
        # Only who has no keys at all waits for whoever fetches them: a slow publisher must not hold every thread.
        # And who waits, waits no longer than one call can last: whoever names a client needs no key for that.
        if not self._lock.acquire(timeout=DEADLINE_SECONDS if self._older_than(USABLE_FOR, now) else 0):
            return
        try:
            # Whoever waited here finds the work done.
            if self._tried_at is not None and now - self._tried_at < RETRY_AFTER:
                return
            self._tried_at = now
            self._keys = tuple(self._load())
            self._fetched_at = now
        except FetchError:
            pass  # what is there serves until it is too old
        finally:
            self._lock.release()


def load_key(jwk: Any, *, allow_rs256: bool = False) -> RemoteKey | None:
    """A key of a published set; None for one that is of no use here (RFC 7517 §5: such keys are skipped).

    Args:
        jwk: the member of the set; its ``use``, ``key_ops`` and ``alg`` are honoured.
        allow_rs256: RSA keys may also verify RS256, for ID tokens alone.
    """
    if not isinstance(jwk, dict):
        return None
    # RS256 is unknown to crypto on purpose. The key behind it is checked as any RSA key is; only its alg is set aside.
    is_rs256 = allow_rs256 and jwk.get("alg") == "RS256"
    try:
        public = load_public_jwk({name: jwk[name] for name in jwk if name != "alg" or not is_rs256}, use="sig")
    except MalformedError:
        return None
    algorithms = {public.algorithm}
    if allow_rs256 and jwk.get("kty") == "RSA":
        algorithms = {"RS256", "PS256"} if jwk.get("alg") is None else {jwk["alg"]}
    return RemoteKey(kid=public.kid, algorithms=frozenset(algorithms), public=public, jwk=jwk)


def keys_in(document: Any, *, allow_rs256: bool = False) -> Sequence[RemoteKey]:
    """The usable keys of a published set.

    Raises:
        FetchError: it is no key set, or has too many keys.
    """
    jwks = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(jwks, list) or len(jwks) > MAX_KEYS:
        raise FetchError("the address publishes no usable key set")
    return [key for key in (load_key(jwk, allow_rs256=allow_rs256) for jwk in jwks) if key is not None]
