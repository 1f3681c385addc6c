"""Checks on the claims of any signed token that is presented to this package."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.oauth.errors import RefusedError

FUTURE_SECONDS = 30
"""How far a clock may run ahead of ours. FAPI 2.0 SP §5.3.2.1-13: accept up to 10 s, refuse beyond 60 s."""
LONGEST_TEXT = 512


def text_claim(claims: Mapping[str, Any], name: str, *, error: type[RefusedError]) -> str:
    """A claim that is a text of 1 to 512 characters.

    Raises:
        RefusedError: of the type given.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT:
        raise error(f"{name} must be a text of 1 to {LONGEST_TEXT} characters")
    return value


def time_claim(claims: Mapping[str, Any], name: str, *, error: type[RefusedError]) -> float:
    """A NumericDate (RFC 7519 §2): seconds since the Unix epoch.

    Raises:
        RefusedError: of the type given.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise error(f"{name} is missing or is no number of seconds")
    return float(value)


def require_past(claims: Mapping[str, Any], name: str, now: datetime, *, error: type[RefusedError]) -> float:
    """A time that has come (``iat``, ``nbf``), as far as two clocks can agree.

    Raises:
        RefusedError: of the type given.
    """
    value = time_claim(claims, name, error=error)
    ahead = value - now.timestamp()
    if ahead > FUTURE_SECONDS:
        raise error(f"{name} lies {ahead:.0f} s in the future by our clock; at most {FUTURE_SECONDS} s are accepted")
    return value


def require_recent(
    claims: Mapping[str, Any], name: str, now: datetime, *, max_age: float, error: type[RefusedError]
) -> float:
    """A time that has come, no longer ago than ``max_age`` seconds.

    Raises:
        RefusedError: of the type given.
    """
    value = require_past(claims, name, now, error=error)
    age = now.timestamp() - value
    if age > max_age:
        raise error(f"{name} lies {age:.0f} s in the past by our clock; at most {max_age:.0f} s are accepted")
    return value


def require_unexpired(claims: Mapping[str, Any], now: datetime, *, error: type[RefusedError]) -> float:
    """An ``exp`` that lies ahead. No leeway: whoever made the token chose the time.

    Raises:
        RefusedError: of the type given.
    """
    expires = time_claim(claims, "exp", error=error)
    late = now.timestamp() - expires
    if late >= 0:
        raise error(f"the token expired {late:.0f} s ago by our clock")
    return expires
