"""Fetching a small JSON document that an OpenID provider or a client publishes, and asking a token endpoint.

Which addresses may be called is one rule of the house (decision 24, ``exchange.providers.addresses``). Besides that: no
redirects, no proxies of the environment, no compression, and a bound on size and time.
"""

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

from crypto.canonical import load_json
from crypto.errors import MalformedError
from exchange.errors import ProviderUnavailableError
from exchange.http_client import CallError, CallLimits, call
from exchange.providers.addresses import AddressPolicy, Target

MAX_BYTES: Final = 262_144
STEP_SECONDS: Final = 3.0  # connecting, and each read
DEADLINE_SECONDS: Final = 6.0  # of the whole call, however slowly its bytes drip
Method = Literal["GET", "POST"]
_LIMITS: Final = CallLimits(
    connect_seconds=STEP_SECONDS, read_seconds=STEP_SECONDS, total_seconds=DEADLINE_SECONDS, max_bytes=MAX_BYTES
)
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "cdx"}


class FetchError(Exception):
    """The document cannot be had. The message names the address, which is public, and no content."""


def fetch_json(url: str, *, addresses: AddressPolicy, tls: ssl.SSLContext) -> Any:
    """The parsed document.

    Raises:
        FetchError: the address is not allowed, or there is no such document.
    """
    return _fetch(url, "GET", None, {}, addresses, tls)


def post_form(url: str, body: str, *, headers: Mapping[str, str], addresses: AddressPolicy, tls: ssl.SSLContext) -> Any:
    """The parsed answer to a form.

    Raises:
        FetchError: the address is not allowed, or the answer is not a good one.
    """
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return _fetch(url, "POST", body.encode("ascii"), {**form, **headers}, addresses, tls)


def _fetch(
    url: str,
    method: Method,
    body: bytes | None,
    headers: Mapping[str, str],
    addresses: AddressPolicy,
    tls: ssl.SSLContext,
) -> Any:
    try:
        target = addresses.targets(url)[0]
        return load_json(_read(target, tls, method, body, headers), max_bytes=MAX_BYTES, allow_float=True)
    except ProviderUnavailableError:
        raise FetchError(f"{url} is not https and public, and its network is not on the allow-list") from None
    except CallError as exc:
        raise FetchError(f"{url} cannot be fetched: {exc}") from None
    except MalformedError:
        raise FetchError(f"{url} did not answer with JSON") from None


def _read(
    target: Target, tls: ssl.SSLContext, method: Method, content: bytes | None, headers: Mapping[str, str]
) -> bytes:
    with call(method, target, limits=_LIMITS, tls=tls, headers={**_HEADERS, **headers}, content=content) as answer:
        if answer.status != HTTPStatus.OK or "Content-Encoding" in answer.headers:
            raise FetchError(f"{target.host} did not answer with a plain document")
        return answer.read()
