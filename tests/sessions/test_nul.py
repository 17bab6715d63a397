"""Mail that comes with NUL octets: kept so that IMAP4 and POP3 can give it, relayed as it is."""

from __future__ import annotations

import pytest

from imsd.mail.returning import original
from imsd.store import spool
from protocols.message import transfer
from protocols.message.part import Scan
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import Site, Talk, site
from tests.support.stores import run

__all__ = ["site"]

OCTETS = bytes(range(256)) * 3
HEAD = (
    b"From: <x@example.org>\r\nSubject: picture\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
)


def begun(site: Site, *recipients: bytes, role: Role = Role.MX, binary: bool = True) -> Talk:
    talk = site.talk(role)
    body = b" BODY=BINARYMIME" if binary else b""
    talk.say(b"LHLO a.example" if role is Role.LMTP else b"EHLO a.example")
    talk.say(b"MAIL FROM:<x@example.org>" + body)
    for each in recipients:
        assert talk.say(b"RCPT TO:<" + each + b">").startswith("250 ")
    return talk


def chunks(talk: Talk, *pieces: bytes, replies: int = 1) -> list[str]:
    for piece in pieces[:-1]:
        talk.server.dataReceived(b"BDAT %d\r\n" % len(piece) + piece)
        assert talk.heard(1).startswith("250 ")
    talk.server.dataReceived(b"BDAT %d LAST\r\n" % len(pieces[-1]) + pieces[-1])
    return talk.heard(replies).splitlines()


def decoded(site: Site, row: object) -> bytes:
    stored = run(site.blobs.read(row.blob))  # type: ignore[attr-defined]
    assert b"\0" not in stored
    summary = run(site.blobs.summary(row.blob))  # type: ignore[attr-defined]
    assert summary is not None and summary.size == len(stored)
    assert b'"BASE64"' in summary.bodystructure.upper()
    part = Scan.unpack(summary.packed).root
    decoder = transfer.decoder(part.content.encoding)
    return decoder.feed(stored[part.body : part.stop]) + decoder.finish()


@pytest.mark.parametrize("count", [1, 300], ids=["small", "large"])
def test_binary_mail_is_kept_as_base64(site: Site, count: int) -> None:
    talk = begun(site, b"alice@example.test")
    (reply,) = chunks(talk, HEAD, OCTETS * count)
    assert reply.startswith("250 ")
    (row,) = site.inbox(site.alice)
    assert decoded(site, row) == OCTETS * count


def test_so_is_a_nul_in_text_that_nobody_announced(site: Site) -> None:
    talk = begun(site, b"alice@example.test", binary=False)
    talk.say(b"DATA")
    assert talk.say(b"Subject: x\r\n\r\na\0b\r\n.").startswith("250 ")
    (row,) = site.inbox(site.alice)
    assert decoded(site, row) == b"a\0b\r\n"


def test_lmtp_does_the_same_for_each(site: Site) -> None:
    talk = begun(site, b"alice@example.test", b"bob@example.test", role=Role.LMTP)
    assert [line[:3] for line in chunks(talk, HEAD + OCTETS, replies=2)] == ["250", "250"]
    for who in (site.alice, site.bob):
        (row,) = site.inbox(who)
        assert decoded(site, row) == OCTETS


def test_without_nul_every_octet_stays(site: Site) -> None:
    body = OCTETS.replace(b"\0", b"")
    chunks(begun(site, b"alice@example.test"), HEAD + body)
    (row,) = site.inbox(site.alice)
    assert site.text(row).endswith(HEAD + body)


def test_what_passes_through_stays_as_it_is(site: Site) -> None:
    """A signature over it would be broken for nothing."""
    site.configure(routing__restrictions__allow='["127.0.0.1"]')
    (reply,) = chunks(begun(site, b"y@example.net"), HEAD + OCTETS)
    assert reply.startswith("250 ")
    (waiting,) = run(site.db.read(spool.listed))
    assert run(site.blobs.read(waiting.blob)).endswith(HEAD + OCTETS)


@pytest.mark.parametrize("content", [b"Subject: a\r\n\r\nb\0c\r\n", b"Subject: \0a\r\n\r\nb\r\n"])
def test_a_report_about_it_has_none(site: Site, content: bytes) -> None:
    site.configure(routing__restrictions__allow='["127.0.0.1"]')
    talk = begun(site, b"y@example.net", binary=False)
    talk.say(b"DATA")
    assert talk.say(content + b".").startswith("250 ")
    (waiting,) = run(site.db.read(spool.listed))
    returned = run(original(site.blobs, waiting, True, 1 << 20))
    assert returned.octets.endswith(b"Subject: a\r\n") and b"\0" not in returned.octets
    assert not returned.complete


@pytest.mark.parametrize(
    "content",
    [b"Subject: a\0b\r\n\r\ntext\r\n", b"Content-Transfer-Encoding: base64\r\n\r\nAA\0AA\r\n"],
    ids=["header", "encoded"],
)
def test_what_no_encoding_can_carry_is_refused(site: Site, content: bytes) -> None:
    (reply,) = chunks(begun(site, b"alice@example.test"), content)
    assert reply.startswith("554 5.6.1 ")
    assert site.inbox(site.alice) == []
