"""Performance counters: what each of them counts, and what it does not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock

from imsd.ctl.server import exposition
from imsd.mail.counters import NAMES, RATES, Counters
from imsd.mail.envelope import Addressee, Origin
from imsd.mail.limits import Arrivals, InboundLimits
from imsd.settings import PAGES, LiveSettings
from imsd.store import queue_rows
from imsd.store.database import Database
from protocols.connection import Limits
from tests.mail.peers import MailReactor
from tests.mail.test_queue import TEXT, World, store_reactor
from tests.support.stores import run

__all__ = ["store_reactor"]

EIGHT = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xc3\xa4\r\n"


@pytest.fixture
def world(sqlite_database: Database, store_reactor: MailReactor) -> Iterator[World]:
    made = World(sqlite_database, store_reactor)
    run(made.runner.start())
    yield made
    run(made.runner.stop())


def counted(world: World) -> dict[str, int]:
    return {name: value for name, value in world.delivery.counters.totals().items() if value}


def test_what_comes_in_and_what_leaves_is_counted(world: World) -> None:
    here = Addressee("alice@example.test", world.directory.known["alice@example.test"])
    world.send(here, sender="x@out.test", origin=Origin("ESMTP", "198.51.100.7"))
    assert counted(world) == {
        "Messages Entering MTS-IN": 1,
        "Inbound Messages Total": 1,
        "Inbound Bytes Total": len(TEXT),
        "Total Inbound Recipients": 1,
    }
    world.send("x@far.test", "y@far.test", account=world.alice)
    assert run(world.db.read(queue_rows.load)) == (1, len(TEXT))
    world.work()
    found = counted(world)
    assert found["Messages Entering MTS-OUT"] == found["Messages Leaving MTS-OUT"] == 1
    assert (found["Outbound Messages Total"], found["Total Outbound Recipients"]) == (1, 2)
    assert found["Outbound Bytes Total"] == len(TEXT)
    assert found["Connections Total Outbound"] == 1
    assert world.delivery.counters.rates()["Outbound Messages/Hr"] == 1
    assert run(world.db.read(queue_rows.load)) == (0, 0)


def test_failures_are_counted_by_what_failed(world: World) -> None:
    world.far.refuse["x@far.test"] = "550 5.1.1 no"
    del world.reactor.peers["192.0.2.3"]
    world.send("x@far.test", "y@near.test", account=world.alice)
    world.work()
    world.reactor.peers["192.0.2.2"].refuse = world.far.refuse
    found = counted(world)
    assert found["NDRs Total Inbound"] == 1
    assert "NDRs Total Outbound" not in found
    assert found["Connections Total Failed"] == 1
    world.send("x@far.test", sender="alice@example.test")
    world.work()
    assert counted(world)["NDRs Total Outbound"] == 1


def test_conversions_are_counted(world: World) -> None:
    world.far.extensions = ("PIPELINING",)
    world.send("x@far.test", data=EIGHT, body="8BITMIME", account=world.alice)
    world.work()
    assert counted(world)["Total Successful Conversions"] == 1


def test_connections_are_counted_whether_they_are_admitted_or_not() -> None:
    inbound = InboundLimits(LiveSettings(PAGES), Clock())
    arrivals = Arrivals(Clock(), lambda: Limits(1, 1, 0, False), inbound)
    assert arrivals.admit("192.0.2.1")
    assert not arrivals.admit("192.0.2.2")
    totals = inbound.counters.totals()
    assert (totals["Connections Total Inbound"], totals["Connections Total Rejected"]) == (1, 1)


def test_names_are_those_of_fields_and_are_exposed_as_what_they_are() -> None:
    counters = Counters(lambda: 0.0)
    assert all(hasattr(counters, key) for key in (*NAMES.values(), *RATES.values()))
    text = exposition({**counters.totals(), "Queued MTS-OUT": 3, "Total Messages Queued": 2})
    assert (
        "# TYPE exchange_imc_inbound_messages_total counter\nexchange_imc_inbound_messages_total 0\n" in text
    )
    assert "# TYPE exchange_imc_queued_mts_out gauge\nexchange_imc_queued_mts_out 3\n" in text
    assert "# TYPE exchange_imc_total_messages_queued gauge\n" in text
