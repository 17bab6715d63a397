"""Where a server listens, and what is said where a listener cannot be had."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from imsd import config
from imsd.listeners import CannotListen, Listeners, _bound, _everywhere
from tests.support.servers import free_offset


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("bogus.invalid", "server.addresses in imsd.toml takes IP addresses"),
        ("not an address", "server.addresses in imsd.toml takes IP addresses"),
        ("192.0.2.77", "this machine does not have that address; correct server.addresses"),
        ("fe80::zz", "server.addresses in imsd.toml takes IP addresses"),
    ],
)
def test_an_address_that_is_none(address: str, said: str) -> None:
    with pytest.raises(CannotListen) as caught:
        _bound("smtp", address, 0, True)
    assert said in str(caught.value) and address in str(caught.value)
    assert "Unknown error" not in str(caught.value)


@pytest.mark.skipif(_everywhere() != ("::",), reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("addresses", "both"),
    [
        (("::",), True),
        (("0.0.0.0", "::"), False),
        (("::", "127.0.0.1"), False),
        (("127.0.0.1", "::1"), False),
    ],
)
def test_ipv4_beside_every_address_of_ipv6(tmp_path: Path, addresses: tuple[str, ...], both: bool) -> None:
    """The two do not take the port from each other."""
    offset = free_offset()
    listeners = Listeners(config.parse(config.render("localhost", offset, "sqlite", addresses), tmp_path))
    listeners.bind(["smtp"])
    try:
        bound = listeners._sockets["smtp"]
        assert len(bound) == len(addresses)
        six = next(one for one in bound if one.family == socket.AF_INET6)
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == (0 if both else 1)
    finally:
        listeners.close()
