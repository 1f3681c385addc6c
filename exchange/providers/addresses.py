"""Which addresses may be called (decision 24): https and public ones, and what the operator's allow-list opens.

A name is resolved once, what it resolves to is checked, and exactly that address is connected to: a name that answers
differently the second time (DNS rebinding) gains nothing.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from exchange.errors import ProviderUnavailableError

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_NAT64: Final = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address that may be connected to, and the name to ask it for."""

    address: Address
    host: str
    port: int
    tls: bool
    path: str

    @property
    def url(self) -> str:
        """The URL with the address in place of the name."""
        literal = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{'https' if self.tls else 'http'}://{literal}:{self.port}{self.path}"

    @property
    def host_header(self) -> str:
        """The name, with the port where it is not the usual one (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPolicy:
    """What may be called.

    Attributes:
        allowed: networks that are open though they are not public; plain http is allowed in these only.
    """

    allowed: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, networks: Sequence[str]) -> "AddressPolicy":
        """Read networks such as ``10.1.0.0/16`` or ``127.0.0.1``.

        Raises:
            ValueError: one of them is no network.
        """
        return cls(allowed=tuple(ip_network(text) for text in networks))

    def targets(self, url: str) -> list[Target]:
        """The addresses behind ``url`` that may be connected to, in the order of the resolver.

        Raises:
            ProviderUnavailableError: the URL is not one to call, the name is unknown, or no address of it is allowed.
        """
        scheme, host, port, path = _split(url)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise ProviderUnavailableError("the provider's host name does not resolve") from exc
        addresses = dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found)
        tls = scheme == "https"
        permitted = [address for address in addresses if self.permits(address, tls=tls)]
        if not permitted:
            raise ProviderUnavailableError(
                "the provider's address is neither https and public nor on the operator's allow-list"
            )
        return [Target(address=address, host=host, port=port, tls=tls, path=path) for address in permitted]

    def permits(self, address: Address, *, tls: bool) -> bool:
        """Whether this address may be called."""
        meant = _meant(address)
        if any(meant in network for network in self.allowed if network.version == meant.version):
            return True
        return tls and meant.is_global and not meant.is_multicast


def _split(url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as exc:
        raise ProviderUnavailableError("the provider's endpoint is not a URL") from exc
    plain = parts.username is None and parts.password is None and not parts.fragment
    if parts.scheme not in ("https", "http") or not parts.hostname or not plain:
        raise ProviderUnavailableError("the provider's endpoint is not an https URL without user name and fragment")
    path = parts.path or "/"
    return parts.scheme, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does: a tunnel is no way around the check."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)
