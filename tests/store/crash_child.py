"""A message's whole life in the store, told step by step on standard output. Killed by tests."""

from __future__ import annotations

import sys
from pathlib import Path

from imsd.store import claims, fanout, jobs, messages, spool, tracking
from imsd.store.blobs import THRESHOLD, Blobs, NewBlob, keep
from imsd.store.claims import Claim, Result
from imsd.store.database import Unit
from imsd.store.ids import INBOX
from imsd.store.spool import NewMessage, NewRecipient, State
from imsd.store.tracking import Event
from tests.support.mail import ALICE, BOB, NOW
from tests.support.stores import open_store, run

STEPS = ("built", "accepted", "claimed", "relayed", "copied", "expunged", "released", "collected")


def accept(unit: Unit, new: NewBlob) -> None:
    """What Delivery does: mailbox rows, queue rows, copies for later, tracking, in one unit."""
    messages.deliver(unit, [messages.Delivery(ALICE)], new, NOW)
    blob = keep(unit, new, 2)
    message = NewMessage("Q1", blob, new.size, "ann@example.test", NOW, NOW + 1000)
    spool.enqueue(unit, message, [NewRecipient("far@far.test", "far.test", NOW)])
    fanout.begin(unit, "Q1", blob, b"", "ann@example.test", NOW, [fanout.Copy(BOB, "bob@x")])
    tracking.track(unit, Event(NOW, "accepted", "Q1"))


def relayed(unit: Unit, claim: Claim) -> None:
    claims.record(unit, claim, [Result(claim.recipients[0].id, State.RELAYED)], NOW + 2)
    spool.finish(unit, claim.message.id)


def copy(unit: Unit, new: NewBlob) -> None:
    (pending,) = fanout.pending(unit)
    copies = fanout.take(unit, pending.id)
    messages.deliver(unit, [messages.Delivery(each.account) for each in copies], new, NOW)
    fanout.made(unit, pending.id, copies)


async def build(blobs: Blobs) -> NewBlob:
    builder = blobs.builder()
    builder.write(b"Subject: large\r\n\r\n" + b"x" * THRESHOLD)
    return await builder.finish()


def main(home: Path, url: str) -> None:
    database = open_store(home, url)
    blobs = Blobs(database)

    def say(step: str) -> None:
        print(step, flush=True)

    new = run(build(blobs))
    say("built")
    run(database.write(accept, new))
    say("accepted")
    (claim,) = run(database.write(claims.claim_due, NOW + 1, 10))
    say("claimed")
    run(database.write(relayed, claim))
    say("relayed")
    run(database.write(copy, new))
    say("copied")
    for account in (ALICE, BOB):
        run(jobs.expunge(database, (account, INBOX), [1], NOW, only_deleted=False))
    say("expunged")
    run(jobs.release_expunged(database, NOW + 1))
    say("released")
    run(blobs.collect(age=-1_000_000, grace=-1))
    say("collected")
    run(database.close())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
