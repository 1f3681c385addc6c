"""Fetching a small JSON document from an address that another party names (decision 24).

https with a verified certificate, public addresses, no redirects, no proxies of the environment, no compression, a size
and a time that are bounded. An operator's allow-list opens private networks (governments have them); plain http and
loopback are for development.
"""

import socket
import time
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from crypto.canonical import load_json
from crypto.errors import MalformedError

Network = IPv4Network | IPv6Network

MAX_BYTES = 262_144
TIMEOUT_SECONDS = 3.0  # of each step: connecting, each read
DEADLINE_SECONDS = 6.0  # of the whole answer


class FetchError(Exception):
    """The document cannot be had. The message names the address, which is public, and no content."""


class SafeFetcher:
    """Fetches JSON documents. One per process; safe between threads."""

    def __init__(
        self, *, trusted_host: str, private_networks: Sequence[Network] = (), allow_http: bool = False
    ) -> None:
        """Prepare.

        Args:
            trusted_host: the host that the operator configured; it may have any address.
            private_networks: further networks that are not public and may be reached.
            allow_http: take plain http, and any address: development only.
        """
        self._allow_http = allow_http
        self._trusted_host = trusted_host
        self._private_networks = tuple(private_networks)
        self._client = httpx.Client(
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "cdx"},
        )

    def get(self, url: str) -> Any:
        """The parsed document.

        Raises:
            FetchError: the address is not allowed, or there is no such document.
        """
        self._check(url)
        try:
            body = self._read(url)
            return load_json(body, max_bytes=MAX_BYTES, allow_float=True)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise FetchError(f"{url} cannot be fetched ({type(exc).__name__})") from None
        except MalformedError:
            raise FetchError(f"{url} did not answer with JSON") from None

    def _read(self, url: str) -> bytes:
        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise FetchError(f"{url} answered {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise FetchError(f"{url} answered compressed although it was asked not to")
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_BYTES or time.monotonic() > deadline:
                    raise FetchError(f"{url} answered too much or too slowly")
            return bytes(body)

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise FetchError("an address that cannot be read") from None
        if parts.scheme != "https" and not (self._allow_http and parts.scheme == "http"):
            raise FetchError(f"{url} is not https")
        if not parts.hostname or "@" in parts.netloc or parts.fragment:
            raise FetchError(f"{url} names no host, or more than one may name")
        if not self._allow_http and parts.hostname != self._trusted_host:
            self._require_allowed(parts.hostname, port or 443)

    def _require_allowed(self, host: str, port: int) -> None:
        # The name may resolve differently a moment later; whoever answers then still needs that name's certificate.
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise FetchError(f"{host} has no address") from None
        for entry in found:
            address = ip_address(entry[4][0])
            if not address.is_global and not any(address in network for network in self._private_networks):
                raise FetchError(f"{host} has an address that is not public")
