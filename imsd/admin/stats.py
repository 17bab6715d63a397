"""The operation that tells the performance counters (ims_spec 11): totals, rates, and what waits now."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation
from imsd.store import queue_rows
from imsd.store.spool import State


@operation("stats", needs_server=True)
async def stats(core: Any) -> Json:
    """Counters of the Internet Mail Service by their names."""
    counters, server = core.delivery.counters, core.server
    found = await core.db.read(queue_rows.counts)
    messages, octets = await core.db.read(queue_rows.load)
    none = queue_rows.Count()
    waiting = found.get(State.WAITING, none)
    kept = found.get(State.PARKED, none).all + found.get(State.HELD, none).all
    return {
        **counters.totals(),
        **counters.rates(),
        "Connections Inbound": len(server.factories["smtp"].connections),
        "Connections Outbound": server.queue.lanes.slots.used,
        "Queued MTS-IN": waiting.here,
        "Queued MTS-OUT": kept,
        "Queued Inbound": waiting.here,
        "Queued Outbound": waiting.all - waiting.here,
        "Total Recipients Queued": waiting.all + kept,
        "Total Messages Queued": messages,
        "Total Kilobytes Queued": octets // 1024,
    }
