"""Operations on TLS with other domains: what was counted, reported, and is reported of ours (RFC 8460)."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from typing import Any

from imsd.admin.operations import Json, operation
from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.mail.names import LookupFailed
from imsd.store import tls_received, tls_results
from imsd.store.tls_received import Received
from imsd.store.tls_results import DAY
from imsd.trust.tlsrpt import moment


def _today() -> int:
    return time.time_ns() // 1000 // DAY


@operation("tls.results")
async def results(core: Any, domain: str = "", days: int = 7, limit: int = 1_000) -> Json:
    """Sessions with other domains' exchangers by day, policy and result, the latest day first."""
    await _counted(core)
    today = _today()
    found = await core.db.read(
        tls_results.totals, today - max(days, 1) + 1, today, domain, min(limit, 10_000)
    )
    return [
        {
            "day": moment(each.day * DAY)[:10],
            "domain": each.domain,
            "policy": each.policy_type,
            "result": each.result or "success",
            "sessions": each.sessions,
        }
        for each in found
    ]


async def _counted(core: Any) -> None:
    """What is still in memory is written first."""
    if core.server is not None and core.server.queue is not None:
        await core.server.queue.counter.flush()


@operation("tls.sent")
async def sent(core: Any, limit: int = 1_000) -> Json:
    """Reports to other domains and what became of them, the latest day first."""
    return [
        {
            "day": moment(each.day * DAY)[:10],
            "domain": each.domain,
            "destination": each.rua,
            "state": each.state,
            "attempts": each.attempts,
            "due": each.due or None,
            "note": each.note,
        }
        for each in await core.db.read(tls_results.reports, min(limit, 10_000))
        if each.state != "divided"
    ]


@operation("tls.send", needs_server=True)
async def send(core: Any, domain: str, day: str = "") -> Json:
    """Send the report on a day (today, as far as it was counted) to a domain at once."""
    await _counted(core)
    number = _today()
    if day:
        try:
            parsed = date.fromisoformat(day)
        except ValueError:
            raise ConstraintViolation(f"{day}: a day as 2030-01-31 expected") from None
        number = round(datetime(parsed.year, parsed.month, parsed.day, tzinfo=UTC).timestamp()) // 86_400
    try:
        told = await core.server.queue.reports.send_now(domain.lower(), number)
    except LookupFailed as error:
        raise NoSuchEntry(str(error)) from error
    return [{"destination": uri, "outcome": outcome} for uri, outcome in told]


@operation("tls.reports.list")
async def list_reports(core: Any, limit: int = 100) -> Json:
    """Reports of other domains on ours, the latest first."""
    found = await core.db.read(tls_received.listed, 2**62, min(limit, 10_000))
    return [_described(each) for each in found]


@operation("tls.reports.show")
async def show_report(core: Any, name: str) -> Json:
    """One report that came, with its policies and failures."""
    found = await core.db.read(tls_received.shown, name.lower())
    return {**_described(found), "contact": found.contact, "policies": json.loads(found.content)}


def _described(each: Received) -> dict[str, Json]:
    return {
        "name": each.name,
        "organization": each.organization,
        "submitter": each.submitter,
        "report_id": each.report_id,
        "domains": each.domains.split(),
        "begins": each.begins,
        "ends": each.ends,
        "came": each.came,
        "successes": each.successes,
        "failures": each.failures,
    }
