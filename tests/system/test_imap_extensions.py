"""Extensions of IMAP4 against the running server, over TLS and packed."""

from __future__ import annotations

import re
import socket
import zlib

import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


class Wire:
    """A connection that may pack."""

    def __init__(self, server: RunningServer) -> None:
        plain = socket.create_connection(("127.0.0.1", server.port("imaps")), timeout=30)
        self.socket = server.tls().wrap_socket(plain, server_hostname="localhost")
        self.packer = self.unpacker = None
        self.held = b""
        self.until(rb"\* OK .*\r\n")

    def until(self, pattern: bytes) -> bytes:
        while not (found := re.search(pattern, self.held)):
            data = self.socket.recv(65536)
            assert data, self.held
            self.held += data if self.unpacker is None else self.unpacker.decompress(data)
        said, self.held = self.held[: found.end()], self.held[found.end() :]
        return said

    def say(self, line: bytes) -> bytes:
        tag = line.split(b" ", 1)[0]
        data = line + b"\r\n"
        if self.packer is not None:
            data = self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(data)
        return self.until(rb"(?m)^%b (OK|NO|BAD) .*\r\n" % tag)

    def pack(self) -> None:
        assert b"OK" in self.say(b"z COMPRESS DEFLATE")
        self.packer = zlib.compressobj(wbits=-15)
        self.unpacker = zlib.decompressobj(-15)


def test_extensions_over_a_packed_connection(server: RunningServer) -> None:
    wire = Wire(server)
    assert b" OK" in wire.say(b'a LOGIN "%b" "%b"' % (server.address("alice").encode(), PASSWORD.encode()))
    wire.pack()
    assert b"[MAILBOXID (F" in wire.say(b"b CREATE Packed")
    done = wire.say(b"c APPEND Packed {14+}\r\nSubject: 1\r\n\r\n {14+}\r\nSubject: 2\r\n\r\n")
    assert re.search(rb"APPENDUID \d+ 1:2\]", done)
    assert b"2 EXISTS" in wire.say(b"d SELECT Packed")
    assert b"* 1 EXPUNGE" in wire.say(b"e REPLACE 1 Packed {400000+}\r\n" + b"x" * 400_000)
    shown = wire.say(b"f FETCH 2 (UID RFC822.SIZE SAVEDATE EMAILID THREADID PREVIEW)")
    assert b"UID 3 RFC822.SIZE 400000 SAVEDATE " in shown
    assert len(wire.say(b"g FETCH 2 BODY.PEEK[]")) > 400_000
    assert b"* QUOTA #user/" in wire.say(b"h GETQUOTAROOT Packed")
    assert b"NOPERM" in wire.say(b"i SETQUOTA #user/alice (STORAGE 1)")
    wire.say(b"j UNSELECT")
    assert b"j2 OK" in wire.say(b"j2 DELETE Packed")
    wire.socket.close()
