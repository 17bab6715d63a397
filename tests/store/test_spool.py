"""The queue: enqueued, claimed once, recorded under the claim, finished; fan-out; tracking; settings."""

from __future__ import annotations

import pytest

from imsd.errors import NoSuchEntry
from imsd.store import blob_rows, claims, fanout, settings, spool, tracking
from imsd.store.blobs import keep, new_blob
from imsd.store.changes import QUEUE, SETTINGS, Change, QueueChanged, SettingsChanged
from imsd.store.claims import Result
from imsd.store.database import Database, Unit
from imsd.store.ids import AccountId, QueueId
from imsd.store.spool import NewMessage, NewRecipient, State
from imsd.store.sql import Statement
from imsd.store.tracking import Event
from tests.support.stores import run


def enqueue(unit: Unit, queue_id: str = "Q1", dues: tuple[int, ...] = (10, 20)) -> QueueId:
    blob = keep(unit, new_blob(b"message " + queue_id.encode()))
    message = NewMessage(queue_id, blob, 100, "from@example.test", 5, 500, envid="e", account=7)
    return spool.enqueue(
        unit,
        message,
        [NewRecipient(f"to{due}@far.test", "far.test", due, notify="FAILURE") for due in dues],
    )


def test_what_is_enqueued_is_announced_shown_and_due(database: Database) -> None:
    seen: list[Change] = []
    database.feed.watch(QUEUE, seen.append)
    run(database.write(enqueue))
    assert [each.next_due for each in seen if isinstance(each, QueueChanged)] == [10]
    message, recipients = run(database.read(spool.shown, "Q1"))
    assert (message.reverse_path, message.envid, message.account, message.smtputf8) == (
        "from@example.test",
        "e",
        7,
        False,
    )
    assert [each.address for each in recipients] == ["to10@far.test", "to20@far.test"]
    assert run(database.read(spool.next_due)) == 10
    assert run(database.read(spool.by_domain)) == [("far.test", State.WAITING, 2, 10)]
    with pytest.raises(NoSuchEntry):
        run(database.read(spool.shown, "Q2"))


def test_a_recipient_is_claimed_once_until_the_lease_lapses(database: Database) -> None:
    run(database.write(enqueue))
    (claim,) = run(database.write(claims.claim_due, 15, 10, 100))
    assert [each.address for each in claim.recipients] == ["to10@far.test"]
    assert run(database.write(claims.claim_due, 15, 10, 100)) == []
    assert run(database.read(spool.next_due)) == 20
    (again,) = run(database.write(claims.claim_due, 115, 1, 100))
    assert again.recipients[0].id == claim.recipients[0].id
    result = [Result(claim.recipients[0].id, State.RELAYED)]
    assert run(database.write(claims.record, claim, result, 116)) == [], "the claim lapsed"
    assert run(database.write(claims.extend, claim, 900)) is False
    assert run(database.write(claims.extend, again, 900)) is True
    assert run(database.write(claims.record, again, result, 116)) == [claim.recipients[0].id]


def test_a_message_is_finished_when_every_recipient_is(database: Database) -> None:
    message = run(database.write(enqueue))
    (claim,) = run(database.write(claims.claim_due, 50, 10))
    one, two = (each.id for each in claim.recipients)
    run(
        database.write(
            claims.record,
            claim,
            [Result(one, State.RELAYED), Result(two, State.WAITING, "busy", 90, True)],
            51,
        )
    )
    assert run(database.write(spool.finish, message)) == ()
    assert run(database.read(spool.next_due)) == 90
    (claim,) = run(database.write(claims.claim_due, 95, 10))
    assert (claim.recipients[0].attempts, claim.recipients[0].last_error) == (1, "busy")
    assert claim.recipients[0].warned
    run(database.write(claims.record, claim, [Result(two, State.FAILED, "no \0such user")], 96))
    finished = run(database.write(spool.finish, message))
    assert [each.state for each in finished] == [State.RELAYED, State.FAILED]
    assert run(database.read(spool.listed)) == []
    assert run(database.write(blob_rows.collect, 2**62)) == 1, "the content was given back"


def test_start_frees_claims_of_the_node_that_died(database: Database) -> None:
    run(database.write(enqueue, "Q1", (1,)))
    run(database.write(enqueue, "Q2", (1,)))
    run(database.write(claims.claim_due, 5, 1, 1000, 1))
    run(database.write(claims.claim_due, 5, 1, 1000, 2))
    assert run(database.write(claims.release_leases, 1)) == 1
    assert len(run(database.write(claims.claim_due, 5, 9, 1000, 3))) == 1
    assert run(database.write(claims.release_leases)) == 2


def test_held_recipients_wait_for_an_administrator(database: Database) -> None:
    message = run(database.write(enqueue))
    (claim,) = run(database.write(claims.claim_due, 15, 10))
    assert run(database.write(spool.hold, message, 16)) == 2
    tried = claim.recipients[0].id
    run(database.write(claims.record, claim, [Result(tried, State.WAITING, "busy", 20)], 17))
    assert run(database.write(claims.claim_due, 10_000, 10)) == []
    assert run(database.write(spool.retry, message, 18)) == 2
    assert len(run(database.write(claims.claim_due, 18, 10))[0].recipients) == 2
    assert run(database.write(spool.remove, message)) is True
    assert run(database.write(spool.remove, message)) is False


def test_a_lane_is_taken_in_the_order_of_turns_and_closed_when_it_is_empty(database: Database) -> None:
    def fill(unit: Unit) -> None:
        blob = keep(unit, new_blob(b"many"))
        message = NewMessage("Q9", blob, 100, "from@example.test", 5, 500)
        rows = [NewRecipient(f"a{n}@slow.test", "slow.test", 10, turn=100 + n) for n in range(6)]
        rows += [NewRecipient("b@quick.test", "quick.test", 10, turn=102)]
        spool.enqueue(unit, message, rows)

    run(database.write(fill))
    assert run(database.write(claims.promote, 9)) == 0
    assert run(database.write(claims.promote, 10)) == 7
    lanes = run(database.read(claims.lanes))
    assert [(each.domain, each.turn) for each in lanes] == [("slow.test", 100), ("quick.test", 102)]
    (claim,) = run(database.write(claims.claim_ready, ["slow.test"], 11, 4))
    assert [each.turn for each in claim.recipients] == [100, 101, 102, 103]
    (claim,) = run(database.write(claims.claim_ready, ["quick.test", "gone.test"], 11, 9))
    assert [each.address for each in claim.recipients] == ["b@quick.test"]
    assert [each.domain for each in run(database.read(claims.lanes))] == ["slow.test"]
    run(database.write(claims.give_back, claim, [claim.recipients[0].id], 11))
    assert run(database.write(claims.promote, 12)) == 1
    assert [each.domain for each in run(database.read(claims.lanes))] == ["quick.test", "slow.test"]


def test_lanes_that_were_lost_are_mended(database: Database) -> None:
    run(database.write(enqueue))
    run(database.write(claims.promote, 50))
    run(database.write(lambda unit: unit.run(claims._CLOSE_LANE, of="far.test")))
    assert run(database.read(claims.lanes)) == []
    run(database.write(claims.mend_lanes))
    assert [each.turn for each in run(database.read(claims.lanes))] == [10]


@pytest.mark.parametrize(
    ("statement", "params", "index"),
    [
        (claims._DUE, {"now": 1, "limit": 1}, "ix_queue_recipient_timer"),
        (claims._READY, {"domain": "a", "limit": 1}, "ix_queue_recipient_lane"),
        (claims._FIRST_TURN, {"domain": "a"}, "ix_queue_recipient_lane"),
        (claims._LANES, {"turn": 1, "domain": "a", "limit": 1}, "ix_queue_lane_turn"),
        (claims._LEASED, {"limit": 1}, "ix_queue_recipient_leased"),
        (spool._NEXT, {}, "ix_queue_recipient_timer"),
        (spool._HERE, {"after": 0, "limit": 1}, "ix_queue_recipient_here"),
        (spool._PARKED, {"after": 0, "limit": 1}, "ix_queue_recipient_still"),
    ],
)
def test_no_step_looks_through_the_queue(
    sqlite_database: Database, statement: Statement, params: dict[str, object], index: str
) -> None:
    def plan(unit: Unit) -> str:
        form = statement.compile(unit.dialect)
        bound = form.prepare(params) if form.prepare is not None else []
        return str(unit._execute("EXPLAIN QUERY PLAN " + form.text, bound).fetchall())

    told = run(sqlite_database.write(plan))
    assert index in told and "TEMP B-TREE" not in told, told


def begin(unit: Unit) -> int:
    blob = keep(unit, new_blob(b"to all"))
    copies = [fanout.Copy(AccountId(n), f"a{n}@example.test") for n in range(5)]
    return fanout.begin(unit, "Q", blob, b"prefix", "", 1, copies)


def take_and_make(unit: Unit, made: int, limit: int) -> tuple[list[int], bool]:
    copies = fanout.take(unit, made, limit)
    return [copy.account for copy in copies], fanout.made(unit, made, copies)


def test_a_fan_out_is_used_up_piece_by_piece(database: Database) -> None:
    made = run(database.write(begin))
    assert [each.id for each in run(database.read(fanout.pending))] == [made]
    assert run(database.write(take_and_make, made, 3)) == ([0, 1, 2], False)
    assert run(database.write(take_and_make, made, 3)) == ([3, 4], True)
    assert run(database.read(fanout.pending)) == []
    assert run(database.write(blob_rows.collect, 2**62)) == 1


def test_tracking_finds_fresh_and_settled_rows(database: Database) -> None:
    events = [
        Event(n, "accepted", f"Q{n}", b"<m%d@x>" % n, "s@x", f"r{n}@x", "ok", "192.0.2.1", 10)
        for n in range(1, 6)
    ]
    run(database.write(tracking.track, *events))
    assert run(database.write(tracking.settle, 3)) == 2

    def ask(tx: object, **asked: object) -> list[int]:
        return [event.time for event in tracking.query(tx, **asked)]  # type: ignore[arg-type]

    def asked(**question: object) -> list[int]:
        return run(database.read(lambda tx: ask(tx, **question)))

    assert asked() == [1, 2, 3, 4, 5]
    assert asked(recipient="r2@x") == [2]
    assert asked(message_id=b"<m4@x>") == [4]
    assert asked(sender="s@x", since=2, until=5) == [2, 3, 4]
    assert asked(limit=2, after=2) == [3, 4]
    assert run(database.write(tracking.expire, 2)) == 1
    assert asked(queue_id="Q1") == []


def test_settings_rows_have_a_version_and_are_announced(database: Database) -> None:
    seen: list[Change] = []
    database.feed.watch(SETTINGS, seen.append)
    assert run(database.write(settings.change, {"a.b": "1", "c.d": '"x"'})) == 1
    assert run(database.write(settings.change, {"a.b": "2"}, ("c.d",))) == 2
    assert run(database.read(settings.values)) == {"a.b": "2"}
    assert run(database.read(settings.stored)) == [settings.Setting("a.b", "2", 2)]
    assert [each.keys for each in seen if isinstance(each, SettingsChanged)] == [
        ("a.b", "c.d"),
        ("a.b", "c.d"),
    ]
