"""The one configured OpenID provider (OIDC Discovery §4): its keys, and where people sign in."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.oauth.errors import SignInUnavailableError
from api.oauth.remote_keys import RemoteKey, RemoteKeys, keys_in
from api.oauth.safe_fetch import FetchError, fetch_json
from exchange.providers.addresses import AddressPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderMetadata:
    """What a relying party needs of the provider's metadata; None: not published."""

    authorization_endpoint: str | None
    token_endpoint: str | None
    names_itself: bool  # answers carry ``iss`` (RFC 9207 §3)


class OpenIDProvider:
    """Finds keys and endpoints. Safe between threads."""

    def __init__(self, issuer: str, *, addresses: AddressPolicy, tls: ssl.SSLContext) -> None:
        self._issuer = issuer
        self._addresses = addresses
        self._tls = tls
        self._keys = RemoteKeys(self._fetch)
        self._metadata: ProviderMetadata | None = None

    def keys(self, algorithm: str, kid: str | None, now: datetime) -> Sequence[RemoteKey]:
        """Keys that may have signed: those of that name, or all of that algorithm when no name is given.

        Raises:
            SignInUnavailableError: the provider cannot be reached and no keys are left to use.
        """
        try:
            return self._keys.find(algorithm, kid, now)
        except FetchError:
            raise SignInUnavailableError(f"the keys of {self._issuer} cannot be fetched") from None

    def metadata(self, now: datetime) -> ProviderMetadata:
        """Where people sign in; fetched with the keys, and as fresh as they are.

        Raises:
            SignInUnavailableError: as :meth:`keys`.
        """
        try:
            self._keys.keep_fresh(now)
        except FetchError:
            raise SignInUnavailableError(f"the metadata of {self._issuer} cannot be fetched") from None
        assert self._metadata is not None  # fetched before the keys
        return self._metadata

    def _get(self, url: str) -> Any:
        return fetch_json(url, addresses=self._addresses, tls=self._tls)

    def _fetch(self) -> Sequence[RemoteKey]:
        metadata = self._get(self._issuer.rstrip("/") + "/.well-known/openid-configuration")
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
            raise FetchError("the provider's metadata names another issuer")
        address = metadata.get("jwks_uri")
        keys = keys_in(self._get(address) if isinstance(address, str) else None, allow_rs256=True)
        self._metadata = ProviderMetadata(
            authorization_endpoint=self._address(metadata, "authorization_endpoint"),
            token_endpoint=self._address(metadata, "token_endpoint"),
            names_itself=metadata.get("authorization_response_iss_parameter_supported") is True,
        )
        return keys

    def _address(self, metadata: dict[str, Any], name: str) -> str | None:
        value = metadata.get(name)
        # Nobody is sent, and no code goes, over less than the issuer itself uses.
        scheme = self._issuer.partition("://")[0] + "://"
        return value if isinstance(value, str) and value.startswith(("https://", scheme)) else None
