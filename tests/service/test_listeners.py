"""What is said where a listener cannot be had."""

from __future__ import annotations

import pytest

from imsd.listeners import CannotListen, _bound


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
        _bound("smtp", address, 0)
    assert said in str(caught.value) and address in str(caught.value)
    assert "Unknown error" not in str(caught.value)
