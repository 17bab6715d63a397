"""Postfix as a peer in both directions: what goes through it comes back whole, by which extensions, and
nothing is smuggled in.

Postfix sends no BDAT, so CHUNKING is seen in one direction.
"""

from __future__ import annotations

import json
import re
import smtplib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509

from imsd.diagnostics.files import MOMENT
from tests.support.certificates import Authority
from tests.support.clients import poll, texts
from tests.support.postfix import Postfix
from tests.support.servers import RunningServer, free_offset
from tests.system.test_smuggling import FALSE_ENDS, SMUGGLED, Peer

pytestmark = pytest.mark.system


SIZE = 60_000
"""Octets that this Postfix takes."""


@dataclass
class Lab:
    """Mail for far.test, plain.test and all else goes to a Postfix that sends what is for far.test and
    plain.test back to alice; for plain.test by a port on which it offers nothing."""

    here: RunningServer
    peer: Postfix

    def change(self, **values: Any) -> None:
        for key, value in values.items():
            self.here.ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))

    def send(
        self, text: bytes, to: str = "b@far.test", sender: str = "a@far.test", mail: Sequence[str] = (),
        rcpt: Sequence[str] = (), port: int = 0,
    ) -> None:  # fmt: skip
        """Hand something to imsd, or to whoever listens on a port."""
        with smtplib.SMTP("127.0.0.1", port or self.here.port("smtp"), timeout=20) as smtp:
            smtp.sendmail(sender, [to], text, mail, rcpt)

    def came(self, subject: str) -> bytes:
        """What alice has of that subject, when she has it."""

        def those() -> list[bytes]:
            return [one for one in texts(self.here) if f"Subject: {subject}\r\n".encode() in one]

        poll(those)
        return those()[0]

    def mark(self) -> int:
        """Where the protocol log goes on when all of now is in it."""
        time.sleep(2 * MOMENT)
        return len(self.said().encode())

    def said(self, since: int = 0) -> str:
        """The protocol log."""
        path = self.here.home / "log/smtp.log"
        return path.read_bytes()[since:].decode() if path.exists() else ""


@pytest.fixture(scope="module")
def lab(make_server: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    one = make_server()
    one.add_user("alice")
    pair = Authority(tmp_path_factory.mktemp("authority"), "authority").sign(
        "postfix.test", x509.DNSName("postfix.test")
    )
    plain = free_offset() + 465
    peer = Postfix(
        tmp_path_factory.mktemp("postfix"),
        free_offset() + 25,
        f"relayhost = [127.0.0.1]:{one.port('smtp')}",
        "virtual_alias_domains = far.test plain.test",
        "virtual_alias_maps = static:alice@example.test",
        "smtp_tls_security_level = may",
        "smtpd_tls_security_level = may",
        f"smtpd_tls_chain_files = {pair}",
        f"message_size_limit = {SIZE}",
        plain=plain,
    )
    peer.wait()
    lab = Lab(one, peer)
    lab.change(
        ims__domains=[
            {"domain": "far.test", "route": f"host:127.0.0.1:{peer.port}"},
            {"domain": "plain.test", "route": f"host:127.0.0.1:{plain}"},
        ],
        ims__delivery__loopback_check=False,
        ims__limits__messages_per_connection=1,
        protocol_log__level="medium",
        routing__restrictions__allow=["127.0.0.1"],
    )
    try:
        yield lab
    finally:
        peer.stop()
        one.stop()


@pytest.fixture
def here(lab: Lab) -> RunningServer:
    return lab.here


# Extensions ---------------------------------------------------------------------------------


def test_starttls_is_used_both_ways(lab: Lab) -> None:
    lab.send(b"Subject: secret\r\n\r\nx\r\n")
    came = lab.came("secret")
    by_us, by_postfix = came.split(b"Received: ")[1:3]
    assert b" with ESMTPS " in by_us and b"postfix.test" in by_us
    assert b"by postfix.test (Postfix) with ESMTPS" in by_postfix
    (sent,) = [
        one for one in lab.here.ask("track", what="b@far.test") if one["event"] == "relayed" and one["tls"]
    ][:1]
    assert sent["tls"]["reached"] == "TLSv1.3"
    lab.send(b"Subject: no secret\r\n\r\nx\r\n", "b@plain.test")
    assert b"by postfix.test (Postfix) with ESMTP id" in lab.came("no secret")


def test_size_is_told_and_what_is_too_large_is_not_sent(lab: Lab) -> None:
    since = lab.mark()
    lab.send(b"Subject: fits\r\n\r\n" + (b"x" * 70 + b"\r\n") * 100)
    lab.came("fits")
    poll(lambda: re.search(r">>> MAIL FROM:<a@far.test>.* SIZE=7\d\d\d", lab.said(since)))
    # From Postfix, too.
    poll(lambda: re.search(r"<<< MAIL FROM:<a@far.test> SIZE=7\d\d\d", lab.said(since)))
    since = lab.mark()
    lab.send(b"Subject: too large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 1_000)
    assert b"larger than the 60000 octets offered" in lab.came("Not delivered: too large")
    assert ">>> MAIL FROM:<a@far.test>" not in lab.said(since)
    # And what is too large for us, Postfix is told before it sends it.
    lab.change(ims__size_limit_in=5_000)
    since = lab.mark()
    lab.send(b"Subject: too large for us\r\n\r\n" + (b"x" * 70 + b"\r\n") * 100, port=lab.peer.port)
    lab.change(ims__size_limit_in=0)
    poll(lambda: "552" in lab.peer.said() or "size" in lab.peer.said().lower())
    assert "too large for us" not in lab.said(since)


def test_chunking_is_used_where_it_is_offered(lab: Lab) -> None:
    since = lab.mark()
    lab.send(b"Subject: in chunks\r\n\r\n.\r\n..\r\nx\r\n")
    assert lab.came("in chunks").endswith(b"\r\n\r\n.\r\n..\r\nx\r\n")
    poll(lambda: ">>> BDAT " in lab.said(since))
    since = lab.mark()
    lab.send(b"Subject: with dots\r\n\r\n.\r\n..\r\nx\r\n", "b@plain.test")
    assert lab.came("with dots").endswith(b"\r\n\r\n.\r\n..\r\nx\r\n")
    poll(lambda: ">>> DATA" in lab.said(since))
    assert ">>> BDAT " not in lab.said(since)


def test_eight_bits_stay_and_are_encoded_for_who_does_not_take_them(lab: Lab) -> None:
    mime = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    text = "Subject: {}\r\n" + mime + "\r\nGr\u00fc\u00dfe\r\n"
    since = lab.mark()
    lab.send(text.format("eight bits").encode(), mail=["BODY=8BITMIME"])
    assert lab.came("eight bits").endswith("Gr\u00fc\u00dfe\r\n".encode())
    poll(lambda: re.search(r">>> MAIL FROM:.* BODY=8BITMIME", lab.said(since)))
    poll(lambda: re.search(r"<<< MAIL FROM:.* BODY=8BITMIME", lab.said(since)))
    lab.send(text.format("seven bits").encode(), "b@plain.test", mail=["BODY=8BITMIME"])
    assert b"Gr=C3=BC=C3=9Fe" in lab.came("seven bits")


def test_internationalised_addresses_go_through_and_come_back_where_they_cannot(lab: Lab) -> None:
    since = lab.mark()
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as smtp:
        text = "Subject: j\u00f6rg\r\n\r\nx\r\n".encode()
        smtp.sendmail("a@far.test", ["j\u00f6rg@far.test"], text, ["BODY=8BITMIME", "SMTPUTF8"])
    lab.came("j\u00f6rg")
    poll(lambda: re.search(r">>> MAIL FROM:.* SMTPUTF8", lab.said(since)))
    poll(lambda: re.search(r"<<< MAIL FROM:.* SMTPUTF8", lab.said(since)))
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as smtp:
        text = b"Subject: not by name\r\n\r\nx\r\n"
        smtp.sendmail("a@far.test", ["j\u00f6rg@plain.test"], text, ["BODY=8BITMIME", "SMTPUTF8"])
    assert b"Status: 5.6.7" in lab.came("Not delivered: not by name")


def test_what_the_sender_wants_to_be_told_is_passed_on_and_back(lab: Lab) -> None:
    def asked(sign: str, since: int) -> None:
        for words in (
            r"MAIL FROM:<a@far\.test>.* ENVID=QQ\+2B314159", r"MAIL FROM:<a@far\.test>.* RET=HDRS",
            r"RCPT TO:.* ORCPT=rfc822;first\+2Bname@far\.test", "RCPT TO:.* NOTIFY=SUCCESS,FAILURE",
        ):  # fmt: skip
            poll(lambda words=words: re.search(f"{sign} {words}", lab.said(since)))

    mail = ["RET=HDRS", "ENVID=QQ+2B314159"]
    rcpt = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Bname@far.test"]
    since = lab.mark()
    lab.send(b"Subject: to Postfix\r\n\r\nx\r\n", mail=mail, rcpt=rcpt)
    lab.came("to Postfix")
    asked(">>>", since)
    since = lab.mark()
    to = "alice@example.test"
    lab.send(b"Subject: by Postfix\r\n\r\nx\r\n", to, mail=mail, rcpt=rcpt, port=lab.peer.port)
    asked("<<<", since)
    # The report goes back through Postfix, to who asked for it.
    told = lab.came("Delivered: by Postfix")
    for line in (
        b"Original-Envelope-Id: QQ+314159", b"Original-Recipient: rfc822; first+name@far.test",
        b"Action: delivered", b"Status: 2.",
    ):  # fmt: skip
        assert line in told, line
    # To a host without DSN it is relayed, and said to be.
    lab.send(b"Subject: without\r\n\r\nx\r\n", "b@plain.test", rcpt=["NOTIFY=SUCCESS"])
    assert b"Action: relayed" in lab.came("Relayed: without")


# Contents -----------------------------------------------------------------------------------


def outer(server: RunningServer) -> list[bytes]:
    """What alice has of the messages in which others are."""
    paths = (b"Return-Path: <outer@x.test>", b"Return-Path: <smuggled")
    return [one for one in texts(server) if one.startswith(paths)]


def test_a_message_goes_through_postfix_and_comes_back(lab: Lab) -> None:
    here = lab.here
    text = "Subject: round\r\n\r\n.dot\r\nGr\u00fc\u00dfe\r\n..\r\n".encode()
    with smtplib.SMTP("127.0.0.1", here.port("smtp"), timeout=20) as smtp:
        smtp.sendmail("a@x.test", ["j\u00f6rg@far.test"], text, ["BODY=8BITMIME", "SMTPUTF8"])
    found = lab.came("round")
    assert found.endswith(b"\r\n\r\n.dot\r\nGr\xc3\xbc\xc3\x9fe\r\n..\r\n")
    assert b"by postfix.test (Postfix)" in found and b"with UTF8SMTP" in found


def test_nothing_is_smuggled_into_postfix(here: RunningServer) -> None:
    before, accepted = len(outer(here)), 0
    for end in FALSE_ENDS:
        peer = Peer(here)
        for line in (b"EHLO x.test", b"MAIL FROM:<outer@x.test>", b"RCPT TO:<b@far.test>", b"DATA"):
            peer.say(line + b"\r\n")
        reply = peer.say(b"Subject: outer\r\n\r\nouter body" + end + SMUGGLED + b"\r\n.\r\n")
        accepted += reply.startswith(b"250")
        assert peer.say(b"NOOP\r\n").startswith(b"250")
        peer.close()
    poll(lambda: len(outer(here)) - before >= accepted)
    poll(lambda: not here.ask("queue.list"))
    found = outer(here)[before:]
    assert accepted and len(found) == accepted
    assert all(one.startswith(b"Return-Path: <outer@x.test>\r\n") for one in found)


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r"], ids=repr)
def test_by_bdat_neither(here: RunningServer, end: bytes) -> None:
    before = len(outer(here))
    content = (
        b"Subject: outer\r\n\r\nouter body" + end + SMUGGLED.replace(b"alice@example", b"b@far") + b"\r\n"
    )
    peer = Peer(here)
    for line in (b"EHLO x.test", b"MAIL FROM:<outer@x.test>", b"RCPT TO:<b@far.test>"):
        peer.say(line + b"\r\n")
    reply = peer.say(b"BDAT %d LAST\r\n" % len(content) + content)
    peer.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.close()
    expected = before + reply.startswith(b"250")
    poll(lambda: len(outer(here)) >= expected and not here.ask("queue.list"))
    found = outer(here)
    assert len(found) == expected
    assert not any(b"Return-Path: <smuggled" in one for one in found)


def test_what_postfix_takes_for_one_message_is_one(lab: Lab) -> None:
    """An older Postfix ends a message at more than CRLF.CRLF; what it makes of that comes here."""

    def queued() -> int:
        return len(re.findall(r"postfix/qmgr\[\d+\]: \w+: from=<(outer|smuggled)@", lab.peer.said()))

    before, already = len(outer(lab.here)), queued()
    for end in FALSE_ENDS:
        with socket.create_connection(("127.0.0.1", lab.peer.port), timeout=10) as wire:
            file = wire.makefile("rb")
            for line in (b"", b"HELO x.test", b"MAIL FROM:<outer@x.test>", b"RCPT TO:<b@far.test>", b"DATA"):
                if line:
                    wire.sendall(line + b"\r\n")
                assert file.readline()[:1] in b"23"
            wire.sendall(b"Subject: outer\r\n\r\nouter body" + end + SMUGGLED + b"\r\n.\r\nQUIT\r\n")
            assert file.read()
    poll(lambda: queued() - already >= len(FALSE_ENDS))
    poll(
        lambda: (
            lab.peer.said().count(": removed") == len(re.findall(r"qmgr\[\d+\]: \w+: from=", lab.peer.said()))
        )
    )
    assert len(outer(lab.here)) - before == queued() - already
