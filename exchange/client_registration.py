"""What a client registers besides its keys and scopes (RFC 7591 §2): grant types, redirect URIs, where its keys stand.

Pure. Stored as canonical JSON with only what differs from the default, so that the log can hold its digest.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from crypto import canonical

CLIENT_CREDENTIALS: Final = "client_credentials"
AUTHORIZATION_CODE: Final = "authorization_code"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105  # the name of a grant, no token
GRANT_TYPES: Final = (CLIENT_CREDENTIALS, AUTHORIZATION_CODE, REFRESH_TOKEN)
MAX_REDIRECT_URIS: Final = 16
MAX_URI: Final = 1000
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})  # RFC 8252 §8.3: not "localhost", which may be somebody else
_URI: Final = re.compile(r"[!#-;=?-Z\[\]_a-z~%]+", re.ASCII)  # RFC 3986: no space, quote, backslash, < > ^ ` { | }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistration:
    """What is registered of a client.

    Attributes:
        grant_types: what it may ask tokens with.
        redirect_uris: where people may be sent back to; compared as text, character by character (RFC 9700 §2.1).
        jwks_uri: where its signature keys stand; None: they are registered by value. The key that answers are
            encrypted to is always registered by value: the log names it.
    """

    grant_types: tuple[str, ...] = (CLIENT_CREDENTIALS,)
    redirect_uris: tuple[str, ...] = ()
    jwks_uri: str | None = None

    def faults(self) -> Iterator[str]:
        """Everything that forbids it."""
        if not self.grant_types or not set(self.grant_types) <= set(GRANT_TYPES):
            yield f"grant_types: expected at least one of {', '.join(GRANT_TYPES)}"
        has_code = AUTHORIZATION_CODE in self.grant_types
        if REFRESH_TOKEN in self.grant_types and not has_code:
            yield "grant_types: refresh_token comes with authorization_code"
        if has_code != bool(self.redirect_uris) or len(self.redirect_uris) > MAX_REDIRECT_URIS:
            yield f"redirect_uris: expected 1 to {MAX_REDIRECT_URIS} with authorization_code, and none without"
        for uri in self.redirect_uris:
            if not is_redirect_uri(uri):
                yield "redirect_uris: expected https without user and fragment, or http to 127.0.0.1 or [::1]"
        if self.jwks_uri is not None and not is_https(self.jwks_uri):
            yield "jwks_uri: expected https without user and fragment"

    def to_text(self) -> str:
        """The stored form; of a client with nothing special ``{}``."""
        default = ClientRegistration()
        content: dict[str, Any] = {}
        if self.grant_types != default.grant_types:
            content["grant_types"] = sorted(set(self.grant_types))
        if self.redirect_uris:
            content["redirect_uris"] = sorted(set(self.redirect_uris))
        if self.jwks_uri is not None:
            content["jwks_uri"] = self.jwks_uri
        return canonical.encode(content).decode()


@lru_cache(maxsize=1024)
def registration_of(stored: str) -> ClientRegistration:
    """The value of a stored text; a client is looked up with each token that it asks for."""
    content: Mapping[str, Any] = canonical.decode(stored.encode())
    return ClientRegistration(
        grant_types=tuple(content.get("grant_types", (CLIENT_CREDENTIALS,))),
        redirect_uris=tuple(content.get("redirect_uris", ())),
        jwks_uri=content.get("jwks_uri"),
    )


def is_https(uri: str) -> bool:
    """Whether this is an https address without user information and fragment."""
    parts = _parts(uri)
    return parts is not None and parts[0] == "https"


def is_redirect_uri(uri: str) -> bool:
    """Whether people may be sent there: https, or a program on their own machine (RFC 8252 §7.3)."""
    parts = _parts(uri)
    return parts is not None and (parts[0] == "https" or parts[1] in _LOOPBACK)


def _parts(uri: str) -> tuple[str, str] | None:
    """Scheme and host of an http or https address in plain characters; None: something else."""
    if len(uri) > MAX_URI or _URI.fullmatch(uri) is None:
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http") or not uri.startswith(f"{parts.scheme}://") or not parts.hostname:
        return None
    return None if "@" in parts.netloc or "#" in uri else (parts.scheme, parts.hostname)
