"""The keys that clients sign their assertions with: registered by value, or published at their ``jwks_uri``."""

import ssl
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from api.oauth.cache import RecentlyUsed
from api.oauth.errors import ClientAssertionError
from api.oauth.remote_keys import RemoteKeys, keys_in
from api.oauth.safe_fetch import FetchError, fetch_json
from crypto.canonical import load_json
from crypto.errors import MalformedError, UnknownKeyError
from crypto.jose import PublicKey, load_jwk_set
from exchange.access import ClientRecord
from exchange.providers.addresses import AddressPolicy

_MAX_JWKS_BYTES = 65_536
_JWKS_KEPT = 1024


class ClientKeys:
    """Finds keys of clients. Safe between threads."""

    def __init__(self, *, addresses: AddressPolicy, tls: ssl.SSLContext) -> None:
        self._addresses = addresses
        self._tls = tls
        self._published: RecentlyUsed[RemoteKeys] = RecentlyUsed(_JWKS_KEPT)

    def find(self, client: ClientRecord | None, algorithm: str, kid: str | None, now: datetime) -> Sequence[PublicKey]:
        """Keys of a client that may have signed; none of an unknown one.

        Raises:
            ClientAssertionError: the client publishes its keys, and they cannot be had.
            UnknownKeyError: its registered set cannot be used.
        """
        if client is None:
            return ()
        if client.registration.jwks_uri is None:
            return [key for key in _registered(client.jwks) if key.algorithm == algorithm and kid in (None, key.kid)]
        try:
            found = self._of(client.registration.jwks_uri).find(algorithm, kid, now)
        except FetchError:
            raise ClientAssertionError("the client's keys cannot be fetched from its jwks_uri") from None
        return [key.public for key in found]

    def _of(self, address: str) -> RemoteKeys:
        name = address.encode("ascii")
        known = self._published.get(name)
        if known is None:
            known = RemoteKeys(lambda: keys_in(fetch_json(address, addresses=self._addresses, tls=self._tls)))
            self._published.put(name, known)
        return known


@lru_cache(maxsize=_JWKS_KEPT)
def _registered(jwks: str) -> tuple[PublicKey, ...]:
    """The signature keys of a registered set; it changes only when somebody registers another."""
    try:
        return load_jwk_set(load_json(jwks, max_bytes=_MAX_JWKS_BYTES), use="sig")
    except MalformedError as exc:
        raise UnknownKeyError(f"the registered key set cannot be used: {exc}") from None
