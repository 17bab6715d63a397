"""Priorities, deadlines and release times in the queue and on the way to other servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsd.mail import priorities
from imsd.mail.envelope import Addressee, Timing
from imsd.mail.work import HOUR
from imsd.store import queue_rows, spool
from imsd.store.database import Database
from imsd.store.queue_rows import Deed
from imsd.store.spool import State
from tests.mail.peers import MailReactor
from tests.mail.test_queue import TEXT, World, status, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]

MINUTE = HOUR // 60


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[World]:
    world = World(sqlite_database, store_reactor)
    run(world.runner.start())
    yield world
    run(world.runner.stop())


def by(world: World, minutes: float, mode: str) -> Timing:
    return Timing(world.now() + int(minutes * MINUTE), mode)


@pytest.mark.parametrize(
    ("header", "value", "left"),
    [
        (b"A: b\r\nMT-Priority: 3\r\n\r\n", 3, b"A: b\r\n\r\n"),
        (b"mt-priority : -4 (low)\r\nA: b\r\n\r\n", -4, b"A: b\r\n\r\n"),
        (b"MT-Priority: 12\r\n\r\n", None, b"\r\n"),
        (b"MT-Priority: 1\r\nMT-Priority: 2\r\n\r\n", None, b"\r\n"),
        (b"X-MT-Priority: 1\r\n\r\n", None, b"X-MT-Priority: 1\r\n\r\n"),
    ],
)
def test_the_field_is_taken_out(header: bytes, value: int | None, left: bytes) -> None:
    assert priorities.tunnelled(header) == (value, left)


def test_classes_and_trust() -> None:
    assert [priorities.class_of(n) for n in (-9, -1, 0, 3, 4, 9)] == [-1, -1, 0, 0, 1, 1]
    assert priorities.granted(5, True) == 5 and priorities.granted(5, False) == 0
    assert priorities.granted(-5, False) == -5 and priorities.granted(None, False) is None


def test_a_priority_is_relayed_by_the_parameter_or_by_the_field(world: World) -> None:
    world.near.extensions = ("MT-PRIORITY STANAG4406", "SIZE")
    world.send("x@near.test", "y@far.test", mt_priority=-4, priority=-1)
    world.work()
    assert world.near.got[0].mail.endswith(" MT-PRIORITY=-4") and world.near.got[0].data == TEXT
    field = b"MT-Priority: -4\r\n"
    assert world.far.got[0].data == field + TEXT
    assert f"SIZE={len(TEXT) + len(field)}" in world.far.got[0].mail


def test_a_report_is_as_urgent_as_what_it_is_about(world: World) -> None:
    """RFC 6710 4.6."""
    world.near.extensions = ("MT-PRIORITY STANAG4406", "SIZE")
    world.far.end = "550 5.7.1 no"
    world.send("y@far.test", sender="x@near.test", mt_priority=6, priority=1)
    world.work()
    (report,) = world.near.got
    assert report.mail.startswith("<> ") and report.mail.endswith(" MT-PRIORITY=6")


def test_what_is_left_of_a_deadline_is_relayed(world: World) -> None:
    world.near.extensions = ("DELIVERBY 60", "DSN")
    world.send("x@near.test", timing=by(world, 10, "R"))
    world.work()
    (seconds,) = [word[3:] for word in world.near.got[0].mail.split() if word.startswith("BY=")]
    assert seconds.endswith(";R") and 590 <= int(seconds[:-2]) <= 600
    assert world.reports() == []


@pytest.mark.parametrize(("extensions", "minutes"), [(("DSN",), 60), (("DELIVERBY 120",), 1)])
def test_what_must_be_in_time_goes_to_nobody_who_does_not_see_to_it(
    world: World, extensions: tuple[str, ...], minutes: int
) -> None:
    world.near.extensions = extensions
    world.send("x@near.test", timing=by(world, minutes, "R"))
    world.work()
    assert world.near.got == [] and world.queued() == {}
    about, recipient = status(world.reports()[0])
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.4.7")
    assert about["Deliver-By-Date"]


def test_what_is_not_in_time_comes_back_and_is_not_tried_after_it(world: World) -> None:
    world.near.extensions = ("DELIVERBY",)
    world.near.refuse = {"x@near.test": "450 4.2.1 later"}
    world.send("x@near.test", timing=by(world, 30, "R"))
    world.work()
    assert world.queued() == {"x@near.test": State.WAITING}
    tries = len(world.near.commands)
    world.later(0.51)
    assert len(world.near.commands) == tries
    assert status(world.reports()[0])[1]["Status"] == "5.4.7"
    assert world.queued() == {}


def test_who_only_wants_to_be_told_is_told_once_and_it_goes_on(world: World) -> None:
    world.near.extensions = ("DELIVERBY",)
    world.near.refuse = {"x@near.test": "450 4.2.1 later", "y@near.test": "450 4.2.1 later"}
    world.send("x@near.test", Addressee("y@near.test", None, ("FAILURE",)), timing=by(world, 30, "N"))
    world.work()
    assert world.reports() == []
    world.later(0.51)
    (report,) = world.reports()
    # RFC 2852 4.1.3: the code says that its time is over, whatever the reason is.
    assert [(each["Action"], each["Status"], each["Final-Recipient"]) for each in status(report)[1:]] == [
        ("delayed", "4.4.7", "rfc822; x@near.test")
    ]
    world.near.refuse = {}
    world.later(4)
    assert world.queued() == {} and len(world.reports()) == 1
    assert any(word.startswith("BY=-") for word in world.near.got[0].mail.split())


@pytest.mark.parametrize(
    ("mode", "extensions", "notify", "told"),
    [
        ("N", ("DSN",), (), True),
        ("N", ("DSN", "DELIVERBY"), (), False),
        ("NT", ("DSN", "DELIVERBY"), (), True),
        ("NT", ("DSN", "DELIVERBY"), ("NEVER",), False),
    ],
)
def test_a_trace_tells_of_each_hop(
    world: World, mode: str, extensions: tuple[str, ...], notify: tuple[str, ...], told: bool
) -> None:
    world.near.extensions = extensions
    world.send(Addressee("x@near.test", None, notify), timing=by(world, 60, mode))
    world.work()
    assert len(world.near.got) == 1
    assert [status(each)[1]["Action"] for each in world.reports()] == (["relayed"] if told else [])


@pytest.mark.parametrize(
    ("notify", "asked"),
    [
        ((), " NOTIFY=FAILURE,DELAY"),
        (("SUCCESS",), " NOTIFY=SUCCESS,DELAY"),
        (("FAILURE", "DELAY"), " NOTIFY=FAILURE,DELAY"),
        (("NEVER",), " NOTIFY=NEVER"),
    ],
)
def test_who_does_not_watch_the_time_is_asked_to_tell_of_delays(
    world: World, notify: tuple[str, ...], asked: str
) -> None:
    """RFC 2852 4.1.4.2, which overrides RFC 3461 5.2.1 c; not once the time is over."""
    world.near.extensions = ("DSN",)
    world.send(Addressee("x@near.test", None, notify), timing=by(world, 60, "N"))
    world.send(Addressee("y@near.test", None, notify), timing=by(world, -1, "N"))
    world.work()
    first, second = sorted(got.rcpt[0] for got in world.near.got)
    assert first == f"<x@near.test>{asked}"
    assert second == "<y@near.test>" + (f" NOTIFY={','.join(notify)}" if notify else "")
    told = [status(each)[1]["Final-Recipient"] for each in world.reports()]
    assert told == ([] if "NEVER" in notify else ["rfc822; x@near.test"])


def test_what_is_kept_back_is_nobodys_before_its_time(world: World) -> None:
    release = world.now() + 5 * HOUR
    root = Addressee("root@example.test", run(world.directory.resolve("root@example.test")))
    world.send("x@far.test", root, timing=Timing(release=release, future="for;18000"))
    world.work()
    world.later(4.9)
    assert world.far.got == [] and world.inbox(world.root) == []
    (message,) = run(world.db.read(spool.listed))
    assert message.expires >= release + 72 * HOUR - MINUTE, "its time begins then"
    world.later(0.2)
    assert len(world.far.got) == 1 and len(world.inbox(world.root)) == 1
    assert world.queued() == {}


def test_an_administrator_who_names_nothing_lets_nothing_go_before_its_time(world: World) -> None:
    release = world.now() + HOUR
    queue_id = world.send("x@far.test", timing=Timing(release=release, future="for;3600"))

    def do(deed: Deed) -> int:
        rows, _ = run(world.db.read(queue_rows.rows, queue_rows.Wanted((queue_id,))))
        count = run(world.db.write(queue_rows.do, deed, [row.recipient.id for row in rows], world.now()))
        world.work()
        return count

    assert [do(deed) for deed in (Deed.RETRY, Deed.HOLD, Deed.RELEASE)] == [0, 1, 1]
    assert world.far.got == [] and world.queued() == {"x@far.test": State.WAITING}
    assert do(Deed.NOW) == 1
    assert len(world.far.got) == 1


def test_the_report_says_that_it_was_kept_back(world: World) -> None:
    world.far.end = "550 no"
    release = world.now() + HOUR
    world.send("x@far.test", timing=Timing(release=release, future="for;3600"))
    world.later(1.1)
    assert status(world.reports()[0])[0]["Future-Release-Request"] == "for;3600"
