"""Extensions of IMAP4 against the running server, over TLS and packed."""

from __future__ import annotations

import re
import smtplib
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


def test_a_url_lets_another_read_one_message(server: RunningServer) -> None:
    wires = []
    for name in ("alice", "bob"):
        wires.append(Wire(server))
        login = b'a LOGIN "%b" "%b"' % (server.address(name).encode(), PASSWORD.encode())
        assert b" OK" in wires[-1].say(login)
    alice, bob = wires
    assert b" URLAUTH" in alice.say(b"b CAPABILITY")
    alice.say(b"c CREATE Shared")
    assert b"1:2]" in alice.say(
        b"d APPEND Shared {400016+}\r\nSubject: big\r\n\r\n"
        + b"x" * 400_000
        + b" {14+}\r\nSubject: 2\r\n\r\n"
    )
    assert b"[URLMECH INTERNAL]" in alice.say(b"e SELECT Shared")
    owner = server.address("alice").replace("@", "%40").encode()
    reader = server.address("bob").replace("@", "%40").encode()
    rump = b"imap://%b@localhost/Shared/;UID=1;URLAUTH=user+%b" % (owner, reader)
    signed = re.search(rb'GENURLAUTH ("[^"]+")', alice.say(b'f GENURLAUTH "%b" INTERNAL' % rump))
    assert signed is not None
    url = signed[1]
    assert url.startswith(b'"' + rump + b":internal:01")
    fetched = bob.say(b"g URLFETCH %b" % url)
    assert b"* URLFETCH %b {400016}\r\nSubject: big\r\n" % url in fetched
    assert len(fetched) > 400_016
    other = url.replace(b";UID=1", b";UID=2")
    assert b"* URLFETCH %b NIL\r\n" % other in bob.say(b"h URLFETCH %b" % other)
    assert b"* URLFETCH %b NIL\r\n" % url in alice.say(b"i URLFETCH %b" % url)
    bob.say(b"j CREATE Quoting")
    assert b"APPENDUID" in bob.say(b"k APPEND Quoting CATENATE (URL %b)" % url)
    assert b"[URLMECH INTERNAL]" in alice.say(b"l RESETKEY Shared")
    assert b"* URLFETCH %b NIL\r\n" % url in bob.say(b"m URLFETCH %b" % url)
    assert b"BADURL" in bob.say(b"n APPEND Quoting CATENATE (URL %b)" % url)
    for wire, box in ((alice, b"Shared"), (bob, b"Quoting")):
        wire.say(b"y UNSELECT")
        assert b"z OK" in wire.say(b"z DELETE " + box)
        wire.socket.close()


def test_news_comes_without_a_command(server: RunningServer) -> None:
    """NOTIFY: packed and over TLS, of mail that SMTP brings, beside a client of UIDs alone in IDLE."""
    name = server.address("bob")
    login = b' LOGIN "%b" "%b"' % (name.encode(), PASSWORD.encode())
    wire, idler = Wire(server), Wire(server)
    for each in (wire, idler):
        assert b" OK" in each.say(b"a" + login)
    wire.pack()
    assert b"OK" in wire.say(b"b CREATE Elsewhere")
    assert b"OK" in wire.say(b"c SELECT Elsewhere")
    done = wire.say(
        b"d NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge))"
        b" (personal (MessageNew MessageExpunge MailboxName))"
    )
    assert b"* STATUS INBOX (MESSAGES " in done and b"Elsewhere (" not in done
    assert b"ENABLED UIDONLY" in idler.say(b"b ENABLE UIDONLY")
    assert b"OK" in idler.say(b"c SELECT INBOX")
    assert b"UPDATE" not in idler.say(b"e UID SEARCH RETURN (UPDATE COUNT) UNSEEN")
    idler.socket.sendall(b"d IDLE\r\n")
    idler.until(rb"\+ .*\r\n")
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=30) as smtp:
        smtp.sendmail("someone@example.org", [name], "Subject: News\r\n\r\nHello\r\n")
    assert wire.until(rb"\* STATUS INBOX \(MESSAGES \d+ UIDNEXT \d+\)\r\n")
    told = idler.until(rb'\* ESEARCH \(TAG "e"\) UID ADDTO \(0 \d+\)\r\n')
    assert b" EXISTS\r\n" in told
    idler.socket.sendall(b"DONE\r\n")
    idler.until(rb"d OK .*\r\n")
    assert b"OK" in idler.say(b"f UID COPY 1:* Elsewhere")
    assert wire.until(
        rb"\* \d+ FETCH \(UID 1 BODY\[HEADER\.FIELDS \(SUBJECT\)\] \{17\}\r\nSubject: News\r\n\r\n\)"
    )
    assert b"OK" in idler.say(b"g RENAME Elsewhere There")
    assert wire.until(rb'\* LIST \(.*\) "/" There \("OLDNAME" \(Elsewhere\)\)\r\n')
    # It still is the selected mailbox, and answers.
    assert b"OK" in wire.say(b"e NOOP")


def test_one_search_of_many_mailboxes(server: RunningServer) -> None:
    """ESEARCH: pipelined, of one's own and of what another shares, without selecting anything."""
    wires = {}
    for alias in ("alice", "bob"):
        wires[alias] = wire = Wire(server)
        login = b'a LOGIN "%b" "%b"' % (server.address(alias).encode(), PASSWORD.encode())
        assert b"a OK" in wire.say(login)
        for name in (b"Sought", b"Sought/below", b"Sought/closed"):
            assert b"OK" in wire.say(b"b CREATE " + name)
            text = b"Subject: %b of %b\r\n\r\nA needle.\r\n" % (name, alias.encode())
            assert b"c OK" in wire.say(b"c APPEND %b {%d+}\r\n%b" % (name, len(text), text))
    alice, bob = wires["alice"], wires["bob"]
    assert b"d OK" in bob.say(b"d SETACL Sought alice lr")
    assert b"d OK" in bob.say(b"d SETACL Sought/below alice r")
    alice.socket.sendall(b"e1 ESEARCH IN (subtree-one Sought) RETURN (COUNT) BODY needle\r\n")
    answer = alice.say(
        b'e2 ESEARCH IN (subtree "Other Users/bob/Sought" mailboxes ("Other Users/bob/Sought/below"'
        b' "Other Users/bob/Sought/closed")) SUBJECT "of bob"'
    )
    found = re.findall(rb'\(TAG "(e\d)" MAILBOX (?:"(.*?)"|(\S+)) UIDVALIDITY \d+\) UID (.*)\r\n', answer)
    assert [(tag, quoted + atom, data) for tag, quoted, atom, data in found] == [
        (b"e1", b"Sought", b"COUNT 1"),
        (b"e1", b"Sought/below", b"COUNT 1"),
        (b"e1", b"Sought/closed", b"COUNT 1"),
        (b"e2", b"Other Users/bob/Sought", b"ALL 1"),
        (b"e2", b"Other Users/bob/Sought/below", b"ALL 1"),
    ]
    assert b"f BAD" in alice.say(b"f CHECK")
    assert b"* 1 RECENT" in alice.say(b"g SELECT Sought")
    for wire in wires.values():
        wire.socket.close()


def test_octets_with_nul_come_back_by_binary(server: RunningServer) -> None:
    """literal8 (RFC 3516): BODY and BODYSTRUCTURE say base64, BINARY gives what was appended."""
    wire = Wire(server)
    wire.say(b'a LOGIN "%b" "%b"' % (server.address("alice").encode(), PASSWORD.encode()))
    wire.say(b"b CREATE Octets")
    octets = bytes(range(256)) * 1000
    message = b"Content-Type: application/x\r\nContent-Transfer-Encoding: binary\r\n\r\n" + octets
    assert b"APPENDUID" in wire.say(b"c APPEND Octets ~{%d+}\r\n%b" % (len(message), message))
    assert b"[UNKNOWN-CTE]" in wire.say(b"d APPEND Octets ~{18+}\r\nSubject: \0\r\n\r\ntext")
    assert b"1 EXISTS" in wire.say(b"e SELECT Octets")
    shown = wire.say(b"f FETCH 1 (BODYSTRUCTURE BODY.PEEK[])")
    assert b'"BASE64"' in shown and b"\0" not in shown
    assert octets in wire.say(b"g FETCH 1 BINARY.PEEK[1]")
    wire.say(b"h UNSELECT")
    assert b"i OK" in wire.say(b"i DELETE Octets")
    wire.socket.close()
