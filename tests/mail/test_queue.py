"""The queue runner with servers in memory: relaying, retries, reports, limits, crashes."""

from __future__ import annotations

import email
import email.message
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from imsd.errors import NoSuchEntry, TryLater
from imsd.mail.delivery import Delivery
from imsd.mail.envelope import Addressee, Envelope
from imsd.mail.names import Names
from imsd.mail.queue import LEASE, QueueRunner
from imsd.mail.relay import LeaseLost
from imsd.mail.work import HOUR, Active, Work
from imsd.settings import PAGES, LiveSettings
from imsd.store import claims, mailboxes, messages, spool, tracking
from imsd.store.blobs import Blobs, new_blob
from imsd.store.database import Database
from imsd.store.ids import INBOX, AccountId
from imsd.store.spool import State
from imsd.store.sql import SQLITE
from imsd.store.tables import now
from imsd.tls import make_self_signed
from protocols.message.summary import summarize
from tests.mail.fakes import FakeDirectory
from tests.mail.peers import MailReactor, Peer, Zone
from tests.support import stores
from tests.support.stores import run

TEXT = (
    b"From: alice@example.test\r\nTo: x@far.test\r\nSubject: Hi\r\nMessage-ID: <1@example.test>\r\n\r\n"
    b".dot\r\nbody\r\n"
)


@pytest.fixture
def store_reactor() -> MailReactor:
    stores._reactor = MailReactor()
    return stores._reactor


class World:
    """alice and the administrator root here; far.test (two exchangers) and near.test there."""

    def __init__(self, database: Database, reactor: MailReactor) -> None:
        self.db, self.reactor = database, reactor
        self.settings = LiveSettings(PAGES)
        self.directory = FakeDirectory()
        self.alice = self._person("alice")
        self.root = self._person("root", admin=True)
        self.blobs = Blobs(database)
        self.delivery = Delivery(database, self.directory, self.settings)  # type: ignore[arg-type]
        self.zone = Zone()
        self.zone.add("far.test", (10, "a.far.test", "192.0.2.1"), (20, "b.far.test", "192.0.2.2"))
        self.zone.add("near.test", (10, "a.near.test", "192.0.2.3"))
        self.far, self.backup, self.near = Peer(), Peer(), Peer()
        reactor.peers = {"192.0.2.1": self.far, "192.0.2.2": self.backup, "192.0.2.3": self.near}
        self.shift = 0
        self.runner = self.new_runner()

    def _person(self, alias: str, admin: bool = False) -> AccountId:
        account = self.directory.add(alias, admin)
        run(self.db.write(mailboxes.create_account_mailboxes, account, now()))
        return account

    def now(self) -> int:
        return now() + self.shift

    def set(self, **rows: object) -> None:
        self.settings.replace({key.replace("__", "."): json.dumps(value) for key, value in rows.items()})

    def new_runner(self, duties: Any = None) -> QueueRunner:
        async def here(fn, *args):  # type: ignore[no-untyped-def]
            return fn(*args)

        return QueueRunner(
            self.db,
            self.delivery,
            self.directory,  # type: ignore[arg-type]
            self.settings,
            self.blobs,
            self.reactor,
            "mx.example.test",
            names=Names(self.reactor, here, self.zone.lookup),
            now=self.now,
            # The machine's own may be among those of the test.
            interfaces=tuple,
            duties=duties,
        )

    def send(
        self, *to: str | Addressee, sender: str = "alice@example.test", data: bytes = TEXT, **more: object
    ) -> str:
        addressees = tuple(each if isinstance(each, Addressee) else Addressee(each) for each in to)
        envelope = Envelope(sender, addressees, **more)  # type: ignore[arg-type]
        return run(self.delivery.accept(envelope, new_blob(data, summarize(data)))).queue_id

    def work(self) -> None:
        """Let everything happen that is due."""
        for _ in range(8):
            self.reactor.advance(0)
            run(self.runner.idle())

    def later(self, hours: float) -> None:
        self.shift += int(hours * HOUR)
        self.runner.wake()
        self.work()

    def inbox(self, account: AccountId) -> list[bytes]:
        rows = run(self.db.read(messages.rows, account, INBOX, list(range(1, 100))))
        return [row.prefix + run(self.blobs.read(row.blob)) for row in rows]

    def reports(self, account: AccountId | None = None) -> list[email.message.Message]:
        return [email.message_from_bytes(data) for data in self.inbox(account or self.alice)]

    def queued(self) -> dict[str, State]:
        found = {}
        for message in run(self.db.read(spool.listed)):
            for each in run(self.db.read(spool.recipients_of, message.id)):
                found[each.address] = each.state
        return found

    def events(self, queue_id: str) -> list[tuple[str, str]]:
        rows = run(self.db.read(lambda tx: tracking.query(tx, queue_id=queue_id)))
        return [(event.event, event.recipient) for event in rows]


@pytest.fixture
def world(database: Database, store_reactor: MailReactor) -> Iterator[World]:
    world = World(database, store_reactor)
    run(world.runner.start())
    yield world
    run(world.runner.stop())
    assert world.runner._is_idle() and not world.runner.claiming.held


def status(report: email.message.Message) -> list[email.message.Message]:
    """The groups of the machine-readable part: of the message, then of each recipient."""
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    part = report.get_payload(1)
    assert part.get_content_type() == "message/delivery-status"  # type: ignore[union-attr]
    return part.get_payload()  # type: ignore[union-attr, return-value]


# Relaying ---------------------------------------------------------------------------------


def test_mail_leaves_by_the_preferred_exchanger(world: World) -> None:
    queue_id = world.send(
        Addressee("x@far.test", None, ("SUCCESS", "FAILURE"), "rfc822", "y@list.test"), ret="HDRS", envid="E1"
    )
    world.work()
    (got,) = world.far.got
    assert got.data == TEXT
    assert got.mail == f"<alice@example.test> SIZE={len(TEXT)} RET=HDRS ENVID=E1"
    assert got.rcpt == ["<x@far.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;y@list.test"]
    assert world.queued() == {}
    assert ("relayed", "x@far.test") in world.events(queue_id)
    assert world.inbox(world.alice) == [], "who offers DSN reports himself"
    assert world.far.verbs()[-1] == "QUIT"


def test_the_next_exchanger_takes_what_the_first_does_not(world: World) -> None:
    del world.reactor.peers["192.0.2.1"]
    world.send("x@far.test")
    world.work()
    assert len(world.backup.got) == 1
    world.reactor.peers["192.0.2.1"] = world.far
    world.far.greeting = "421 4.3.2 not now"
    world.send("x@far.test")
    world.work()
    assert (len(world.far.got), len(world.backup.got)) == (0, 2)


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_who_takes_nobody_for_now_leaves_it_to_the_next(world: World, stage: str) -> None:
    """RFC 5321 5.1: each address is tried, in its order, in one attempt."""
    later = "451 4.7.1 later"
    if stage == "mail":
        world.far.mail = later
    else:
        world.far.refuse = {"x@far.test": later, "y@far.test": "452 4.3.1 full"}
    queue_id = world.send("x@far.test", "y@far.test")
    world.work()
    assert [each.rcpt for each in world.backup.got] == [["<x@far.test>", "<y@far.test>"]]
    assert world.queued() == {} and ("deferred", "x@far.test") not in world.events(queue_id)
    assert world.far.connections == world.backup.connections == 1
    # Nobody else is there: what the first said stays.
    del world.reactor.peers["192.0.2.2"]
    world.send("x@far.test", "y@far.test")
    world.work()
    assert set(world.queued().values()) == {State.WAITING}
    rows = run(world.db.read(spool.recipients_of, run(world.db.read(spool.listed))[0].id))
    assert {row.last_error.split(" (")[0] for row in rows} == (
        {later} if stage == "mail" else {later, "452 4.3.1 full"}
    )


def test_one_that_is_taken_keeps_the_others_where_they_are(world: World) -> None:
    world.far.refuse = {"x@far.test": "451 4.7.1 later"}
    world.send("x@far.test", "y@far.test")
    world.work()
    assert world.backup.connections == 0 and len(world.far.got) == 1
    assert world.queued() == {"x@far.test": State.WAITING, "y@far.test": State.RELAYED}


def test_each_exchanger_is_asked_once_in_an_attempt(world: World) -> None:
    world.far.mail = world.backup.mail = "451 4.3.0 later"
    world.set(ims__limits__recipients_out=1)
    world.send("x@far.test", "y@far.test")
    world.work()
    assert world.far.verbs().count("MAIL") <= 2 and world.backup.verbs().count("MAIL") <= 2
    assert set(world.queued().values()) == {State.WAITING}


def test_the_protection_of_each_delivery_is_tracked(world: World, certified: SSL.Context) -> None:
    def tracked(queue_id: str) -> tuple[str, ...]:
        found = run(world.db.read(lambda tx: tracking.query(tx, queue_id=queue_id, tls_wanted="may")))
        (event,) = found
        return event.event, event.tls_reached, event.tls_verified, event.tls_name

    clear = world.send("x@near.test")
    world.work()
    assert tracked(clear) == ("relayed", "clear", "", "")
    world.far.tls = certified
    queue_id = world.send("x@far.test")
    world.work()
    assert tracked(queue_id) == ("relayed", "TLSv1.3", "", "other.test")
    del world.reactor.peers["192.0.2.3"]
    unreached = world.send("x@near.test")
    world.work()
    (event,) = run(world.db.read(lambda tx: tracking.query(tx, queue_id=unreached, event="deferred")))
    assert (event.tls_wanted, event.tls_reached) == ("", "")
    run(world.db.write(tracking.settle, world.now() + HOUR))
    cipher = run(world.db.read(lambda tx: tracking.query(tx, tls_reached="TLSv1.3")))[0].tls_cipher
    assert cipher.startswith("TLS_")


def test_recipients_at_one_place_share_a_transaction_and_destinations_do_not(world: World) -> None:
    world.send("x@far.test", "y@far.test", "z@near.test")
    world.work()
    assert [each.rcpt for each in world.far.got] == [["<x@far.test>", "<y@far.test>"]]
    assert [each.rcpt for each in world.near.got] == [["<z@near.test>"]]


def test_kinds_of_solicitation_are_passed_on_to_who_asks(world: World) -> None:
    world.far.extensions = (*world.far.extensions, "NO-SOLICITING org.example:ADLT")
    world.send("x@far.test", "y@near.test", solicit=("net.example:ADV", "org.example:B"))
    world.work()
    (got,), (plain,) = world.far.got, world.near.got
    assert "SOLICIT=net.example:ADV,org.example:B" in got.mail.split()
    assert "SOLICIT" not in plain.mail


def test_a_server_without_ehlo_gets_helo_and_no_parameters(world: World) -> None:
    world.far.extensions = ()
    world.send(Addressee("x@far.test", None, ("FAILURE",)), ret="FULL")
    world.work()
    assert world.far.verbs()[:2] == ["EHLO", "HELO"]
    assert (world.far.got[0].mail, world.far.got[0].rcpt) == ("<alice@example.test>", ["<x@far.test>"])


@pytest.fixture
def certified(tmp_path: Path) -> SSL.Context:
    make_self_signed("other.test", tmp_path / "certificate", tmp_path / "key")
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_file(str(tmp_path / "certificate"))
    context.use_privatekey_file(str(tmp_path / "key"))
    context.set_tlsext_servername_callback(lambda connection: None)
    return context


def test_tls_is_used_when_offered_whoever_is_there(world: World, certified: SSL.Context) -> None:
    world.far.tls = certified
    world.send("x@far.test")
    world.work()
    assert world.far.got[0].data == TEXT
    assert (world.far.encrypted, world.far.name) == (1, "a.far.test")
    assert world.far.verbs()[:3] == ["EHLO", "STARTTLS", "EHLO"]


def test_a_handshake_that_fails_does_not_keep_mail_from_leaving(world: World, certified: SSL.Context) -> None:
    world.far.tls, world.far.broken = certified, True
    world.send("x@far.test")
    world.work()
    assert len(world.far.got) == 1
    assert (world.far.connections, world.far.encrypted) == (2, 0)


def test_a_smart_host_gets_everything(world: World) -> None:
    world.set(ims__delivery__mode="smarthost", ims__delivery__smart_hosts=["192.0.2.3:2525"])
    world.send("x@far.test", "y@other.test")
    world.work()
    assert [each.rcpt for each in world.near.got] == [["<x@far.test>", "<y@other.test>"]]


def test_messages_share_a_connection_up_to_the_limit(world: World) -> None:
    world.set(ims__limits__per_host=1, ims__limits__messages_per_connection=3)
    world.work()  # A change of settings makes the runner look; all seven are to be there when it does.
    for number in range(7):
        world.send(f"x{number}@far.test")
    world.work()
    assert len(world.far.got) == 7
    assert (world.far.connections, world.far.most_open) == (3, 1)


def test_connections_are_limited(world: World) -> None:
    world.set(ims__limits__outbound=3, ims__limits__per_host=2, ims__limits__messages_per_connection=1)
    for number in range(12):
        world.send(f"x{number}@far.test")
        world.send(f"x{number}@near.test")
    world.work()
    assert (len(world.far.got), len(world.near.got)) == (12, 12)
    assert world.far.most_open <= 2 and world.near.most_open <= 2


def test_a_connection_lost_before_anything_was_said_is_replaced(world: World) -> None:
    world.set(ims__limits__per_host=1)
    world.work()
    world.far.drop, world.far.drops = "MAIL", 0
    world.send("x@far.test")
    world.send("y@far.test")
    original = world.far.on_end
    world.far.on_end = lambda: setattr(world.far, "drops", 1) if not world.far.got[1:] else original
    world.work()
    assert len(world.far.got) == 2
    assert world.queued() == {}


def test_no_more_recipients_in_a_transaction_than_set(world: World) -> None:
    world.set(ims__limits__recipients_out=2)
    world.send(*(f"x{number}@far.test" for number in range(5)))
    world.work()
    assert sorted(len(each.rcpt) for each in world.far.got) == [1, 2, 2]


# Results ----------------------------------------------------------------------------------


def test_each_recipient_has_its_own_result(world: World) -> None:
    world.far.refuse = {"bad@far.test": "550 5.1.1 no such user", "busy@far.test": "450 4.2.0 later"}
    queue_id = world.send("good@far.test", "bad@far.test", "busy@far.test")
    world.work()
    assert world.far.got[0].rcpt == ["<good@far.test>"]
    assert world.queued() == {
        "good@far.test": State.RELAYED,
        "bad@far.test": State.FAILED,
        "busy@far.test": State.WAITING,
    }
    events = world.events(queue_id)
    for event in [("relayed", "good@far.test"), ("failed", "bad@far.test"), ("deferred", "busy@far.test")]:
        assert event in events
    (report,) = world.reports()
    about, recipient = status(report)
    assert about["Reporting-MTA"] == "dns; mx.example.test"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Final-Recipient"] == "rfc822; bad@far.test"
    assert recipient["Remote-MTA"] == "dns; a.far.test"
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert report["Return-Path"] == "<>"
    world.far.refuse = {}
    world.later(1.1)
    assert [each.rcpt for each in world.far.got[1:]] == [["<busy@far.test>"]]
    assert world.queued() == {}


def test_refused_content_fails_all_recipients_in_one_report(world: World) -> None:
    world.far.end = "554 5.7.1 spam"
    world.send("x@far.test", "y@far.test", ret="FULL", envid="E 7")
    world.work()
    (report,) = world.reports()
    about, *recipients = status(report)
    assert about["Original-Envelope-Id"] == "E 7"
    assert [each["Final-Recipient"] for each in recipients] == ["rfc822; x@far.test", "rfc822; y@far.test"]
    returned = report.get_payload(2)
    assert returned.get_content_type() == "message/rfc822"  # type: ignore[union-attr]
    assert returned.get_payload(0)["Subject"] == "Hi"  # type: ignore[union-attr]
    assert report["Subject"] == "Not delivered: Hi"
    assert report["References"] == "<1@example.test>"
    assert report["Auto-Submitted"] == "auto-replied"


def test_headers_are_returned_unless_all_is_asked_for(world: World) -> None:
    world.far.refuse = {"x@far.test": "550 no"}
    world.send("x@far.test")
    world.work()
    returned = world.reports()[0].get_payload(2)
    assert returned.get_content_type() == "text/rfc822-headers"  # type: ignore[union-attr]
    assert "body" not in str(returned) and "Subject: Hi" in str(returned)


@pytest.mark.parametrize(
    ("domain", "code"), [("none.test", "5.1.2"), ("null.test", "5.1.10"), ("[127.0.0.1]", "5.4.6")]
)
def test_mail_without_a_way_comes_back_at_once(world: World, domain: str, code: str) -> None:
    world.zone.mx["null.test"] = [(0, "")]
    world.send(f"x@{domain}")
    world.work()
    assert status(world.reports()[0])[1]["Status"] == code
    assert world.queued() == {}


def test_a_lost_connection_while_sending_is_tried_again(world: World) -> None:
    world.far.drop, world.far.drops = "after", 1
    world.send("x@far.test")
    world.work()
    assert world.queued() == {"x@far.test": State.WAITING}
    world.later(1.1)
    assert len(world.far.got) == 2, "twice rather than never"
    assert world.queued() == {}


def test_retries_follow_the_profile_until_the_message_expires(world: World) -> None:
    world.far.refuse = world.backup.refuse = {"x@far.test": "450 4.2.1 later"}
    world.set(ims__timeout__normal=8, ims__retry__profile="prompt")
    world.send("x@far.test")
    world.work()
    tries = []
    for minutes in range(9 * 60):
        before = len(world.far.commands)
        world.shift += 60_000_000
        world.runner.wake()
        run(world.runner.idle())
        if len(world.far.commands) > before:
            tries.append(minutes + 1)
    assert world.queued() == {}
    gaps = [later - earlier for earlier, later in zip([0, *tries], tries, strict=False)]
    assert [round(gap, -1) if gap > 20 else gap for gap in gaps] == pytest.approx(
        [5, 15, 30, 60, 120, 240, 10], abs=2
    )
    (report,) = world.reports()
    assert status(report)[1]["Status"] == "4.4.7"
    assert "4.2.1 later" in str(report)


def test_a_delay_is_told_once(world: World) -> None:
    world.far.refuse = world.backup.refuse = {"x@far.test": "450 4.2.1 later"}
    world.set(ims__delay_notice__normal=1, ims__retry__profile="prompt")
    world.send("x@far.test", Addressee("y@far.test", None, ("FAILURE",)))
    world.far.refuse["y@far.test"] = "450 4.2.1 later"
    world.work()
    world.later(0.6)
    assert world.reports() == []
    world.later(0.7)
    world.later(2)
    (report,) = world.reports()
    _, recipient = status(report)
    assert (recipient["Action"], recipient["Final-Recipient"]) == ("delayed", "rfc822; x@far.test")
    assert recipient["Will-Retry-Until"] is not None
    assert len(status(report)) == 2, "y did not ask for news of delays"
    assert report["Subject"] == "Delayed: Hi"


# Who is told --------------------------------------------------------------------------------


def test_notify_never_is_honoured(world: World) -> None:
    world.far.end = "554 no"
    world.send(Addressee("x@far.test", None, ("NEVER",)), Addressee("y@far.test", None, ("SUCCESS",)))
    world.work()
    assert world.reports() == [] and world.queued() == {}


def test_success_is_told_when_the_next_server_will_not(world: World) -> None:
    world.far.extensions = ("8BITMIME",)
    world.send(Addressee("x@far.test", None, ("SUCCESS",)), "y@far.test")
    world.work()
    (report,) = world.reports()
    assert [(each["Action"], each["Final-Recipient"]) for each in status(report)[1:]] == [
        ("relayed", "rfc822; x@far.test")
    ]


def test_success_here_is_told(world: World) -> None:
    to = Addressee("root@example.test", run(world.directory.resolve("root@example.test")), ("SUCCESS",))
    queue_id = world.send(to)
    world.work()
    assert len(world.inbox(world.root)) == 1
    (report,) = world.reports()
    assert (status(report)[1]["Action"], status(report)[1]["Status"]) == ("delivered", "2.1.5")
    assert world.queued() == {}
    assert ("reported", "root@example.test") in world.events(queue_id)


def test_the_null_reverse_path_is_told_nothing_but_the_postmaster_is(world: World) -> None:
    world.far.end = "550 no"
    queue_id = world.send("x@far.test", sender="")
    world.work()
    assert world.far.got == [] and world.inbox(world.alice) == []
    (report,) = world.reports(world.root)
    assert report["To"] == "<postmaster@example.test>" and "cannot be told" in str(report)
    *_, returned = report.get_payload()
    assert returned.get_content_type() == "message/rfc822", "what it says is known to nobody else"
    assert ("absorbed", "x@far.test") in world.events(queue_id)


def test_an_unknown_sender_here_cannot_be_told_so_the_postmaster_is(world: World) -> None:
    world.far.end = "550 no"
    world.send("x@far.test", sender="gone@example.test")
    world.work()
    assert len(world.inbox(world.root)) == 1


def test_a_report_that_fails_at_the_postmaster_ends_there(world: World) -> None:
    world.set(queue__postmaster="boss@near.test")
    world.near.end = "550 no"
    queue_id = world.send("x@none.test", sender="")
    for _ in range(4):
        world.work()
    assert world.queued() == {} and world.inbox(world.root) == []
    assert ("absorbed", "x@none.test") in world.events(queue_id)
    assert len([command for command in world.near.commands if command.startswith("MAIL")]) == 1


def test_a_report_to_a_foreign_sender_leaves_with_the_null_reverse_path(world: World) -> None:
    world.far.end = "550 no"
    world.send("x@far.test", sender="bob@near.test")
    world.work()
    (got,) = world.near.got
    assert got.mail.startswith("<> ") and got.rcpt == ["<bob@near.test>"]


# Forms --------------------------------------------------------------------------------------


def test_eight_bit_content_is_converted_where_it_must_be(world: World) -> None:
    data = (
        "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
        "--b--\r\n"
    ).encode()
    world.far.extensions = ("PIPELINING",)
    world.send("x@far.test", data=data, body="8BITMIME")
    world.send("x@near.test", data=data, body="8BITMIME")
    world.work()
    got = world.far.got[0].data
    assert got.isascii()
    assert email.message_from_bytes(got).get_payload(0).get_payload(decode=True) == "Grüße".encode()  # type: ignore[union-attr]
    assert world.near.got[0].data == data
    assert world.near.got[0].mail.endswith(" BODY=8BITMIME")


def test_what_leaves_in_another_form_is_seven_bit_where_it_must_be(world: World) -> None:
    signed = "DKIM-Signature: v=1; a=rsa-sha256;\r\n b=x\r\nX-Kept: 1\r\n"
    data = "Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Grüße</p>\r\n".encode()
    near = Addressee("x@near.test", form="uuencode", head=signed)
    far = Addressee("x@far.test", form="uuencode", head=signed)
    world.far.extensions = ("PIPELINING", "SIZE 1000")
    world.send(near, far, Addressee("y@near.test", head=signed), data=data, body="8BITMIME")
    world.work()
    got_by = {" ".join(got.rcpt): got.data for got in (*world.near.got, *world.far.got)}
    assert len(got_by) == 3
    forms = [data for rcpt, data in got_by.items() if "x@" in rcpt]
    assert [got for rcpt, got in got_by.items() if "y@" in rcpt] == [signed.encode() + data]
    for got in forms:
        assert got.startswith(b"X-Kept: 1\r\nSubject: x\r\n")  # The signature would be untrue.
        made = email.message_from_bytes(got)
        assert made.get_content_type() == "text/plain"
        assert made.get_payload(decode=True) == "Grüße\r\n".encode()
    assert sorted(got.isascii() for got in forms) == [False, True]


def test_what_cannot_be_made_seven_bit_comes_back(world: World) -> None:
    world.far.extensions = ("PIPELINING",)
    world.send("x@far.test", data="Subject: Grüße\r\n\r\nx\r\n".encode(), body="8BITMIME")
    world.work()
    assert not world.far.got
    assert world.queued() == {}
    (report,) = world.reports()
    assert status(report)[1]["Status"] == "5.6.3"


def test_smtputf8_needs_a_server_that_has_it(world: World) -> None:
    world.far.extensions = ("8BITMIME",)
    world.send("jörg@far.test", "jörg@near.test", smtputf8=True, body="8BITMIME")
    world.work()
    assert world.near.got[0].mail.endswith(" SMTPUTF8")
    (report,) = world.reports()
    assert "5.6.7" in str(report)
    world.send("x@far.test", smtputf8=True)
    world.work()
    assert len(world.far.got) == 1, "nothing in it needs the extension"


def test_too_large_for_the_server_is_permanent(world: World) -> None:
    world.far.extensions = ("SIZE 10",)
    world.send("x@far.test")
    world.work()
    assert status(world.reports()[0])[1]["Status"] == "5.3.4"


# Claims, crashes, pauses ----------------------------------------------------------------------


def test_what_a_crash_left_claimed_is_sent_by_the_next_start(world: World) -> None:
    run(world.runner.stop())
    world.send("x@far.test")
    assert run(world.db.write(claims.claim_due, world.now(), 10, LEASE))
    world.runner = world.new_runner()
    run(world.runner.start())
    if world.db.dialect != SQLITE:
        # Another node might have it: it is ours when the lease lapsed.
        world.work()
        assert world.far.got == []
        world.later(0.2)
    world.work()
    assert len(world.far.got) == 1 and world.queued() == {}


def test_claims_that_take_long_are_renewed(world: World) -> None:
    world.far.greeting = "220-slow"
    world.send("x@far.test")
    world.reactor.advance(0)
    for _ in range(100_000):
        run(world.db.read(spool.next_due))
        if world.far.open:
            break
    (active,) = world.runner.claiming.held.values()
    lease = active.lease
    world.shift += LEASE * 3 // 4
    world.reactor.advance(60)
    for _ in range(100_000):
        run(world.db.read(spool.next_due))
        if active.lease > lease:
            break
    (message,) = run(world.db.read(spool.listed))
    (recipient,) = run(world.db.read(spool.recipients_of, message.id))
    assert recipient.lease == active.lease > lease
    stopping = world.runner.stop()
    world.reactor.advance(30)
    run(stopping)


def test_a_crash_before_telling_of_a_delivery_is_made_good(world: World) -> None:
    run(world.runner.stop())
    to = Addressee("root@example.test", run(world.directory.resolve("root@example.test")), ("SUCCESS",))
    world.send(to)
    (claim,) = run(world.db.write(claims.claim_due, world.now(), 10, LEASE))
    assert run(world.delivery.deliver_here(claim, claim.recipients[0]))
    world.runner = world.new_runner()
    run(world.runner.start())
    world.work()
    assert status(world.reports()[0])[1]["Action"] == "delivered"
    assert len(world.inbox(world.root)) == 1 and world.queued() == {}


def test_what_could_not_be_told_is_told_later(world: World) -> None:
    reporter = world.runner._settling._reporter
    tell = reporter.tell

    async def busy(*_: object) -> None:
        raise TryLater

    reporter.tell = busy  # type: ignore[method-assign, assignment]
    to = Addressee("root@example.test", run(world.directory.resolve("root@example.test")), ("SUCCESS",))
    world.send(to)
    world.work()
    assert len(world.inbox(world.root)) == 1 and world.reports() == []
    assert world.queued() == {"root@example.test": State.DELIVERED}
    reporter.tell = tell  # type: ignore[method-assign]
    world.reactor.advance(60)
    for _ in range(100_000):
        if not run(world.db.read(spool.listed)):
            break
    assert len(world.reports()) == 1


def test_nothing_is_recorded_under_a_lost_claim(world: World) -> None:
    world.set(queue__paused=True)
    world.send("x@far.test")
    (claim,) = run(world.db.write(claims.claim_due, world.now(), 10, LEASE))
    # Another node takes it when the lease lapses.
    run(world.db.write(claims.release_leases))
    run(world.db.write(claims.claim_due, world.now(), 10, LEASE))
    active = Active(claim, {claim.recipients[0].id}, claim.lease)
    work = Work(active, "far.test", claim.recipients)
    world.shift += LEASE * 3 // 4

    async def content() -> list[bytes]:
        return [piece async for piece in world.runner._parcels.content(work, False)]

    with pytest.raises(LeaseLost):
        run(content())
    assert active.lost


def test_a_lane_that_lost_its_claim_stops_before_the_final_dot(world: World) -> None:
    original = world.runner._hold

    async def lost(active: Active) -> None:
        active.lost = True
        await original(active)

    world.runner._parcels._hold = lost
    world.send("x@far.test")
    world.work()
    assert world.far.got == []
    assert world.far.open == 0
    assert world.queued() == {"x@far.test": State.WAITING}


@pytest.mark.parametrize("notify", [True, False])
def test_giving_up_takes_a_message_out_and_tells_its_sender(world: World, notify: bool) -> None:
    world.far.refuse = {"x@far.test": "450 4.2.1 later"}
    queue_id = world.send("x@far.test", "y@far.test")
    world.work()
    run(world.runner.give_up(queue_id, notify))
    assert world.queued() == {}
    assert ("deleted", "x@far.test") in world.events(queue_id)
    assert [str(each["Subject"]) for each in world.reports()] == (["Not delivered: Hi"] if notify else [])
    with pytest.raises(NoSuchEntry):
        run(world.runner.give_up(queue_id))


def test_paused_means_nothing_moves(world: World) -> None:
    world.set(queue__paused=True)
    world.send("x@far.test")
    world.work()
    assert world.far.connections == 0
    world.set()
    world.work()
    assert len(world.far.got) == 1


def test_held_recipients_stay(world: World) -> None:
    world.set(queue__paused=True)
    world.send("x@far.test")
    (message,) = run(world.db.read(spool.listed))
    run(world.db.write(spool.hold, message.id, world.now()))
    world.set()
    world.work()
    assert world.far.got == []
    run(world.db.write(spool.retry, message.id, world.now()))
    world.work()
    assert len(world.far.got) == 1


def test_contacts_that_lead_to_each_other_are_told_to_the_sender(world: World) -> None:
    world.directory.add_contact("ping", "pong@example.test")
    world.directory.add_contact("pong", "ping@example.test")
    addressee = Addressee("ping@example.test", world.directory.known["ping@example.test"])
    queue_id = world.send(addressee)
    world.work()
    assert not [event for event in world.events(queue_id) if event[0] == "delivered"]
    (report,) = world.reports()
    _, recipient = status(report)
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.4.6")
    assert world.queued() == {}


@pytest.mark.parametrize("refusal", ["permanent", "temporary"])
def test_a_full_mailbox_is_told_of_as_the_site_wants(world: World, refusal: str) -> None:
    world.set(quotas__refusal=refusal)
    run(world.db.write(mailboxes.set_quota, world._person("full"), 10, 0))
    world.send("root@example.test", "full@example.test")
    world.work()
    assert len(world.inbox(world.root)) == 1
    if refusal == "temporary":
        assert world.reports() == []
        assert world.queued()["full@example.test"] is State.WAITING
    else:
        (report,) = world.reports()
        assert (status(report)[1]["Action"], status(report)[1]["Status"]) == ("failed", "5.2.2")
        assert world.queued() == {}


def test_a_domain_that_became_ours_is_delivered_here(world: World) -> None:
    world.send("alice@example.test", "nobody@example.test", sender="bob@near.test")
    world.work()
    assert len(world.inbox(world.alice)) == 1
    assert "5.1.1" in world.near.got[0].data.decode()


def test_what_stays_here_does_not_wait_for_who_is_slow_elsewhere(world: World) -> None:
    world.set(ims__limits__outbound=1)
    world.far.greeting = "220-never"  # the greeting does not end
    world.send("x@far.test")
    world.reactor.advance(0)
    for _ in range(100_000):
        run(world.db.read(spool.next_due))
        if world.far.open:
            break
    assert world.far.open == 1
    to = Addressee("root@example.test", run(world.directory.resolve("root@example.test")), ("SUCCESS",))
    world.send(to)
    for _ in range(100_000):
        world.reactor.advance(0)
        run(world.db.read(spool.next_due))
        if world.inbox(world.root):
            break
    assert len(world.inbox(world.root)) == 1
    assert world.far.open == 1
    stopping = world.runner.stop()
    world.reactor.advance(30)
    run(stopping)


def test_a_stop_ends_what_hangs_and_leaves_it_for_the_next_start(world: World) -> None:
    world.far.greeting = "220-never"  # the greeting does not end
    world.send("x@far.test")
    world.reactor.advance(0)
    for _ in range(100_000):
        run(world.db.read(spool.next_due))
        if world.far.open:
            break
    assert world.runner.lanes.open
    stopping = world.runner.stop()
    world.reactor.advance(30)
    run(stopping)
    assert world.far.open == 0
    assert world.queued() == {"x@far.test": State.WAITING}
    world.far.greeting = "220 well"
    world.runner = world.new_runner()
    run(world.runner.start())
    world.work()
    assert len(world.far.got) == 1


def test_a_message_over_which_we_stumble_is_tried_as_others_are_and_comes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was tried every five minutes without end, and its sender heard of nothing."""

    async def stumbling(work: Work) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(world.runner._parcels, "parcel", stumbling)
    world.send("x@far.test")
    world.work()
    assert world.queued() == {"x@far.test": State.WAITING}
    for _ in range(4):
        world.later(30)
    assert world.queued() == {}
    (report,) = [each for each in world.reports() if "failed" in str(each)]
    assert "x@far.test" in str(report)
