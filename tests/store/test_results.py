"""Results of many messages in one unit: ours alone, and what is over goes."""

from __future__ import annotations

from imsd.store import blob_rows, claims, results, spool, tracking
from imsd.store.blobs import keep, new_blob
from imsd.store.claims import Claim, Result
from imsd.store.database import Database, Unit
from imsd.store.ids import QueueId
from imsd.store.results import Settlement
from imsd.store.spool import NewMessage, NewRecipient, State
from imsd.store.tracking import Event
from tests.support.stores import run


def fill(unit: Unit, *messages: tuple[str, int], notify: str = "") -> list[QueueId]:
    """Messages of so many recipients, all due."""
    made = []
    for name, count in messages:
        blob = keep(unit, new_blob(name.encode()))
        message = NewMessage(name, blob, 100, "from@example.test", 5, 500)
        rows = [NewRecipient(f"{name}{n}@far.test", "far.test", 1, notify=notify) for n in range(count)]
        made.append(spool.enqueue(unit, message, rows))
    return made


def settled(claim: Claim, *states: State, due: int = 0) -> Settlement:
    some = [
        Result(each.id, state, "why", due if state is State.WAITING else 0)
        for each, state in zip(claim.recipients, states, strict=False)
    ]
    return Settlement(claim, some, [Event(9, "relayed", claim.message.queue_id, recipient="x")])


def states(database: Database) -> dict[str, State]:
    found = {}
    for message in run(database.read(spool.listed)):
        found |= {each.address: each.state for each in run(database.read(spool.recipients_of, message.id))}
    return found


def test_what_is_over_goes_and_the_rest_is_written(database: Database) -> None:
    run(database.write(fill, ("one", 1), ("two", 2), ("three", 2)))
    by_name = {each.message.queue_id: each for each in run(database.write(claims.claim_due, 2, 10))}
    some = [
        settled(by_name["one"], State.RELAYED),
        settled(by_name["two"], State.RELAYED, State.WAITING, due=70),
        settled(by_name["three"], State.FAILED, State.RELAYED),
    ]
    assert run(database.write(results.settle, some, 50)) == set()
    assert states(database) == {"two0@far.test": State.RELAYED, "two1@far.test": State.WAITING}
    assert run(database.read(spool.next_due)) == 70
    assert run(database.write(blob_rows.collect, 2**62)) == 2
    assert {each.queue_id for each in run(database.read(tracking.query))} == {"one", "two", "three"}


def test_what_is_not_ours_any_more_is_left_alone(database: Database) -> None:
    run(database.write(fill, ("one", 1), ("two", 1)))
    lost, kept = run(database.write(claims.claim_due, 2, 10, 500))
    run(database.write(claims.give_back, lost, [each.id for each in lost.recipients], 3))
    (second,) = run(database.write(claims.claim_due, 10, 1, 500))
    run(database.write(results.settle, [settled(lost, State.RELAYED), settled(kept, State.RELAYED)], 50))
    assert list(states(database).values()) == [State.WAITING]
    assert [each.queue_id for each in run(database.read(tracking.query))] == [kept.message.queue_id]
    run(database.write(results.settle, [settled(second, State.RELAYED)], 51))
    assert states(database) == {}
    assert run(database.write(results.settle, [settled(second, State.RELAYED)], 52)) == set()


def test_two_parts_of_a_message_end_it_together(database: Database) -> None:
    run(database.write(fill, ("one", 2)))
    (a,) = run(database.write(claims.claim_due, 2, 1))
    (b,) = run(database.write(claims.claim_due, 2, 1))
    assert run(database.write(results.settle, [settled(a, State.RELAYED)], 50)) == set()
    assert len(states(database)) == 2
    run(database.write(results.settle, [settled(b, State.FAILED)], 50))
    assert states(database) == {}


def test_what_was_delivered_here_and_is_to_be_told_of_keeps_the_message(database: Database) -> None:
    (message,) = run(database.write(told))
    (a,) = run(database.write(claims.claim_due, 2, 1))
    run(database.write(claims.record, a, [Result(a.recipients[0].id, State.DELIVERED)], 3))
    (b,) = run(database.write(claims.claim_due, 4, 1))
    assert run(database.write(results.settle, [settled(b, State.RELAYED)], 50)) == {message}
    assert set(states(database).values()) == {State.DELIVERED, State.RELAYED}


def test_what_an_administrator_holds_stays_held(database: Database) -> None:
    (message,) = run(database.write(fill, ("one", 2)))
    (claim,) = run(database.write(claims.claim_due, 2, 10))
    run(database.write(spool.hold, message, 3))
    run(database.write(results.settle, [settled(claim, State.RELAYED, State.WAITING, due=9)], 5))
    assert set(states(database).values()) == {State.RELAYED, State.HELD}


def told(unit: Unit) -> list[QueueId]:
    return fill(unit, ("one", 2), notify="SUCCESS,FAILURE")
