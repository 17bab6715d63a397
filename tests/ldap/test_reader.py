"""The reader: any split of the input gives the same messages, and no more is kept than fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ldap import client
from protocols.ldap.ber import BadEncoding
from protocols.ldap.messages import DeleteRequest, Request
from protocols.ldap.reader import LARGE, Budget, NoRoom, Reader, TooBig
from protocols.lines import NEED_DATA
from tests.ldap import strategies


def everything(reader: Reader) -> list[bytes]:
    found = []
    while (taken := reader.next()) is not NEED_DATA:
        found.append(taken)
    return found


@given(st.lists(strategies.requests, max_size=4), st.data())
def test_any_split_gives_the_same(requests: list[Request], data: st.DataObject) -> None:
    messages = [client.write(number, request) for number, request in enumerate(requests, 1)]
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = Reader(1 << 20)
    found = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:stop])
        if data.draw(st.booleans()):
            found += everything(reader)
    assert found + everything(reader) == messages
    assert not len(reader)


def test_what_was_wanted_of_an_empty_buffer_is_not_wanted_of_a_full_one() -> None:
    message = client.write(1, DeleteRequest("dc=x"))
    reader = Reader(1 << 20)
    assert reader.next() is NEED_DATA
    reader.feed(message[:-1])
    reader.feed(message[-1:])
    assert everything(reader) == [message]


def test_octet_by_octet() -> None:
    message = client.write(1, DeleteRequest("dc=" + "x" * 70_000))
    reader = Reader(1 << 20)
    for number in range(len(message)):
        assert reader.next() is NEED_DATA
        reader.feed(message[number : number + 1])
    assert everything(reader) == [message]


def test_too_big_is_known_from_the_first_octets() -> None:
    reader = Reader(1000)
    reader.feed(bytes.fromhex("308203e9"))
    with pytest.raises(TooBig):
        reader.next()


def test_the_limit_itself_fits() -> None:
    reader = Reader(1000)
    reader.feed(bytes.fromhex("308203e8") + bytes(1000))
    assert isinstance(reader.next(), bytes)


@pytest.mark.parametrize("start", [b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01", b"\x30\x80", b"\x30\xff"])
def test_what_is_no_ldap_ends_it(start: bytes) -> None:
    reader = Reader(1000)
    reader.feed(start)
    with pytest.raises(BadEncoding):
        reader.next()


def test_cleared() -> None:
    reader = Reader(1000)
    message = client.write(1, DeleteRequest("dc=x"))
    reader.feed(message + message[:5])
    reader.next()
    reader.feed(b"more")
    reader.clear()
    assert len(reader) == 0
    reader.feed(message)
    assert everything(reader) == [message]


def test_large_messages_share_a_budget() -> None:
    budget = Budget(300_000)
    message = client.write(1, DeleteRequest("dc=" + "x" * 200_000))
    first, second = Reader(1 << 20, budget), Reader(1 << 20, budget)
    first.feed(message[:10])
    assert first.next() is NEED_DATA
    second.feed(message[:10])
    with pytest.raises(NoRoom):
        second.next()
    first.feed(message[10:])
    assert everything(first) == [message]
    second.feed(b"")
    assert second.next() is NEED_DATA
    second.clear()
    assert budget.left == 300_000


def test_small_messages_need_no_budget() -> None:
    reader = Reader(1 << 20, Budget(0))
    message = client.write(1, DeleteRequest("dc=" + "x" * (LARGE - 100)))
    reader.feed(message[:10])
    assert reader.next() is NEED_DATA
    reader.feed(message[10:])
    assert everything(reader) == [message]
