"""COMPRESS=DEFLATE (RFC 4978): both directions, any split, bounded inflation."""

from __future__ import annotations

import zlib

import pytest

from protocols.deflate import PIECE, BadStream, Deflate
from protocols.imap4.server import Imap4Server
from protocols.lines import InputBuffer
from tests.support.imap4 import Client, world_with


class Packed:
    """A client that packs."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.unpacker = zlib.decompressobj(-15)

    def pack(self, data: bytes) -> bytes:
        return self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)

    def say(self, data: bytes, step: int = 1 << 20) -> bytes:
        packed = self.pack(data)
        heard = b""
        for at in range(0, len(packed), step):
            heard += self.client.raw(packed[at : at + step])
        return self.unpacker.decompress(heard)


def packed(count: int = 3) -> Packed:
    client = Client(world_with(count)).select()
    assert client.say(b"c COMPRESS DEFLATE") == b"c OK DEFLATE active\r\n"
    return Packed(client)


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_commands_and_answers_are_packed(step: int) -> None:
    client = packed()
    assert client.say(b"a FETCH 1:3 UID\r\nb NOOP\r\n", step) == (
        b"* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n"
        b"a OK FETCH completed\r\nb OK NOOP completed\r\n"
    )
    data = b"x" * 300_000
    done = client.say(b"d APPEND INBOX {300000+}\r\n" + data + b"\r\n", step)
    assert b"d OK [APPENDUID 101 4]" in done
    assert client.client.world.boxes["INBOX"].records[-1].data == data


def test_it_begins_once_and_with_nothing_behind_it() -> None:
    client = Client().login()
    assert b"a BAD" in client.say(b"a COMPRESS DEFLATE", b"b NOOP")
    assert client.say(b"c COMPRESS LZW").startswith(b"c BAD")
    twice = packed()
    assert twice.say(b"d COMPRESS DEFLATE\r\n").startswith(b"d BAD")
    assert twice.say(b"e NOOP\r\n") == b"e OK NOOP completed\r\n"


def test_what_inflates_to_very_much_meets_the_limits() -> None:
    client = packed()
    assert client.say(b"a " + b"x" * 10_000_000).startswith(b"* BYE [TOOBIG]")
    assert client.client.closed


def test_a_piece_is_unpacked_at_a_time() -> None:
    layer, buffer = Deflate(), InputBuffer()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    layer.feed(packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH))
    assert layer.into(buffer)
    assert len(buffer) == PIECE
    while layer.into(buffer):
        pass
    assert len(buffer) == 1_000_000


def test_garbage_ends_the_connection() -> None:
    client = packed()
    client.client.raw(b"\xff" * 100)
    assert client.client.closed
    layer = Deflate()
    layer.feed(b"\xff" * 10)
    with pytest.raises(BadStream):
        layer.into(InputBuffer())


def test_another_login_needs_another_connection() -> None:
    client = packed()
    assert client.say(b"a UNAUTHENTICATE\r\n").startswith(b"* BYE")
    assert client.client.closed
    assert isinstance(client.client.server, Imap4Server)
