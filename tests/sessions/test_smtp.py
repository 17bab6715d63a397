"""SMTP over a real store and directory: from the wire to the mailbox."""

from __future__ import annotations

import base64
import re
import time
from queue import Empty
from typing import Any

import pytest

from imsd.auth import Authenticator, Passwords
from imsd.auth.hashing import Hashing
from imsd.directory.directory import Directory
from imsd.directory.values import Person
from imsd.errors import StoreFull
from imsd.mail.delivery import Delivery
from imsd.mail.policy import Policy
from imsd.sessions.smtp.door import Door
from imsd.settings import PAGES, LiveSettings
from imsd.settings.logins import Logins
from imsd.store import mailboxes, messages, spool, tracking
from imsd.store import settings as setting_rows
from imsd.store.blobs import Blobs
from imsd.store.database import Database
from imsd.store.ids import INBOX
from imsd.summaries import Summaries
from protocols.smtp.interfaces import Role
from protocols.smtp.server import Server
from tests.smtp.fakes import Transport
from tests.support.stores import run

_FINAL = re.compile(rb"^\d{3} ", re.MULTILINE)


class Site:
    """example.test with alice and bob; a door for each role."""

    def __init__(self, database: Database) -> None:
        self.db = database
        self.settings = LiveSettings(PAGES)
        self.hashing = Hashing(database.reactor, lambda: self.settings[Logins])
        passwords = Passwords(self.hashing, lambda: self.settings[Logins])
        self.directory = Directory(database, self.settings, database.reactor, passwords)
        run(self.directory.start())
        run(self.directory.bootstrap("Example", "Main", "example.test", "the admin's password"))
        self.configure()
        self.auth = Authenticator(database, self.directory, self.settings, database.reactor, passwords)
        run(self.auth.start())
        self.delivery = Delivery(database, self.directory, self.settings)
        self.blobs = Blobs(database)
        self.alice = self.person("alice")
        self.bob = self.person("bob")
        self.policy = Policy(self.directory, self.settings)

    def person(self, alias: str) -> Person:
        return run(self.directory.add_user(f"{alias}@example.test", name=alias, password=f"pw of {alias}"))

    def configure(self, **values: str) -> None:
        rows = run(self.db.read(setting_rows.values))
        self.settings.replace({**rows, **{key.replace("__", "."): value for key, value in values.items()}})

    def door(self, role: Role = Role.MX) -> Door:
        return Door(
            role,
            "mx.example.test",
            policy=self.policy,
            delivery=self.delivery,
            authenticator=self.auth,
            blobs=self.blobs,
            summaries=Summaries(self.db.reactor),
            settings=self.settings,
            clock=self.db.reactor,
            tls=lambda: None,
        )

    def talk(self, role: Role = Role.MX, host: str = "127.0.0.1") -> Talk:
        return Talk(self, role, host)

    def submission(self, who: str = "alice") -> Talk:
        talk = self.talk(Role.SUBMISSION)
        talk.say(b"EHLO [192.0.2.1]")
        secret = base64.b64encode(f"\0{who}\0pw of {who}".encode())
        assert talk.say(b"AUTH PLAIN " + secret).startswith("235")
        return talk

    def inbox(self, who: Person) -> list[messages.MessageRow]:
        return run(self.db.read(messages.rows, who.account, INBOX, list(range(1, 50))))

    def text(self, row: messages.MessageRow) -> bytes:
        return row.prefix + run(self.blobs.read(row.blob))

    def stop(self) -> None:
        self.auth.stop()
        self.directory.stop()
        self.hashing.stop()


class Talk:
    def __init__(self, site: Site, role: Role, host: str) -> None:
        self.reactor: Any = site.db.reactor
        self.transport = Transport(host)
        self.server = Server(site.door(role), self.reactor)
        self.server.makeConnection(self.transport)
        self.greeting = self.heard(1)

    def heard(self, replies: int) -> str:
        limit = time.monotonic() + 20
        while len(_FINAL.findall(self.transport.value())) < replies:
            self.reactor.advance(0)
            try:
                fn, arguments = self.reactor._calls.get(timeout=0.02)
                fn(*arguments)
            except Empty:
                assert time.monotonic() < limit, self.transport.value()
        data = self.transport.value()
        self.transport.clear()
        return data.decode()

    def say(self, *lines: bytes) -> str:
        """Send lines one after the other; the last reply."""
        for line in lines:
            self.server.dataReceived(line + b"\r\n")
            reply = self.heard(1)
        return reply

    def send(self, sender: bytes, content: bytes, *recipients: bytes) -> str:
        """A whole transaction; the first reply that is a refusal, or the last."""
        lines = [
            b"MAIL FROM:<" + sender + b">",
            *(b"RCPT TO:<" + each + b">" for each in recipients),
            b"DATA",
        ]
        for line in lines:
            reply = self.say(line)
            if reply[0] in "45":
                return reply
        return self.say(content + b"\r\n.")


@pytest.fixture
def site(database: Database) -> Any:
    made = Site(database)
    yield made
    made.stop()


MESSAGE = b"From: X <x@example.org>\r\nTo: alice@example.test\r\nSubject: hi\r\n\r\nHello\r\n..dot"


def test_message_from_outside_is_in_the_mailbox_with_its_trace(site: Site) -> None:
    talk = site.talk(host="192.0.2.7")
    talk.say(b"EHLO out.example")
    reply = talk.send(b"x@example.org", b"Return-Path: <evil@x>\r\n" + MESSAGE, b"ALICE@example.test")
    match = re.fullmatch(r"250 2\.0\.0 Ok: queued as (\w+)\r\n", reply)
    assert match
    (row,) = site.inbox(site.alice)
    date = rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000"
    assert re.fullmatch(
        rb"Return-Path: <x@example.org>\r\nDelivered-To: alice@example.test\r\n"
        rb"Received: from out.example \(\[192.0.2.7\]\)\r\n\tby mx.example.test with ESMTP id "
        + match[1].encode()
        + rb"\r\n\tfor <alice@example.test>;\r\n\t"
        + date
        + rb"\r\nFrom: X <x@example.org>\r\nTo: alice@example.test\r\nSubject: hi\r\n\r\nHello\r\n.dot\r\n",
        site.text(row),
    )
    events = run(site.db.read(lambda tx: tracking.query(tx, queue_id=match[1])))
    assert [event.event for event in events] == ["accepted", "delivered"]
    assert events[0].peer == "192.0.2.7"


def test_two_recipients_are_not_told_of_each_other(site: Site) -> None:
    talk = site.talk()
    talk.say(b"HELO out.example")
    talk.send(b"", MESSAGE, b"alice@example.test", b"bob@example.test")
    (row,) = site.inbox(site.bob)
    assert b"for <" not in site.text(row)
    assert b"with SMTP id" in site.text(row)
    assert site.text(row).startswith(b"Return-Path: <>\r\n")


def test_unknown_and_foreign_recipients_are_refused_at_rcpt(site: Site) -> None:
    talk = site.talk()
    talk.say(b"EHLO out.example", b"MAIL FROM:<x@example.org>")
    assert talk.say(b"RCPT TO:<nobody@example.test>") == "550 5.1.1 No such recipient here\r\n"
    for path in (b"<x@example.net>", b"<x%example.net@example.test>", b"<@example.test:x@example.net>"):
        assert talk.say(b"RCPT TO:" + path) == "550 5.7.1 Relaying is prohibited\r\n"
    assert talk.say(b"RCPT TO:<Postmaster>").startswith("250 ")
    assert talk.say(b"RCPT TO:<alice+tag@example.test>").startswith("250 ")


def refusals(site: Site) -> list[tuple[str, str, str]]:
    """What was tracked as refused, once everything written before is there."""
    run(site.db.write(lambda unit: None))
    events = run(site.db.read(lambda tx: tracking.query(tx, event="refused")))
    return [(event.sender, event.recipient, event.reason[:9]) for event in events]


def test_every_refusal_is_tracked(site: Site) -> None:
    talk = site.talk(host="192.0.2.7")
    talk.say(b"EHLO out.example")
    talk.say(b"MAIL FROM:<x@example.org>", b"RCPT TO:<no@example.test>", b"RCPT TO:<x@example.net>")
    talk.say(b"RSET")
    assert talk.send(b"x@example.org", b"A: b\r\n\r\nbare\nline", b"bob@example.test").startswith("554")
    hops = b"Received: by x; y\r\n" * 31
    assert talk.send(b"x@example.org", hops + b"\r\nx", b"bob@example.test").startswith("554")
    talk.say(b"QUIT")
    submission = site.submission()
    submission.say(b"MAIL FROM:<bob@example.test>")
    submission.send(b"alice@example.test", b"From: bob@example.test\r\n\r\nx", b"bob@example.test")
    submission.say(b"QUIT")
    talk.server.connectionLost()
    submission.server.connectionLost()
    assert sorted(refusals(site)) == [
        ("alice@example.test", "bob@example.test", "550 5.7.1"),
        ("bob@example.test", "", "550 5.7.1"),
        ("x@example.org", "bob@example.test", "554 5.4.6"),
        ("x@example.org", "bob@example.test", "554 5.6.0"),
        ("x@example.org", "no@example.test", "550 5.1.1"),
        ("x@example.org", "x@example.net", "550 5.7.1"),
    ]


def test_large_message_streams_to_a_file_and_arrives_whole(site: Site) -> None:
    talk = site.talk()
    talk.say(b"EHLO out.example", b"MAIL FROM:<x@example.org>", b"RCPT TO:<alice@example.test>")
    body = b"Subject: big\r\n\r\n" + b"0123456789abcdef" * 4 * 1024 * 10 + b"\r\n"
    for start in range(0, len(body), 60_000):
        chunk = body[start : start + 60_000]
        last = b" LAST" if start + 60_000 >= len(body) else b""
        talk.server.dataReceived(b"BDAT %d%b\r\n" % (len(chunk), last) + chunk)
        reply = talk.heard(1)
    assert reply.startswith("250 2.0.0 Ok: queued")
    (row,) = site.inbox(site.alice)
    assert site.text(row).endswith(body)
    summary = run(site.blobs.summary(row.blob))
    assert summary is not None
    assert summary.subject == "big"


def test_loop_is_refused(site: Site) -> None:
    talk = site.talk()
    talk.say(b"EHLO out.example")
    header = b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    reply = talk.send(b"x@example.org", header * 31 + MESSAGE, b"alice@example.test")
    assert reply == "554 5.4.6 Too many hops\r\n"
    assert talk.send(b"x@example.org", header * 30 + MESSAGE, b"alice@example.test").startswith("250 ")


def test_endless_header_is_refused(site: Site) -> None:
    talk = site.talk()
    talk.say(b"EHLO out.example", b"MAIL FROM:<x@example.org>", b"RCPT TO:<alice@example.test>", b"DATA")
    for _ in range(6):
        talk.server.dataReceived((b"X: " + b"y" * 900 + b"\r\n") * 60)
    assert talk.say(b".").startswith("554 5.6.0 ")
    assert site.inbox(site.alice) == []


@pytest.mark.parametrize("body", [b"just text", b"two lines\r\n\r\nof text", b"", b"\r\nafter an empty line"])
def test_message_without_header_is_all_body(site: Site, body: bytes) -> None:
    talk = site.talk()
    talk.say(b"EHLO out.example")
    assert talk.send(b"x@example.org", body, b"alice@example.test").startswith("250 ")
    (row,) = site.inbox(site.alice)
    header, _, rest = site.text(row).partition(b"\r\n\r\n")
    assert header.endswith(b"+0000")
    assert rest == (body + b"\r\n").removeprefix(b"\r\n")


def test_full_store_is_a_temporary_refusal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object) -> None:
        raise StoreFull

    talk = site.talk()
    talk.say(b"EHLO out.example")
    with monkeypatch.context() as patch:
        patch.setattr(site.delivery, "accept", full)
        reply = talk.send(b"x@example.org", MESSAGE, b"alice@example.test")
    assert reply == "452 4.3.1 Insufficient system storage\r\n"
    assert talk.send(b"x@example.org", MESSAGE, b"alice@example.test").startswith("250 ")


def test_full_mailbox(site: Site) -> None:
    run(site.db.write(mailboxes.set_quota, site.alice.account, 10, 0))
    talk = site.talk()
    talk.say(b"EHLO out.example")
    assert talk.send(b"x@example.org", MESSAGE, b"alice@example.test") == "552 5.2.2 Mailbox is full\r\n"


def test_changed_limit_holds_for_the_next_connection(site: Site) -> None:
    site.configure(ims__size_limit_kb="1")
    talk = site.talk()
    assert "250-SIZE 2047\r\n" in talk.say(b"EHLO out.example")
    reply = talk.send(b"x@example.org", b"\r\n" + b"x" * 2046, b"alice@example.test")
    assert reply.startswith("552 5.3.4")


# Submission ----------------------------------------------------------------------------


def test_submission_completes_the_header_and_hides_bcc(site: Site) -> None:
    talk = site.submission()
    content = (
        b"Subject: s\r\nBcc: bob@example.test,\r\n hidden@example.org\r\nTo: x@example.net\r\n"
        b"Return-Path: <z@z>\r\n\r\nBcc: stays in the body"
    )
    reply = talk.send(b"alice@example.test", content, b"bob@example.test", b"x@example.net")
    assert reply.startswith("250 2.0.0 Ok")
    (row,) = site.inbox(site.bob)
    header, _, body = site.text(row).partition(b"\r\n\r\n")
    assert b"Bcc" not in header
    assert b"hidden" not in header
    assert header.count(b"Return-Path:") == 1
    assert re.search(rb"\r\nFrom: <alice@example.test>\r\n", header)
    assert re.search(rb"\r\nMessage-ID: <\w+@mx.example.test>\r\n", header)
    assert re.search(rb"\r\nDate: \w{3}, ", header)
    assert b"with ESMTPA id" in header
    assert body == b"Bcc: stays in the body\r\n"
    (queued,) = run(site.db.read(spool.listed))
    assert queued.account == site.alice.account
    assert queued.reverse_path == "alice@example.test"
    (recipient,) = run(site.db.read(spool.recipients_of, queued.id))
    assert (recipient.address, recipient.domain) == ("x@example.net", "example.net")


def test_what_is_there_already_is_kept(site: Site) -> None:
    talk = site.submission()
    content = (
        b"Message-ID: <own@x>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        b"From: Alice <Alice@Example.test>\r\n\r\nx"
    )
    talk.send(b"alice@example.test", content, b"bob@example.test")
    assert site.text(site.inbox(site.bob)[0]).endswith(b"\r\n" + content + b"\r\n")


@pytest.mark.parametrize("sender", [b"bob@example.test", b"alice@example.org", b"postmaster@example.test"])
def test_reverse_path_must_be_the_accounts_own(site: Site, sender: bytes) -> None:
    talk = site.submission()
    assert talk.say(b"MAIL FROM:<" + sender + b">").startswith("550 5.7.1 Originator address")


@pytest.mark.parametrize(
    "header",
    [
        b"From: bob@example.test",
        b"From: alice@example.test, bob@example.test",
        b"From: alice@example.test\r\nSender: bob@example.test",
        b"From: alice@example.test\r\nFrom: bob@example.test",
        b"From: alice@example.test\r\nResent-From: bob@example.test",
        b"Resent-From: alice@example.test\r\nResent-Sender: bob@example.test\r\nFrom: alice@example.test",
        b"Resent-From: alice@example.test\r\nFrom: bob@example.test",
        b"From: somebody:;",
        b"From: alice",
        # Behind more than is looked at.
        b"From: alice@example.test, " + b"(x\r\n " * 9000 + b")" * 9000 + b" bob@example.test",
        b"From: " + b"alice@example.test,\r\n " * 2000 + b"bob@example.test",
        b"From: alice@example.test\r\nResent-From: "
        + b"alice@example.test,\r\n " * 2000
        + b"bob@example.test",
    ],
    ids=lambda header: header.decode()[:40],
)
def test_authors_must_be_the_account(site: Site, header: bytes) -> None:
    talk = site.submission()
    reply = talk.send(b"alice@example.test", header + b"\r\n\r\nx", b"bob@example.test")
    assert reply.startswith("550 5.7.1 ")
    assert site.inbox(site.bob) == []


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\rFrom: bob@example.test\r\rhi\r\nFrom: alice@example.test\r\n\r\nx",
        b"Subject: x\nFrom: alice@example.test\n\nx",
        b"From: alice@example.test\r\nX: y\r\r\nZ: z\r\n\r\nx",
        b"X: y\r\nFr\0om: bob@example.test\r\nFrom: alice@example.test\r\n\r\nx",
    ],
)
def test_binary_content_has_no_binary_header(site: Site, content: bytes) -> None:
    """Whoever it was sent on to by lines saw another header, with other authors (RFC 3030 3)."""
    talk = site.submission()
    talk.say(b"MAIL FROM:<alice@example.test> BODY=BINARYMIME", b"RCPT TO:<x@example.net>")
    talk.server.dataReceived(b"BDAT %d LAST\r\n" % len(content) + content)
    assert talk.heard(1).startswith("554 5.6.0 ")
    talk.say(b"RSET", b"MAIL FROM:<alice@example.test> BODY=BINARYMIME", b"RCPT TO:<x@example.net>")
    good = b"From: alice@example.test\r\n\r\nbinary\rbody\n\0"
    talk.server.dataReceived(b"BDAT %d LAST\r\n" % len(good) + good)
    assert talk.heard(1).startswith("250 ")


def test_ones_own_message_may_be_resent(site: Site) -> None:
    talk = site.submission()
    header = b"Resent-From: Alice <alice@example.test>\r\nResent-Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    content = header + b"From: alice@example.test\r\n\r\nx"
    assert talk.send(b"alice@example.test", content, b"bob@example.test").startswith("250 ")


@pytest.mark.parametrize(
    ("said", "content", "kept"),
    [
        (b"", "Subject: x\r\n\r\nGrüße", "8BITMIME"),
        (b" BODY=7BIT", "Subject: x\r\n\r\nGrüße", "8BITMIME"),
        (b"", "Subject: x\r\n\r\nplain", "7BIT"),
        (b" BODY=8BITMIME", "Subject: x\r\n\r\nplain", "8BITMIME"),
    ],
)
def test_eight_bit_content_is_queued_as_such_whatever_was_announced(
    site: Site, said: bytes, content: str, kept: str
) -> None:
    talk = site.submission()
    talk.say(b"MAIL FROM:<alice@example.test>" + said, b"RCPT TO:<x@example.net>", b"DATA")
    assert talk.say(content.encode() + b"\r\n.").startswith("250 ")
    assert [message.body for message in run(site.db.read(spool.listed))] == [kept]


def test_null_reverse_path_may_be_submitted(site: Site) -> None:
    talk = site.submission()
    reply = talk.send(b"", b"From: alice@example.test\r\n\r\nx", b"bob@example.test")
    assert reply.startswith("250 ")


def test_login_on_port_25_may_relay(site: Site) -> None:
    talk = site.talk(Role.MX)
    talk.say(b"EHLO c.example")
    secret = base64.b64encode(b"\0alice\0pw of alice")
    talk.say(b"AUTH PLAIN", secret)
    talk.say(b"MAIL FROM:<alice@example.test>")
    assert talk.say(b"RCPT TO:<x@example.net>").startswith("250 ")


def test_submission_ends_when_the_account_is_deleted(site: Site) -> None:
    talk = site.submission("bob")
    run(site.directory.delete_user("bob@example.test", delete_mailbox=True))
    assert talk.heard(1).startswith("421 ")


def test_nothing_is_relayed_by_default_from_this_machine(site: Site) -> None:
    talk = site.talk(host="127.0.0.1")
    talk.say(b"EHLO c.example", b"MAIL FROM:<alice@example.test>")
    assert talk.say(b"RCPT TO:<x@example.net>").startswith("550 5.7.1")
    site.configure(routing__restrictions__allow='["127.0.0.0/8"]')
    assert talk.say(b"RCPT TO:<x@example.net>").startswith("250 ")


# Accept connections (ims_spec 3.4.4), ETRN ---------------------------------------------------


def test_a_host_must_use_what_its_row_asks_for(site: Site) -> None:
    site.configure(ims__accept__policy='"auth"')
    talk = site.talk(host="198.51.100.1")
    talk.say(b"EHLO c.example")
    assert talk.say(b"MAIL FROM:<x@example.org>").startswith("530 5.7.0")
    site.configure(ims__accept__hosts='[{"network": "198.51.100.0/24", "require": "any"}]')
    assert talk.say(b"MAIL FROM:<x@example.org>").startswith("250 ")
    site.configure(ims__accept__hosts='[{"network": "198.51.100.0/24", "action": "reject"}]')
    talk.say(b"RSET")
    assert talk.say(b"MAIL FROM:<x@example.org>").startswith("550 5.7.1")
    talk.say(b"QUIT")
    assert refusals(site) == [("x@example.org", "", "530 5.7.0"), ("x@example.org", "", "550 5.7.1")]


def test_clients_only_submit_if_homed_here(site: Site) -> None:
    site.configure(ims__accept__require_home="true", ims__accept__match_sender='"never"')
    talk = site.talk(host="198.51.100.1")
    talk.say(b"EHLO c.example")
    assert talk.say(b"MAIL FROM:<x@example.org>").startswith("530 5.7.0")
    talk = site.submission()
    assert talk.say(b"MAIL FROM:<x@example.org>") == "550 5.7.1 Mailbox is not local: x@example.org\r\n"
    assert talk.say(b"MAIL FROM:<bob@example.test>").startswith("250 ")
    site.configure(
        ims__accept__require_home="true",
        ims__accept__hosts='[{"network": "198.51.100.1", "relay_server": true}]',
    )
    talk = site.talk(host="198.51.100.1")
    talk.say(b"EHLO c.example")
    assert talk.say(b"MAIL FROM:<x@example.org>").startswith("250 ")


def test_the_account_matches_the_sender_where_that_is_asked_for(site: Site) -> None:
    def mail(role: Role) -> str:
        talk = site.talk(role)
        talk.say(b"EHLO c.example")
        talk.say(b"AUTH PLAIN " + base64.b64encode(b"\0alice\0pw of alice"))
        return talk.say(b"MAIL FROM:<bob@example.test>")[:3]

    assert (mail(Role.SUBMISSION), mail(Role.MX)) == ("550", "550")
    site.configure(ims__accept__match_sender='"submission"')
    assert (mail(Role.SUBMISSION), mail(Role.MX)) == ("550", "250")
    site.configure(ims__accept__match_sender='"never"')
    assert (mail(Role.SUBMISSION), mail(Role.MX)) == ("250", "250")


def test_delegates_write_on_behalf_and_others_as_who_lets_them(site: Site) -> None:
    def change(who: str, attribute: str, *names: str) -> None:
        run(
            site.directory.change(
                who, {attribute: [f"cn={n},cn=Recipients,ou=Main,o=Example" for n in names]}
            )
        )

    def send(author: str, sender: bytes = b"", reverse_path: bytes = b"alice@example.test") -> str:
        talk = site.submission()
        answer = talk.say(b"MAIL FROM:<%b>" % reverse_path, b"RCPT TO:<bob@example.test>", b"DATA")
        if not answer.startswith("354"):
            return "550"
        sender = b"Sender: %b\r\n" % sender if sender else b""
        answer = talk.say(b"From: %b\r\n%bSubject: x\r\n\r\nhi\r\n." % (author.encode(), sender))
        if not answer.startswith("250"):
            return answer[:3]
        return site.text(site.inbox(site.bob)[-1]).partition(b"\r\n\r\n")[0].decode()

    run(site.directory.add_group("team@example.test", members=["alice@example.test"]))
    run(site.directory.add_group("desk@example.test"))
    assert send("bob@example.test") == "550"
    change("bob", "Public-Delegates", "team")
    assert "\r\nSender: <alice@example.test>\r\n" in "\r\n" + send("bob@example.test") + "\r\n"
    assert "\r\nSender: <alice@example.test>" in send("bob@example.test", reverse_path=b"bob@example.test")
    for sender in (b"alice@example.test", b"<>"):
        header = send("bob@example.test", sender)
        assert header.count("Sender:") == 1 and "<>" not in header
    assert send("bob@example.test", b"bob@example.test") == "550"
    assert send("desk@example.test") == "550"
    change("desk@example.test", "imsSendAs", "alice")
    assert "Sender:" not in send("desk@example.test", reverse_path=b"desk@example.test")
    change("bob", "imsSendAs", "alice")
    assert "Sender:" not in send("bob@example.test")
    change("bob", "imsSendAs")
    change("bob", "Public-Delegates")
    assert send("bob@example.test") == send("alice@example.test", reverse_path=b"bob@example.test") == "550"


def test_a_relay_server_that_logs_in_brings_mail_of_others(site: Site) -> None:
    site.configure(ims__accept__hosts='[{"network": "127.0.0.1", "relay_server": true}]')
    talk = site.talk()
    talk.say(b"EHLO hub.example", b"AUTH PLAIN " + base64.b64encode(b"\0alice\0pw of alice"))
    talk.say(b"MAIL FROM:<x@example.org>", b"RCPT TO:<y@example.net>", b"RCPT TO:<bob@example.test>", b"DATA")
    assert talk.say(b"Return-Path: <x@example.org>\r\nSubject: of others\r\n\r\nhi\r\n.").startswith("250 ")
    (row,) = site.inbox(site.bob)
    letter = site.text(row)
    assert b"\r\nFrom:" not in letter and letter.count(b"Return-Path") == 1 and b"alice" not in letter
    (queued,) = run(site.db.read(spool.listed))
    assert queued.reverse_path == "x@example.org" and queued.account is None


def test_a_held_domain_is_started_by_etrn(site: Site) -> None:
    site.configure(ims__domains='[{"domain": "held.test", "route": "etrn"}]')
    talk = site.submission()
    talk.say(b"MAIL FROM:<alice@example.test>", b"RCPT TO:<x@held.test>", b"DATA")
    assert talk.say(b"From: alice@example.test\r\n\r\nhi\r\n.").startswith("250 ")
    other = site.talk(host="198.51.100.1")
    assert "ETRN" in other.say(b"EHLO c.example")
    assert other.say(b"ETRN other.test").startswith("458 ")
    assert other.say(b"ETRN held.test") == "253 2.0.0 1 pending messages for node held.test started\r\n"
    assert other.say(b"ETRN held.test").startswith("251 ")
    site.configure(smtp__etrn="false")
    assert site.talk().say(b"ETRN held.test").startswith("5")


def test_a_refused_relay_is_tracked(site: Site) -> None:
    talk = site.talk(host="198.51.100.1")
    talk.say(b"EHLO c.example", b"MAIL FROM:<x@example.org>")
    assert talk.say(b"RCPT TO:<y@example.net>") == "550 5.7.1 Relaying is prohibited\r\n"
    talk.say(b"QUIT")
    assert refusals(site) == [("x@example.org", "y@example.net", "550 5.7.1")]
