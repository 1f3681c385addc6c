"""Fetching a small JSON document that an OpenID provider or a client publishes, and asking a token endpoint.

Which addresses may be called is one rule of the house (decision 24, ``exchange.providers.addresses``). Besides that: no
redirects, no proxies of the environment, no compression, and a bound on size and time.
"""

import ssl
import time
from collections.abc import Mapping
from typing import Any

import httpx

from crypto.canonical import load_json
from crypto.errors import MalformedError
from exchange.errors import ProviderUnavailableError
from exchange.providers.addresses import AddressPolicy, Target

MAX_BYTES = 262_144
STEP_SECONDS = 3.0  # connecting, and each read
DEADLINE_SECONDS = 6.0  # of the whole answer
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "cdx"}


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
    method: str,
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
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as exc:
        raise FetchError(f"{url} cannot be fetched ({type(exc).__name__})") from None
    except MalformedError:
        raise FetchError(f"{url} did not answer with JSON") from None


def _read(target: Target, tls: ssl.SSLContext, method: str, content: bytes | None, headers: Mapping[str, str]) -> bytes:
    deadline = time.monotonic() + DEADLINE_SECONDS
    transport = httpx.HTTPTransport(verify=tls, trust_env=False)
    with httpx.Client(transport=transport, timeout=STEP_SECONDS, trust_env=False) as client:
        request = client.build_request(
            method,
            target.url,
            content=content,
            headers={**_HEADERS, **headers, "Host": target.host_header},
            # The certificate must be that of the name, though the checked address is what is connected to.
            extensions={"sni_hostname": target.host},
        )
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            if response.status_code != httpx.codes.OK or "Content-Encoding" in response.headers:
                raise FetchError(f"{target.host} did not answer with a plain document")
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_BYTES or time.monotonic() > deadline:
                    raise FetchError(f"{target.host} answered too much or too slowly")
            return bytes(body)
        finally:
            response.close()
