"""Who may try what in the queue: rows become ready, are claimed lane by lane, and get their result.

1. A row that waits is found by its time alone (`promote`); then it is ready, and is found by its
   destination and turn. No step looks at rows that it does not move, so each costs the same however
   long the queue is.
2. A lane stands for a destination that something is ready for. Lanes are taken in the order of their
   first turn; whoever claims passes over those of destinations that have enough in hand, so nobody
   waits behind who is slow.
3. A claim is a token with a deadline. A claimed row is not ready and is due at that deadline: when
   the claim lapses it becomes ready by the same step as any other.
4. Results are written only where the token is still the one that claimed (rule 24), so two nodes
   never both decide about a recipient.
5. Only the queue runners write lanes. On PostgreSQL whoever takes from one or adds to it holds its row,
   so that none is removed while something is put into it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, case, delete, func, select, text, tuple_, update

from imsd.store.ids import QueueId
from imsd.store.spool import (
    MESSAGE,
    RECIPIENT,
    SLICE,
    ZERO,
    Queued,
    QueuedRecipient,
    State,
    announce,
    queue_lane,
    queue_message,
    queue_recipient,
    read_message,
    read_recipient,
)
from imsd.store.sql import among, insert, sql
from imsd.store.tables import Small, clean
from imsd.store.transaction import Transaction, Unit

ANY_NODE = -1
LOOK = 250
"""Lanes that are looked at together."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Recipients of one message that are ours to try until `lease`. token: of what was claimed together."""

    token: bytes
    lease: int
    message: Queued
    recipients: tuple[QueuedRecipient, ...]

    @property
    def key(self) -> tuple[bytes, QueueId]:
        """What tells claims apart."""
        return self.token, self.message.id


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one recipient. For WAITING: `due` is when it is tried again, `turn` its place then."""

    recipient: int
    state: State
    error: str = ""
    due: int = 0
    warned: bool = False
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a look at the lanes ended."""

    turn: int = -(2**62)
    domain: str = ""


FIRST = Place()

_m, _r, _l = queue_message.c, queue_recipient.c, queue_lane.c
_ONE = text("queue_recipient.ready = 1")
_DUE = sql(
    select(_r.id, _r.domain, _r.turn)
    .where(_r.state == ZERO, _r.ready == ZERO, _r.due <= bindparam("now"))
    .order_by(_r.due)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_PROMOTE = sql(update(queue_recipient).where(among(_r.id, "ids")).values(ready=1, token=b"", lease=0))
_put = insert(queue_lane).values(domain=bindparam("domain"), turn=bindparam("turn"))
_OPEN_LANE = sql(
    _put.on_conflict_do_update(
        index_elements=["domain"],
        set_={"turn": case((_put.excluded.turn < _l.turn, _put.excluded.turn), else_=_l.turn)},
    )
)
_LANES = sql(
    select(_l.turn, _l.domain)
    .where(tuple_(_l.turn, _l.domain) > tuple_(bindparam("turn"), bindparam("domain")))
    .order_by(_l.turn, _l.domain)
    .limit(bindparam("limit"))
)
_LOCK_LANE = sql(select(_l.turn).where(_l.domain == bindparam("domain")).with_for_update(skip_locked=True))
_READY = sql(
    select(*RECIPIENT)
    .where(_r.state == ZERO, _ONE, _r.domain == bindparam("domain"))
    .order_by(_r.turn, _r.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_CLAIM = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"))
    .values(
        token=bindparam("token"),
        node=bindparam("node"),
        lease=bindparam("lease"),
        due=bindparam("lease"),
        ready=0,
    )
)
_PARKED_ROW = and_(
    text("(queue_recipient.state = -1 OR queue_recipient.state = 1)"), _r.state == State.PARKED.value
)
_IS_PARKED = and_(_PARKED_ROW, among(_r.domain, "places"))
_PLACES = sql(select(_r.domain).distinct().where(_PARKED_ROW).order_by(_r.domain))
_PARKED = sql(
    select(*RECIPIENT)
    .where(_IS_PARKED, _r.id > bindparam("after"), _r.lease <= bindparam("now"))
    .order_by(_r.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_FIRST_TURN = sql(
    select(_r.turn)
    .where(_r.state == ZERO, _ONE, _r.domain == bindparam("domain"))
    .order_by(_r.turn, _r.id)
    .limit(1)
)
_MOVE_LANE = sql(update(queue_lane).where(_l.domain == bindparam("of")).values(turn=bindparam("turn")))
_CLOSE_LANE = sql(delete(queue_lane).where(_l.domain == bindparam("of")))
_MESSAGES = sql(select(*MESSAGE).where(among(_m.id, "ids")))
_EXTEND = sql(
    update(queue_recipient)
    .where(_r.token == bindparam("claimed"), among(_r.id, "ids"))
    .values(lease=bindparam("lease"), due=bindparam("lease"))
)
_CLAIMED = sql(select(_r.id).where(among(_r.id, "ids"), _r.token == bindparam("claimed")).with_for_update())
_RECORD = sql(
    update(queue_recipient)
    .where(_r.id == bindparam("recipient"), _r.token == bindparam("claimed"))
    .values(
        # Held while it was being tried: it stays held, unless the trying ended it.
        state=case(
            # Parking is what becomes of a row that waits; what an administrator held stays held.
            (and_(_r.state == State.HELD.value, bindparam("state", type_=Small) <= 0), State.HELD.value),
            else_=bindparam("state", type_=Small),
        ),
        due=bindparam("due"),
        turn=bindparam("turn"),
        attempts=_r.attempts + 1,
        last_attempt=bindparam("now"),
        last_error=bindparam("error"),
        # The sender may have been told meanwhile (imsd.mail.lateness).
        warned=case((_r.warned == 1, 1), else_=bindparam("warned", type_=Small)),
        token=b"",
        lease=0,
        ready=0,
    )
)
_RETURN = sql(
    update(queue_recipient)
    .where(_r.token == bindparam("claimed"), among(_r.id, "ids"))
    .values(token=b"", lease=0, due=bindparam("due"), ready=0)
)
_LEASED = sql(select(_r.id).where(_r.lease > ZERO).limit(bindparam("limit")))
_LEASED_BY = sql(select(_r.id).where(_r.lease > ZERO, _r.node == bindparam("of")).limit(bindparam("limit")))
_FREE = sql(
    update(queue_recipient)
    .where(among(_r.id, "ids"))
    .values(token=b"", lease=0, due=bindparam("due"), ready=0)
)
_MEND = sql(
    insert(queue_lane)
    .from_select(
        ["domain", "turn"],
        select(_r.domain, func.min(_r.turn)).where(_r.state == ZERO, _ONE).group_by(_r.domain),
    )
    .on_conflict_do_nothing()
)


def promote(unit: Unit, now: int, limit: int = SLICE) -> int:
    """Make ready what is due by now, and what was claimed by somebody whose lease lapsed; how many."""
    rows = unit.all(_DUE, now=now, limit=limit)
    if not rows:
        return 0
    unit.run(_PROMOTE, ids=[row[0] for row in rows])
    first: dict[str, int] = {}
    for _, domain, turn in rows:
        first[domain] = min(turn, first.get(domain, turn))
    # In one order everywhere, so that two nodes never wait for each other.
    unit.many(_OPEN_LANE, [{"domain": domain, "turn": first[domain]} for domain in sorted(first)])
    return len(rows)


def lanes(tx: Transaction, after: Place = FIRST, limit: int = LOOK) -> list[Place]:
    """Some lanes, in the order of their turns; [] at the end."""
    return [Place(*row) for row in tx.all(_LANES, turn=after.turn, domain=after.domain, limit=limit)]


def claim_ready(
    unit: Unit,
    domains: Iterable[str],
    now: int,
    limit: int,
    lease: int = 600_000_000,
    node: int = 0,
) -> list[Claim]:
    """Claim what is ready for these destinations for `lease` microseconds, up to `limit` recipients; one
    claim for each message."""
    by_message: dict[QueueId, list[QueuedRecipient]] = {}
    touched = []
    for domain in domains:
        if limit <= 0:
            break
        if unit.one(_LOCK_LANE, domain=domain) is None:
            continue  # Another node is at it.
        touched.append(domain)
        for row in unit.all(_READY, domain=domain, limit=limit):
            each = read_recipient(row)
            by_message.setdefault(each.message, []).append(each)
            limit -= 1
    messages = {}
    if by_message:
        messages = {row[-1]: read_message(row) for row in unit.all(_MESSAGES, ids=list(by_message))}
    claims = _taken(unit, by_message, messages, now + lease, node)
    for domain in touched:
        following = unit.value(_FIRST_TURN, domain=domain)
        if following is None:
            unit.run(_CLOSE_LANE, of=domain)
        else:
            unit.run(_MOVE_LANE, of=domain, turn=following)
    return claims


def claim_due(unit: Unit, now: int, limit: int, lease: int = 600_000_000, node: int = 0) -> list[Claim]:
    """Claim up to `limit` recipients that are due, whatever their destination."""
    while promote(unit, now) == SLICE:
        pass
    claims: list[Claim] = []
    place = FIRST
    while limit > 0 and (found := lanes(unit, place)):
        claims += claim_ready(unit, [each.domain for each in found], now, limit, lease, node)
        limit -= sum(len(claim.recipients) for claim in claims)
        place = found[-1]
    return claims


def parked_places(tx: Transaction) -> list[str]:
    """The destinations for which something is parked."""
    return [row[0] for row in tx.all(_PLACES)]


def claim_parked(
    unit: Unit, places: list[str], after: int, now: int, limit: int, lease: int, node: int = 0
) -> tuple[list[Claim], int]:
    """Claim what is parked at these destinations, in the order in which it came; where to go on."""
    rows = unit.all(_PARKED, places=places, after=after, now=now, limit=limit)
    by_message: dict[QueueId, list[QueuedRecipient]] = {}
    for row in rows:
        each = read_recipient(row)
        by_message.setdefault(each.message, []).append(each)
        after = each.id
    messages = {}
    if by_message:
        messages = {row[-1]: read_message(row) for row in unit.all(_MESSAGES, ids=list(by_message))}
    return _taken(unit, by_message, messages, now + lease, node), after


def _taken(
    unit: Unit,
    by_message: dict[QueueId, list[QueuedRecipient]],
    messages: dict[QueueId, Queued],
    until: int,
    node: int,
) -> list[Claim]:
    """Claims of recipients: one token is enough for what one unit claims."""
    if not by_message:
        return []
    token = secrets.token_bytes(12)
    ids = [each.id for recipients in by_message.values() for each in recipients]
    unit.run(_CLAIM, ids=ids, token=token, node=node, lease=until)
    return [Claim(token, until, messages[of], tuple(some)) for of, some in by_message.items()]


def extend(unit: Unit, claim: Claim, lease: int) -> bool:
    """Hold the claim until `lease`; False when it is ours no longer: stop before the final dot."""
    ids = [each.id for each in claim.recipients]
    return unit.run(_EXTEND, claimed=claim.token, ids=ids, lease=lease) > 0


def record(unit: Unit, claim: Claim, results: Iterable[Result], now: int) -> list[int]:
    """Write results where the claim is still ours; the recipients that were."""
    given = list(results)
    rows = unit.all(_CLAIMED, claimed=claim.token, ids=[each.recipient for each in given])
    ours = {row[0] for row in rows}
    record_many(unit, [(claim, each) for each in given if each.recipient in ours], now)
    return [each.recipient for each in given if each.recipient in ours]


def record_many(unit: Unit, results: Sequence[tuple[Claim, Result]], now: int) -> None:
    """Write results of claims that are ours."""
    if not results:
        return
    unit.many(
        _RECORD,
        [
            {
                "recipient": each.recipient,
                "claimed": claim.token,
                "state": each.state.value,
                "due": each.due,
                "turn": each.turn or each.due,
                "now": now,
                "error": clean(each.error),
                "warned": int(each.warned),
            }
            for claim, each in results
        ],
    )
    next_due = min((each.due for _, each in results if each.state is State.WAITING), default=0)
    if next_due:
        announce(unit, next_due)


def give_back(unit: Unit, claim: Claim, recipients: Iterable[int], due: int) -> None:
    """Leave recipients as they are for the next who claims, at once or later."""
    unit.run(_RETURN, claimed=claim.token, ids=list(recipients), due=due)


def release_leases(unit: Unit, node: int = ANY_NODE, due: int = 0) -> int:
    """At start: what this node (the only one, by default) had claimed is free again; how many."""
    freed = 0
    while True:
        if node == ANY_NODE:
            rows = unit.all(_LEASED, limit=SLICE)
        else:
            rows = unit.all(_LEASED_BY, limit=SLICE, of=node)
        if not rows:
            return freed
        unit.run(_FREE, ids=[row[0] for row in rows], due=due)
        freed += len(rows)


def mend_lanes(unit: Unit) -> int:
    """At start: what is ready has its lane, whatever happened; how many had none."""
    return unit.run(_MEND)
