"""Reports as people get them: every NOTIFY, every RET, every outcome; and the site's choices."""

from __future__ import annotations

import email
import email.message
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from imsd.directory.restrictions import Reports
from imsd.mail.envelope import Addressee
from imsd.settings.reports import Kind
from imsd.store.database import Database
from tests.mail.peers import MailReactor
from tests.mail.test_lists import change, entry
from tests.mail.test_queue import World, status
from tests.support import stores
from tests.support.stores import run

NOTIFY: tuple[tuple[str, ...], ...] = (
    (),
    ("NEVER",),
    ("SUCCESS",),
    ("FAILURE",),
    ("DELAY",),
    ("FAILURE", "DELAY"),
    ("SUCCESS", "FAILURE", "DELAY"),
)
RET = ("", "FULL", "HDRS")


@pytest.fixture
def store_reactor() -> MailReactor:
    stores._reactor = MailReactor()
    return stores._reactor


@pytest.fixture
def world(database: Database, store_reactor: MailReactor) -> Iterator[World]:
    one = World(database, store_reactor)
    run(one.runner.start())
    yield one
    run(one.runner.stop())


def fail(world: World) -> str:
    world.far.end = "554 5.7.1 no"
    return "x@far.test"


def delay(world: World) -> str:
    world.far.mail = world.backup.mail = "451 4.3.0 later"
    return "x@far.test"


def relay(world: World) -> str:
    world.far.extensions = ("8BITMIME",)
    return "x@far.test"


def pass_on(world: World) -> str:
    return "x@far.test"


def deliver(world: World) -> str:
    return "root@example.test"


def expand(world: World) -> str:
    world.directory.add_list("staff", "root@example.test", "guest@example.test")
    world.directory.add_contact("guest", "guest@far.test")
    return "staff@example.test"


# What is told, when NOTIFY has the word, or is not there.
OUTCOMES: tuple[tuple[Callable[[World], str], str, str, bool], ...] = (
    (fail, "failed", "FAILURE", True),
    (delay, "delayed", "DELAY", True),
    (relay, "relayed", "SUCCESS", False),
    (pass_on, "", "", False),
    (deliver, "delivered", "SUCCESS", False),
    (expand, "expanded", "SUCCESS", False),
)


@pytest.mark.parametrize(("arrange", "action", "word", "unasked"), OUTCOMES)
def test_every_notify_with_every_ret(
    world: World, arrange: Callable[[World], str], action: str, word: str, unasked: bool
) -> None:
    world.set(ims__delay_notice__normal=1, ims__retry__profile="prompt")
    address = arrange(world)
    known = run(world.directory.resolve(address)) if address.endswith("example.test") else None
    asked = {}
    for number, (notify, ret) in enumerate(product(NOTIFY, RET)):
        asked[f"E{number}"] = (notify, ret)
        to = Addressee(address, known, notify, "rfc822", f"was{number}@old.test")
        world.send(to, ret=ret, envid=f"E{number}")
    world.work()
    world.later(0.6)
    world.later(0.7)
    told: dict[str, email.message.Message] = {}
    for report in world.reports():
        about, recipient = status(report)
        envid = about["Original-Envelope-Id"]
        assert envid not in told, "told twice"
        told[envid] = report
        assert recipient["Action"] == action
        assert recipient["Original-Recipient"] == f"rfc822; was{envid[1:]}@old.test"
        assert recipient["Final-Recipient"] == f"rfc822; {address}"
        assert (recipient["Will-Retry-Until"] is not None) == (action == "delayed")
        assert (recipient["Diagnostic-Code"] is not None) == (action in ("failed", "delayed", "relayed"))
        full = asked[envid][1] == "FULL" and action == "failed"
        returned = report.get_payload(2)
        kind = "message/rfc822" if full else "text/rfc822-headers"
        assert returned.get_content_type() == kind  # type: ignore[union-attr]
        assert ("body" in str(returned)) == full
    expected = {
        envid
        for envid, (notify, _) in asked.items()
        if action and (word in notify or (unasked and not notify))
    }
    assert set(told) == expected


def test_members_of_a_list_pass_on_everything_but_success(world: World) -> None:
    address = expand(world)
    to = Addressee(
        address, run(world.directory.resolve(address)), ("SUCCESS", "FAILURE"), "rfc822", "list@example.test"
    )
    world.send(to, envid="E1", ret="HDRS")
    world.work()
    (got,) = world.far.got
    assert "ENVID=E1" in got.mail and "RET=HDRS" in got.mail
    assert got.rcpt == ["<guest@far.test> NOTIFY=FAILURE ORCPT=rfc822;list@example.test"]
    assert len(world.inbox(world.root)) == 1
    world.work()
    (report,) = world.reports()
    assert [each["Action"] for each in status(report)[1:]] == ["expanded"]
    assert world.queued() == {}


def test_one_who_is_forwarded_is_reported_by_the_last_server(world: World) -> None:
    world.directory.add_contact("friend", "friend@far.test")
    known = run(world.directory.resolve("friend@example.test"))
    world.send(Addressee("friend@example.test", known, ("SUCCESS",), "rfc822", "friend@example.test"))
    world.work()
    assert world.far.got[0].rcpt == ["<friend@far.test> NOTIFY=SUCCESS ORCPT=rfc822;friend@example.test"]
    assert world.reports() == [], "the other server offers DSN, and tells"


def test_the_report_comes_from_the_domain_that_the_message_was_for(world: World) -> None:
    world.far.end = "550 no"
    world.set(ims__site_domain="site.test")
    world.send("x@far.test")
    world.send(Addressee("x@far.test", None, (), "rfc822", "jo@example.test"))
    world.work()
    senders = [report["From"] for report in world.reports()]
    assert sorted(senders) == [
        "Mail Delivery System <postmaster@example.test>",
        "Mail Delivery System <postmaster@site.test>",
    ]


def test_who_submitted_gets_all_of_what_failed_unless_he_wants_less(world: World) -> None:
    world.far.end = "550 no"
    world.set(queue__return_kb=1)
    for ret in ("", "HDRS"):
        world.send("x@far.test", account=world.alice, ret=ret)
    world.send("x@far.test", account=world.alice, data=b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" * 600)
    world.work()
    kinds = sorted(report.get_payload(2).get_content_type() for report in world.reports())  # type: ignore[union-attr]
    assert kinds == ["message/rfc822", "text/rfc822-headers", "text/rfc822-headers"]


def test_people_here_are_told_in_their_language(world: World) -> None:
    world.far.end = "550 no"
    world.directory.languages[world.alice] = "de"
    world.send("x@far.test")
    world.send(
        "x@far.test", sender="stranger@near.test", data=b"Accept-Language: fr-CA\r\nSubject: s\r\n\r\n"
    )
    world.work()
    assert world.reports()[0]["Subject"] == "Nicht zugestellt: Hi"
    assert b"Subject: Non remis: s" in world.near.got[0].data


# The site's choices -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("external", "sender", "there", "root"),
    [
        ("send", "s@near.test", 1, 0),
        ("suppress", "s@near.test", 0, 0),
        ("admin_only", "s@near.test", 0, 1),
        ("suppress", "alice@example.test", 0, 0),
        ("admin_only", "alice@example.test", 0, 0),
    ],
)
def test_what_senders_elsewhere_are_told(
    world: World, external: str, sender: str, there: int, root: int
) -> None:
    world.far.end = "550 no"
    world.set(ims__ndr__external=external)
    queue_id = world.send("x@far.test", sender=sender)
    world.work()
    assert (len(world.near.got), len(world.inbox(world.root))) == (there, root)
    assert len(world.inbox(world.alice)) == (sender == "alice@example.test")
    words = {event for event, recipient in world.events(queue_id) if recipient == "x@far.test"}
    told = {"suppress": "unreported", "admin_only": "redirected", "send": "reported"}[external]
    assert ("reported" if "alice" in sender else told) in words


def test_success_is_told_elsewhere_whatever_is_said_of_failures(world: World) -> None:
    world.set(ims__ndr__external="suppress")
    known = run(world.directory.resolve("root@example.test"))
    world.send(Addressee("root@example.test", known, ("SUCCESS",)), sender="s@near.test")
    world.work()
    assert len(world.near.got) == 1


# Notifications (ims_spec 3.1.1) ---------------------------------------------------------------


def unknown(world: World) -> None:
    world.send("nobody@example.test", sender="s@near.test")


def nowhere(world: World) -> None:
    world.send("x@none.test")


def refused(world: World) -> None:
    world.far.refuse = {"x@far.test": "550 5.1.1 who"}
    world.send("x@far.test")


def unconvertible(world: World) -> None:
    world.far.extensions = ("PIPELINING",)
    world.send("x@far.test", data="Subject: Grüße\r\n\r\nx\r\n".encode(), body="8BITMIME")


def late(world: World) -> None:
    world.far.mail = world.backup.mail = "451 later"
    world.send("x@far.test")
    world.work()
    world.later(200)


CASES: dict[Kind, Callable[[World], None]] = {
    "address-not-found": unknown,
    "host-not-found": nowhere,
    "protocol-error": refused,
    "conversion-failed": unconvertible,
    "timeout": late,
}
KINDS: tuple[Kind, ...] = (*CASES, "multiple-matches")


def notifications(world: World) -> list[email.message.Message]:
    return [one for one in world.reports(world.root) if one["Subject"].startswith("Notification: ")]


@pytest.mark.parametrize("happens", CASES)
def test_every_kind_with_every_choice(world: World, happens: Kind) -> None:
    world.set(ims__notifications__mode="always", ims__notifications__kinds=[])
    CASES[happens](world)
    world.work()
    assert len(notifications(world)) == 1
    for number, kind in enumerate(KINDS, 1):
        world.set(ims__notifications__kinds=[kind])
        world.shift = 0
        CASES[happens](world)
        world.work()
        expected = 1 + (number > list(KINDS).index(happens))
        assert len(notifications(world)) == expected, kind


def test_a_notification_has_the_message_and_says_why(world: World) -> None:
    world.set(ims__notifications__kinds=["protocol-error"], ims__admin_mailbox="root@example.test")
    refused(world)
    world.work()
    (note,) = notifications(world)
    assert note["Subject"] == "Notification: Outbound Mail Failure - A protocol error occurred."
    assert note["From"] == "System Administrator <postmaster@example.test>"
    assert (note["Return-Path"], note["Auto-Submitted"]) == ("<>", "auto-generated")
    text, attached = note.get_payload()  # type: ignore[misc]
    said = text.get_payload(decode=True).decode()
    assert "<x@far.test>" in said and "MSEXCH:IMS:Example:Main:MX 3550 550 5.1.1 who" in said
    assert attached.get_content_type() == "message/rfc822"
    assert "body" in str(attached)


def test_what_came_in_and_what_goes_out_are_told_apart_and_headers_may_be_enough(world: World) -> None:
    world.set(ims__notifications__mode="always", ims__notifications__headers_only=True)
    unknown(world)
    world.work()
    (note,) = notifications(world)
    assert note["Subject"] == "Notification: Inbound Mail Failure"
    assert note.get_payload(1).get_content_type() == "text/rfc822-headers"  # type: ignore[union-attr]


def test_a_notification_never_bounces(world: World) -> None:
    world.directory.add_contact("boss", "boss@near.test")
    world.set(ims__notifications__mode="always", ims__admin_mailbox="boss@example.test")
    world.near.end = "550 no"
    refused(world)
    for _ in range(4):
        world.work()
    assert world.queued() == {} and world.inbox(world.root) == []
    assert world.near.verbs().count("MAIL") == 1
    assert len(world.inbox(world.alice)) == 1


def test_a_report_that_failed_is_no_reason_for_a_notification(world: World) -> None:
    world.set(ims__notifications__mode="always")
    world.far.end = "550 no"
    world.send("x@far.test", sender="")
    world.work()
    assert notifications(world) == [] and len(world.inbox(world.root)) == 1


def test_nobody_is_told_and_nothing_breaks_without_an_administrator(world: World) -> None:
    world.set(ims__notifications__mode="always")
    del world.directory.known["postmaster@example.test"]
    refused(world)
    world.work()
    assert world.queued() == {} and len(world.inbox(world.alice)) == 1


@pytest.mark.parametrize("extensions", [("8BITMIME",), ("PIPELINING",)])
def test_a_sender_whose_server_takes_no_utf8_is_told_all_the_same(
    world: World, extensions: tuple[str, ...]
) -> None:
    """RFC 6533 4.5: that his message was internationalized says nothing of the way back."""
    world.far.extensions = world.near.extensions = extensions
    data = "Subject: grün\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nblau ä\r\n"
    world.send(
        "jörg@far.test",
        sender="s@near.test",
        data=data.encode(),
        smtputf8=True,
        body="8BITMIME",
        ret="FULL",
    )
    world.work()
    world.work()
    (got,) = world.near.got
    assert got.data.isascii() and "SMTPUTF8" not in got.mail
    report = email.message_from_bytes(got.data)
    kinds = [part.get_content_type() for part in report.get_payload()]  # type: ignore[union-attr]
    assert kinds == ["text/plain", "message/global-delivery-status", "message/global"]
    assert b"J=C3=B6RG" in got.data.upper() and world.inbox(world.root) == []


@pytest.mark.parametrize("who", ["contact", "list", "list of an owner"])
def test_a_postmaster_who_cannot_be_reached_is_told_once(world: World, who: str) -> None:
    """What was told him, and what is told of that, fails in silence: else it would go on for ever."""
    world.directory.add_contact("away", "away@far.test")
    world.far.end = "554 5.7.1 nobody wants this"
    address = "away@example.test"
    if who != "contact":
        address = "admins@example.test"
        world.directory.add_list("admins", "away@example.test")
        owner = entry(world, "away") if who == "list of an owner" else None
        change(world, "admins", reports=Reports.OWNER if owner else Reports.POSTMASTER, owner=owner)
    world.set(ims__admin_mailbox=address)
    queue_id = world.send("x@far.test", sender="")
    for _ in range(4):
        world.work()
    assert world.queued() == {}
    assert sum(each.startswith("MAIL") for each in world.far.commands) == 2
    assert ("absorbed", "x@far.test") in world.events(queue_id)
