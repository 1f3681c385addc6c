"""Which addresses may be called (decision 24)."""

import socket
from ipaddress import ip_address

import pytest

from exchange.errors import ProviderUnavailableError
from exchange.providers.addresses import AddressPolicy

NONE = AddressPolicy()
SOME = AddressPolicy.parse(["10.1.0.0/16", "fd00::/8", "127.0.0.1"])


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_may_be_called_over_https_only(address):
    assert NONE.permits(ip_address(address), tls=True)
    assert not NONE.permits(ip_address(address), tls=False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
        "64:ff9b::a9fe:a9fe",  # NAT64 of the metadata address
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "2002:a00:1::1",
    ],
)
def test_any_other_address_may_not(address):
    assert not NONE.permits(ip_address(address), tls=True)


def test_the_allow_list_opens_networks_with_and_without_tls():
    for address in ("10.1.2.3", "127.0.0.1", "fd12::1", "::ffff:10.1.2.3"):
        assert SOME.permits(ip_address(address), tls=True)
        assert SOME.permits(ip_address(address), tls=False)
    assert not SOME.permits(ip_address("10.2.0.1"), tls=True)
    with pytest.raises(ValueError, match="network"):
        AddressPolicy.parse(["everything"])


def resolving(monkeypatch, *addresses: str) -> None:
    found = [
        (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)


def test_only_what_was_checked_is_connected_to_and_the_name_goes_along(monkeypatch):
    resolving(monkeypatch, "10.0.0.1", "8.8.8.8", "8.8.8.8", "2001:4860:4860::8888", "fe80::1%eth0")
    first, second = NONE.targets("https://provider.example/ask?x=1")
    assert (first.url, first.host, first.host_header) == (
        "https://8.8.8.8:443/ask?x=1",
        "provider.example",
        "provider.example",
    )
    assert second.url == "https://[2001:4860:4860::8888]:443/ask?x=1"
    assert NONE.targets("https://provider.example:8443")[0].host_header == "provider.example:8443"


def test_a_name_with_private_addresses_only_is_refused(monkeypatch):
    resolving(monkeypatch, "10.0.0.1", "::1")
    with pytest.raises(ProviderUnavailableError, match="allow-list"):
        NONE.targets("https://provider.example/")


@pytest.mark.parametrize(
    "url", ["", "provider", "file:///etc/passwd", "https://", "https://a@b/", "https://b/#c", "https://[::1"]
)
def test_what_is_no_https_url_is_refused_before_it_is_resolved(monkeypatch, url):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: pytest.fail("resolved"))
    with pytest.raises(ProviderUnavailableError):
        NONE.targets(url)
