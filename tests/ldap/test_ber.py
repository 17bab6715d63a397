"""BER: lengths in all their forms, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ldap import ber
from protocols.ldap.ber import BadEncoding, BadValue, Cursor, element


@pytest.mark.parametrize(
    ("encoded", "start", "size"),
    [
        ("0400", 2, 0),
        ("0403616263", 2, 3),
        ("048103616263", 3, 3),  # longer than needed
        ("04820003616263", 4, 3),
        ("048400000003616263", 6, 3),  # as Active Directory's clients write it
        ("04880000000000000003616263", 10, 3),
        ("048180" + "00" * 128, 3, 128),
        ("04820100" + "00" * 256, 4, 256),
        ("0483010000" + "00" * 65536, 5, 65536),
    ],
)
def test_lengths_short_and_long(encoded: str, start: int, size: int) -> None:
    data = bytes.fromhex(encoded)
    assert element(data, 0, len(data)) == (4, start, start + size)


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "04",
        "0401",
        "0480616200",  # indefinite
        "04ff" + "00" * 127,
        "0489" + "00" * 9,
        "048201",
        "0484ffffffff",
        "0488ffffffffffffffff",
    ],
)
def test_what_is_no_element(encoded: str) -> None:
    data = bytes.fromhex(encoded)
    with pytest.raises(BadEncoding):
        element(data, 0, len(data))


def test_an_element_does_not_reach_past_the_one_it_is_in() -> None:
    inside = Cursor(bytes.fromhex("3003040561ff0000")).enter
    with pytest.raises(BadEncoding):
        inside().octets()


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 24])
def test_written_lengths_are_the_shortest(size: int) -> None:
    written = ber.length(size)
    assert len(written) == 1 if size < 128 else written[1] != 0
    data = b"\x04" + written + bytes(size)
    assert element(data, 0, len(data))[2] == len(data)


@given(st.integers(-(1 << 62), 1 << 62))
def test_integers_come_back(value: int) -> None:
    assert Cursor(ber.integer(value)).integer(low=-(1 << 62), high=1 << 62) == value


@pytest.mark.parametrize(
    ("encoded", "error"),
    [
        ("0200", BadEncoding),
        ("0209" + "01" * 9, BadEncoding),
        ("0201ff", BadValue),
        ("020500ffffffff", BadValue),
    ],
)
def test_integers_out_of_range(encoded: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Cursor(bytes.fromhex(encoded)).integer()


def test_booleans() -> None:
    assert Cursor(b"\x01\x01\xff").boolean() is True
    assert Cursor(b"\x01\x01\x01").boolean() is True
    assert Cursor(b"\x01\x01\x00").boolean() is False
    with pytest.raises(BadEncoding):
        Cursor(b"\x01\x00").boolean()


def test_text_is_utf8() -> None:
    assert Cursor(b"\x04\x02\xc3\xa9").text() == "é"
    with pytest.raises(BadValue):
        Cursor(b"\x04\x01\xe9").text()
