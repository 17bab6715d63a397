"""Recipients of a planned message as rows of the queue: those elsewhere, and copies that wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from imsd.mail.envelope import Addressee, Envelope
from imsd.mail.fairness import STEP
from imsd.mail.plan import LOCAL, Copy, Plan
from imsd.store import blobs, spool
from protocols.smtp.parameters import EIGHT_BIT, SEVEN_BIT

if TYPE_CHECKING:
    from imsd.store.blobs import NewBlob
    from imsd.store.transaction import Unit

HELD = "its domain is held (queue.held)"
"""Why mail waits until it is released."""
LONGEST = 1_000
"""Recipients of one message of the queue."""


def _row(each: Addressee | Copy, time: int, turn: int, held: str, kept: str) -> spool.NewRecipient:
    """turn, held, kept: of who leaves (imsd.mail.fairness, imsd.mail.sending, imsd.mail.flow)."""
    notify = ",".join(each.notify)
    if isinstance(each, Copy):
        return spool.NewRecipient(each.address, LOCAL, time, notify, each.orcpt_type, each.orcpt)
    return spool.NewRecipient(
        each.address,
        _bound(each),
        time,
        notify,
        each.orcpt_type,
        each.orcpt,
        turn=turn,
        held=bool(held),
        # Whoever releases it wants it tried; then it is parked again where it is to be asked for.
        parked=bool(each.parked or kept) and not held,
        why=held or each.parked or kept,
    )


def _bound(each: Addressee | Copy) -> str:
    """Where it goes: a domain or a destination, "" for here."""
    return LOCAL if isinstance(each, Copy) else each.destination or _domain_of(each)


def _form(each: Addressee | Copy) -> str:
    return "" if isinstance(each, Copy) else each.form or ""


def _domain_of(each: Addressee) -> str:
    return each.address.rpartition("@")[2].lower()


T = TypeVar("T", Addressee, Copy, Addressee | Copy)


def by_sender(
    given: Iterable[T], envelope: Envelope, queue_id: str
) -> Iterator[tuple[Envelope, str, list[T]]]:
    """What shares a reverse-path and a form is one message of the queue, or some; each but the first needs an
    id of its own. They are never longer than `LONGEST`, so that nothing that is done with one takes long."""
    groups: dict[tuple[str | None, bool, str, str], list[T]] = {}
    for each in given:
        groups.setdefault((each.sender, each.anew, each.head, _form(each)), []).append(each)
    number = 0
    for (sender, anew, _, form), some in groups.items():
        own = envelope if sender is None else replace(envelope, reverse_path=sender)
        if form and own.body == SEVEN_BIT:
            # Text in another form need not be.
            own = replace(own, body=EIGHT_BIT)
        if anew:
            own = replace(own, ret="", envid="")
        if len(some) > LONGEST:
            # Who can go in one transaction stays together.
            some.sort(key=_bound)
        for at in range(0, len(some), LONGEST):
            yield own, f"{queue_id}-{number}" if number else queue_id, some[at : at + LONGEST]
            number += 1


def enqueue_all(
    unit: Unit,
    given: Iterable[Addressee | Copy],
    envelope: Envelope,
    content: NewBlob,
    queue_id: str,
    time: int,
    lifetime: int,
    plan: Plan,
) -> list[tuple[spool.NewRecipient, str]]:
    """Queue foreign recipients and copies that wait; each row with the id under which it is queued."""
    queued: list[tuple[spool.NewRecipient, str]] = []
    # Who can go in one transaction goes together.
    turns: dict[str, int] = {}
    places = count()
    for own, of, some in by_sender(given, envelope, queue_id):
        due = max(time, own.timing.release)
        rows = []
        for each in some:
            bound = _bound(each)
            turn = turns.setdefault(bound, (plan.turn or time) + next(places) * STEP)
            of_domain = bool(bound) and bound.rpartition(">")[2] in plan.holding
            held = plan.held or (HELD if of_domain else "")
            rows.append(_row(each, due, turn, held, plan.kept))
        first = some[0]
        enqueue(unit, rows, own, content, of, time, lifetime, first.head.encode(), _form(first))
        queued += [(row, of) for row in rows]
    return queued


def enqueue(
    unit: Unit,
    rows: list[spool.NewRecipient],
    envelope: Envelope,
    content: NewBlob,
    queue_id: str,
    time: int,
    lifetime: int,
    prefix: bytes = b"",
    form: str = "",
) -> None:
    timing = envelope.timing
    message = spool.NewMessage(
        queue_id,
        blobs.keep(unit, content),
        content.size + len(prefix),
        envelope.reverse_path,
        time,
        max(time, timing.release) + lifetime,
        envid=envelope.envid,
        ret=envelope.ret,
        body=envelope.body,
        smtputf8=envelope.smtputf8,
        account=envelope.account,
        priority=envelope.priority,
        mt_priority=envelope.mt_priority,
        deliver_by=timing.deliver_by,
        by_mode=timing.by_mode,
        future=timing.future,
        tls=envelope.tls,
        solicit=",".join(envelope.solicit),
        peer=envelope.origin.address,
        prefix=prefix,
        form=form,
    )
    spool.enqueue(unit, message, rows)
