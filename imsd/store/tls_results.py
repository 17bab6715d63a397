"""TLS sessions with other domains' exchangers, counted by day, and the reports of it (RFC 8460).

A row of `tls_result` stands for sessions that went the same way: of a day, by a policy, with one result
("": fine). Its key is a hash of all that. A domain has so many rows a day at most; what comes on top is
counted without its details. A row of `tls_report` stands for a report of a day: first, without a
destination, for what is to be looked up; then one for each destination.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sqlalchemy import (
    Column,
    Index,
    PrimaryKeyConstraint,
    Table,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    select,
    update,
)

from imsd.store.sql import among, insert, sql
from imsd.store.tables import Bytes, Number, String, clean, metadata
from imsd.store.transaction import Transaction, Unit
from protocols.values import value

DAY: Final = 86_400_000_000
"""Microseconds."""
MOST: Final = 300
"""Rows of a domain and day with details."""
BATCH: Final = 200
LONGEST: Final = 500
"""Characters of a text that another server chose."""

tls_result = Table(
    "tls_result",
    metadata,
    Column("key", Bytes, primary_key=True),
    # Days since 1970, UTC.
    Column("day", Number, nullable=False),
    *(
        Column(name, String, nullable=False)
        for name in (
            *("domain", "policy_domain", "policy_type", "policy", "result", "sending_ip", "mx", "helo"),
            *("receiving_ip", "reason"),
        )
    ),
    Column("sessions", Number, nullable=False),
    Index("ix_tls_result_day", "day", "domain"),
    sqlite_with_rowid=False,
)

tls_report = Table(
    "tls_report",
    metadata,
    Column("day", Number, nullable=False),
    Column("domain", String, nullable=False),
    # Where it goes, a URI; "": that is to be looked up.
    Column("rua", String, nullable=False),
    # waiting, sent, failed; without a destination also: divided, none.
    Column("state", String, nullable=False),
    Column("due", Number, nullable=False),
    Column("attempts", Number, nullable=False),
    Column("note", String, nullable=False),
    PrimaryKeyConstraint("day", "domain", "rua"),
    Index("ix_tls_report_due", "state", "due"),
    sqlite_with_rowid=False,
)


@value(frozen=True, slots=True)
class Result:
    """How a session went. domain: whose mail; policy_domain: whose policy, the host for TLSA. policy_type:
    tlsa, sts, no-policy-found; policy: its text, a line each. result: of RFC 8460 4.3, "" fine."""

    day: int
    domain: str
    policy_domain: str = ""
    policy_type: str = "no-policy-found"
    policy: str = ""
    result: str = ""
    sending_ip: str = ""
    mx: str = ""
    helo: str = ""
    receiving_ip: str = ""
    reason: str = ""

    @property
    def key(self) -> bytes:
        fields = (str(getattr(self, name)) for name in _FIELDS)
        return hashlib.sha256("\0".join(fields).encode("utf-8", "replace")).digest()


@value(frozen=True, slots=True)
class Report:
    """A row of `tls_report`."""

    day: int
    domain: str
    rua: str
    state: str
    due: int
    attempts: int
    note: str


@value(frozen=True, slots=True)
class Total:
    """Sessions of a day with a domain under one policy."""

    day: int
    domain: str
    policy_type: str
    result: str
    sessions: int


_FIELDS = Result.__slots__
_r, _p = tls_result.c, tls_report.c
_put = insert(tls_result)
_PUT = sql(
    _put.values({name: bindparam(name) for name in ("key", *_FIELDS, "sessions")}).on_conflict_do_update(
        index_elements=["key"], set_={"sessions": _r.sessions + _put.excluded.sessions}
    )
)
_MORE = sql(
    update(tls_result).where(_r.key == bindparam("of")).values(sessions=_r.sessions + bindparam("more"))
)
_ROWS = sql(
    select(func.count())
    .select_from(tls_result)
    .where(_r.day == bindparam("day"), _r.domain == bindparam("of"))
)
_OF = sql(
    select(*(_r[name] for name in _FIELDS), _r.sessions)
    .where(_r.day == bindparam("day"), _r.domain == bindparam("of"))
    .order_by(_r.policy_type, _r.policy_domain, _r.policy, _r.result, _r.key)
)
_TOTALS = sql(
    select(_r.day, _r.domain, _r.policy_type, _r.result, func.sum(_r.sessions))
    .where(
        _r.day >= bindparam("since"),
        _r.day <= bindparam("until"),
        case(
            (bindparam("of", type_=String) == "", 1), (_r.domain == bindparam("of", type_=String), 1), else_=0
        )
        == 1,
    )
    .group_by(_r.day, _r.domain, _r.policy_type, _r.result)
    .order_by(_r.day.desc(), _r.domain, _r.policy_type, _r.result)
    .limit(bindparam("limit"))
)
_OLD = sql(select(_r.key).where(_r.day < bindparam("before")).order_by(_r.day).limit(BATCH))
_EXPIRE = sql(delete(tls_result).where(among(_r.key, "keys")))
_FORGET = sql(delete(tls_report).where(_p.day < bindparam("before")))
_FINE = sql(
    select(_r.key)
    .where(_r.day < bindparam("before"), _r.policy_type == "no-policy-found", _r.result == "")
    .limit(BATCH)
)
_DONE = sql(delete(tls_report).where(_p.day < bindparam("before"), _p.state.in_(("none", "divided"))))
_UNPLANNED = sql(
    select(_r.domain)
    .distinct()
    .where(
        _r.day == bindparam("day"),
        _r.domain > bindparam("after"),
        ~select(literal_column("1")).where(_p.day == _r.day, _p.domain == _r.domain).exists(),
    )
    .order_by(_r.domain)
    .limit(BATCH)
)
_PLAN = sql(
    insert(tls_report)
    .values({name: bindparam(name) for name in Report.__slots__})
    .on_conflict_do_nothing(index_elements=["day", "domain", "rua"])
)
_COLUMNS = [_p[name] for name in Report.__slots__]
_DUE = sql(
    select(*_COLUMNS)
    .where(_p.state == "waiting", _p.due <= bindparam("now"))
    .order_by(_p.due)
    .limit(bindparam("limit"))
)
_CLAIM = sql(
    update(tls_report)
    .where(
        _p.day == bindparam("of_day"),
        _p.domain == bindparam("of_domain"),
        _p.rua == bindparam("of_rua"),
        _p.state == "waiting",
        _p.due == bindparam("was"),
    )
    .values(due=bindparam("until"))
)
_SETTLE = sql(
    update(tls_report)
    .where(_p.day == bindparam("of_day"), _p.domain == bindparam("of_domain"), _p.rua == bindparam("of_rua"))
    .values(state=bindparam("new"), due=bindparam("next"), attempts=bindparam("tries"), note=bindparam("why"))
)
_LISTED = sql(select(*_COLUMNS).order_by(_p.day.desc(), _p.domain, _p.rua).limit(bindparam("limit")))


def count(unit: Unit, results: Iterable[tuple[Result, int]]) -> None:
    """Count sessions."""
    for result, sessions in results:
        if unit.run(_MORE, of=result.key, more=sessions):
            continue
        if unit.value(_ROWS, day=result.day, of=result.domain) >= MOST:
            # The policy, too, is what the other domain chooses.
            result = replace(result, sending_ip="", mx="", helo="", receiving_ip="", reason="", policy="")
            result = replace(result, policy_domain=result.domain)
        fields = {name: getattr(result, name) for name in _FIELDS}
        texts = {name: clean(text) if isinstance(text, str) else text for name, text in fields.items()}
        unit.run(_PUT, key=result.key, **texts, sessions=sessions)


def of(tx: Transaction, day: int, domain: str) -> list[tuple[Result, int]]:
    """The results of a day and domain, those of a policy together."""
    return [(Result(*row[:-1]), int(row[-1])) for row in tx.all(_OF, day=day, of=domain)]


def totals(tx: Transaction, since: int, until: int, domain: str = "", limit: int = 1_000) -> list[Total]:
    """Sessions by day, domain, policy and result, the latest day first."""
    rows = tx.all(_TOTALS, since=since, until=until, of=domain, limit=limit)
    return [Total(day, name, kind, result, int(sessions)) for day, name, kind, result, sessions in rows]


def thin(unit: Unit, before: int) -> int:
    """Forget, of days before, what went well without a policy, and who asked for no report: that is most of
    what there is, and nobody asks for it. How many results."""
    keys = [bytes(row[0]) for row in unit.all(_FINE, before=before)]
    if keys:
        unit.run(_EXPIRE, keys=keys)
    else:
        unit.run(_DONE, before=before)
    return len(keys)


def expire(unit: Unit, before: int) -> int:
    """Forget results, and reports, of days before; how many results."""
    keys = [bytes(row[0]) for row in unit.all(_OLD, before=before)]
    if keys:
        unit.run(_EXPIRE, keys=keys)
    unit.run(_FORGET, before=before)
    return len(keys)


# Reports -----------------------------------------------------------------------------------


def unplanned(tx: Transaction, day: int, after: str = "") -> list[str]:
    """Some domains that something was counted of and that no report is planned to, after one."""
    return [row[0] for row in tx.all(_UNPLANNED, day=day, after=after)]


def plan(unit: Unit, day: int, domains: Iterable[str], since: int, spread: int) -> None:
    """Have reports of a day made, each some time within `spread` microseconds after `since`."""
    for domain in domains:
        # By chance, and the same on each node.
        chance = int.from_bytes(hashlib.sha256(f"{day} {domain}".encode()).digest()[:6])
        due = since + chance % (spread + 1)
        unit.run(_PLAN, day=day, domain=domain, rua="", state="waiting", due=due, attempts=0, note="")


def are_due(tx: Transaction, now: int) -> bool:
    """Whether a report is."""
    return bool(tx.all(_DUE, now=now, limit=1))


def claim(unit: Unit, now: int, until: int, limit: int = 10) -> list[Report]:
    """Reports that are due, for whoever asks, until a time."""
    found = [Report(*row) for row in unit.all(_DUE, now=now, limit=limit)]
    return [
        each
        for each in found
        if unit.run(
            _CLAIM, of_day=each.day, of_domain=each.domain, of_rua=each.rua, was=each.due, until=until
        )
    ]


def divide(unit: Unit, report: Report, ruas: Iterable[str], now: int) -> None:
    """The destinations of a report are known."""
    for rua in ruas:
        unit.run(
            _PLAN,
            day=report.day,
            domain=report.domain,
            rua=rua,
            state="waiting",
            due=now,
            attempts=0,
            note="",
        )
    settle(unit, report, "divided", 0, "")


def settle(unit: Unit, report: Report, state: str, due: int, note: str) -> None:
    """What became of a report; one that waits on is due then."""
    unit.run(
        _SETTLE,
        of_day=report.day,
        of_domain=report.domain,
        of_rua=report.rua,
        new=state,
        next=due,
        tries=report.attempts + 1,
        why=clean(note[:LONGEST]),
    )


def reports(tx: Transaction, limit: int = 1_000) -> list[Report]:
    """The latest first."""
    return [Report(*row) for row in tx.all(_LISTED, limit=limit)]
