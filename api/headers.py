"""The headers of every answer, whatever it is."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

VIEWS_MAY_SET: Final = frozenset({"Cache-Control", "Content-Security-Policy", "Cross-Origin-Resource-Policy"})
"""Those that a view may set otherwise: a page may be kept, or needs its style sheet."""


@lru_cache(maxsize=4)
def security_headers(public_url: str) -> Mapping[str, str]:
    """Headers that keep browsers and caches from doing what nobody asked for."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return MappingProxyType(headers)
