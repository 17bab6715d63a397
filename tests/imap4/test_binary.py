"""literal8 in APPEND and what it is put together from, in the conversation (RFC 3516 4.4, RFC 4469)."""

from __future__ import annotations

import pytest

from protocols.imap4.server import Limits
from tests.support.imap4 import Client, World, world_with


def stored(client: Client) -> list[bytes]:
    return [record.data for record in client.world.boxes["INBOX"].records]


def test_octets_of_every_value_are_appended_as_they_are() -> None:
    client = Client(World()).login()
    every = b"\r\n" + bytes(range(256))
    assert client.raw(b"a APPEND INBOX ~{258}\r\n") == b"+ Ready\r\n"
    assert client.raw(every + b"\r\n").startswith(b"a OK ")
    assert stored(client) == [every]


def test_each_message_of_several_says_whether_it_is_binary() -> None:
    client = Client(World()).login()
    assert client.raw(b"a APPEND INBOX (\\Seen) ~{3+}\r\na\0b {3+}\r\ncde ~{2+}\r\n\0\0\r\n").startswith(
        b"a OK "
    )
    assert stored(client) == [b"a\0b", b"cde", b"\0\0"]
    # A literal among them holds no NUL: none of the command is kept.
    assert client.raw(b"b APPEND INBOX ~{3+}\r\na\0b {3+}\r\nc\0e ~{2+}\r\n\0\0\r\n").startswith(b"b BAD ")
    assert len(stored(client)) == 3
    assert client.say(b"c NOOP").endswith(b"c OK NOOP completed\r\n")


def test_text_of_catenate_may_be_binary() -> None:
    client = Client(World()).login()
    said = client.raw(b"a APPEND INBOX CATENATE (TEXT {4+}\r\nx\r\n\r TEXT ~{3+}\r\na\0b)\r\n")
    assert said.startswith(b"a OK ")
    assert stored(client) == [b"x\r\n\ra\0b"]
    said = client.raw(b"b APPEND INBOX CATENATE (TEXT ~{3+}\r\na\0b TEXT {3+}\r\nc\0d)\r\n")
    assert said == b"b BAD Expected a literal without NUL\r\n"
    assert len(stored(client)) == 1


@pytest.mark.parametrize(
    ("waits", "goes_on"),
    [
        (b"a APPEND INBOX ~{3}", b"a APPEND INBOX ~{3+}\r\na\0b\r\n"),
        (b"a APPEND INBOX {1+}\r\nx ~{3}", b"a APPEND INBOX {1+}\r\nx ~{3+}\r\na\0b\r\n"),
        (b"a APPEND INBOX CATENATE (TEXT ~{3}", b"a APPEND INBOX CATENATE (TEXT ~{3+}\r\na\0b)\r\n"),
        (
            b"a APPEND INBOX CATENATE (TEXT {1+}\r\nx TEXT ~{3}",
            b"a APPEND INBOX CATENATE (TEXT {1+}\r\nx TEXT ~{3+}\r\na\0b)\r\n",
        ),
        (b"a REPLACE 1 INBOX ~{3}", b"a REPLACE 1 INBOX ~{3+}\r\na\0b\r\n"),
    ],
    ids=["append", "several", "catenate", "catenate, second", "replace"],
)
def test_where_binary_is_off_nothing_is_asked_for_and_what_comes_is_skipped(
    waits: bytes, goes_on: bytes
) -> None:
    for line in (waits + b"\r\n", goes_on):
        client = Client(world_with(1), limits=lambda: Limits(off=frozenset({b"BINARY"}))).select()
        said = client.raw(line)
        assert said.startswith(b"a BAD ") and b"+ " not in said and said.count(b"\r\n") == 1
        assert len(stored(client)) == 1
        assert client.say(b"z NOOP") == b"z OK NOOP completed\r\n"
        # Where it is on, the same is served.
        client = Client(world_with(1)).select()
        said = client.raw(line)
        assert said.endswith(b"+ Ready\r\n") or b"\r\na OK " in said


def test_a_binary_literal_that_is_too_large_is_skipped_whole() -> None:
    client = Client(World()).login()
    client.world.boxes["INBOX"].limit = 10
    assert client.raw(b"a APPEND INBOX ~{20+}\r\n" + b"\0" * 20 + b"\r\n").startswith(b"a NO [TOOBIG]")
    assert client.say(b"z NOOP").endswith(b"z OK NOOP completed\r\n")


@pytest.mark.parametrize("item", [b"BINARY.PEEK[1]", b"BINARY[1]", b"BINARY.PEEK[1]<0.1>", b"BINARY.SIZE[1]"])
def test_an_unknown_encoding_fails_the_fetch(item: bytes) -> None:
    client = Client(World()).select()
    message = b"Content-Transfer-Encoding: x-none\r\n\r\na\0b"
    assert client.raw(b"a APPEND INBOX ~{%d+}\r\n%b\r\n" % (len(message), message)).count(b"\r\na OK ")
    assert client.say(b"b FETCH 1 " + item).endswith(
        b"b NO [UNKNOWN-CTE] Unknown content transfer encoding\r\n"
    )
    # The whole is what it is.
    assert b"\r\n\r\na\0b" in client.say(b"c FETCH 1 BINARY.PEEK[]")
