"""Where an agency answers live, read from its profile. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crypto.errors import CryptoError
from crypto.jose import PublicKey, load_jwk_set

PROFILE_MEMBER: Final = "live"
"""Member of an agency's profile: ``{"endpoint": URL, "jwks": {"keys": […]}, "scheme": …}``, the last one optional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveEndpoint:
    """Where an agency answers, and the public keys it signs and decrypts with.

    Attributes:
        url: receives the queries.
        signature_keys: any of them signs answers.
        encryption_key: queries are encrypted to it.
        scheme: under which kind of identifier the agency knows people; None: everybody has one identifier only.
    """

    url: str
    signature_keys: tuple[PublicKey, ...]
    encryption_key: PublicKey
    scheme: str | None = None

    @classmethod
    def from_profile(cls, profile: Mapping[str, Any]) -> "LiveEndpoint | None":
        """Read an agency's profile; None: it has no live endpoint.

        Raises:
            ValueError: the entry is not complete, or a key in it is not usable.
        """
        live = profile.get(PROFILE_MEMBER)
        if live is None:
            return None
        match live:
            case {"endpoint": str(url), "jwks": dict(jwks)} if isinstance(live.get("scheme"), str | None):
                scheme = live.get("scheme")
            case _:
                raise ValueError("a live endpoint has a URL (endpoint), public keys (jwks), and perhaps a scheme")
        try:
            signature_keys, encryption_keys = load_jwk_set(jwks, use="sig"), load_jwk_set(jwks, use="enc")
        except CryptoError as exc:
            raise ValueError(f"the keys of a live endpoint are not usable: {exc}") from exc
        if not signature_keys or len(encryption_keys) != 1:
            raise ValueError("a live endpoint has at least one signature key and exactly one encryption key")
        return cls(url=url, signature_keys=signature_keys, encryption_key=encryption_keys[0], scheme=scheme)
