"""Results of TLS sessions and reports on them, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsd.errors import NoSuchEntry
from imsd.store import tls_received, tls_results
from imsd.store.database import Database
from imsd.store.tls_received import Received
from imsd.store.tls_results import DAY, MOST, Report, Result, Total
from tests.support.stores import run

FINE = Result(20_000, "far.test", "far.test")
FAILED = replace(
    FINE, result="certificate-expired", mx="mx.far.test", receiving_ip="192.0.2.1", reason="a\0b"
)


def test_equal_sessions_are_counted_in_one_row(database: Database) -> None:
    run(database.write(tls_results.count, [(FINE, 3), (FAILED, 1)]))
    run(database.write(tls_results.count, [(FINE, 2), (replace(FINE, day=20_001), 7)]))
    found = run(database.read(tls_results.of, 20_000, "far.test"))
    assert found == [(FINE, 5), (replace(FAILED, reason="a\ufffdb"), 1)]
    totals = run(database.read(tls_results.totals, 0, 30_000))
    assert totals == [
        Total(20_001, "far.test", "no-policy-found", "", 7),
        Total(20_000, "far.test", "no-policy-found", "", 5),
        Total(20_000, "far.test", "no-policy-found", "certificate-expired", 1),
    ]
    assert run(database.read(tls_results.totals, 0, 20_000, "far.test")) == totals[1:]
    assert run(database.read(tls_results.totals, 0, 30_000, "else.test")) == []
    assert run(database.write(tls_results.expire, 20_001)) == 2
    assert run(database.read(tls_results.totals, 0, 30_000)) == totals[:1]


def test_a_domain_has_so_many_rows_and_the_others_lose_their_details(database: Database) -> None:
    each = [(replace(FAILED, receiving_ip=str(number), policy="x"), 1) for number in range(MOST + 50)]
    run(database.write(tls_results.count, each))
    found = run(database.read(tls_results.of, 20_000, "far.test"))
    assert len(found) == MOST + 1
    assert max(count for _, count in found) == 50 and sum(count for _, count in found) == MOST + 50


def test_a_report_is_planned_once_claimed_once_and_divided(database: Database) -> None:
    run(database.write(tls_results.count, [(FINE, 1), (replace(FINE, domain="b.test"), 1)]))
    domains = run(database.read(tls_results.unplanned, 20_000))
    assert domains == ["b.test", "far.test"]
    assert run(database.read(tls_results.unplanned, 20_000, "b.test")) == ["far.test"]
    for since in (1_000, 9_000):
        run(database.write(tls_results.plan, 20_000, domains, since, 500))
    assert run(database.read(tls_results.unplanned, 20_000)) == []
    assert run(database.read(tls_results.are_due, 1_500)) and not run(database.read(tls_results.are_due, 999))
    planned = run(database.read(tls_results.reports))
    assert all(1_000 <= each.due <= 1_500 and each.state == "waiting" for each in planned)
    assert len({each.due for each in planned}) == 2
    assert run(database.write(tls_results.claim, 999, 5_000)) == []
    first, second = run(database.write(tls_results.claim, 1_500, 5_000))
    assert run(database.write(tls_results.claim, 1_500, 5_000)) == []
    run(database.write(tls_results.divide, first, ["https://a.test/", "mailto:a@b.test"], 2_000))
    run(database.write(tls_results.settle, second, "none", 0, "asks for none"))
    due = run(database.write(tls_results.claim, 2_000, 7_000))
    assert {each.rua for each in due} == {"https://a.test/", "mailto:a@b.test"}
    run(database.write(tls_results.settle, due[0], "waiting", 8_000, "later"))
    run(database.write(tls_results.settle, due[1], "sent", 0, "201"))
    states = {(each.rua, each.state, each.attempts) for each in run(database.read(tls_results.reports))}
    assert states == {
        ("", "divided", 1),
        ("", "none", 1),
        (due[0].rua, "waiting", 1),
        (due[1].rua, "sent", 1),
    }
    # A claim that lapsed is anybody's.
    again = run(database.write(tls_results.claim, 8_000, 9_000))
    assert [each.rua for each in again] == [due[0].rua] and isinstance(again[0], Report)
    assert run(database.write(tls_results.thin, 20_001)) == 2 and not run(
        database.write(tls_results.thin, 20_001)
    )
    assert {each.state for each in run(database.read(tls_results.reports))} == {"waiting", "sent"}
    run(database.write(tls_results.expire, 20_001))
    assert run(database.read(tls_results.reports)) == []


def received(number: int, **more: object) -> Received:
    return replace(
        Received("Org", "a@org.test", f"id{number}", "org.test", "far.test", 0, DAY, number, 5, 1, "[]"),
        **more,  # type: ignore[arg-type]
    )


def test_a_report_that_comes_twice_is_one(database: Database) -> None:
    assert run(database.read(tls_received.read_to, 1, 1)) is None
    assert run(database.write(tls_received.mark, 1, 1, 7, received(1), received(2))) == 2
    assert run(database.write(tls_received.mark, 1, 1, 9, received(2, came=5))) == 0
    assert run(database.read(tls_received.read_to, 1, 1)) == 9
    listed = run(database.read(tls_received.listed))
    assert [each.report_id for each in listed] == ["id2", "id1"]
    name = listed[0].name
    assert len(name) == 12 and run(database.read(tls_received.shown, name)) == received(2)
    assert run(database.read(tls_received.shown, name[:7])) == received(2)
    for wrong in ("", "abc", "zzzzz", "f" * 64, name + "0"):
        with pytest.raises(NoSuchEntry):
            run(database.read(tls_received.shown, wrong))
    assert run(database.write(tls_received.expire, 2)) == 1
    assert run(database.read(tls_received.listed))[0].report_id == "id2"
