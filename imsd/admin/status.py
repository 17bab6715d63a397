"""Operations about the server as a whole."""

from __future__ import annotations

import os
import time
from typing import Any

from imsd import __version__
from imsd.admin import queue, search
from imsd.admin.health import transfer_warnings
from imsd.admin.operations import Json, operation
from imsd.errors import StoreUnavailable
from imsd.settings.connectors import Ims


@operation("status", needs_server=True)
async def status(core: Any) -> Json:
    """Whether every listener is up, and how much goes on."""
    server = core.server
    if not server.ready:
        raise StoreUnavailable("The server is starting or stopping")
    return {
        "running": True,
        "version": __version__,
        "pid": os.getpid(),
        "home": str(core.config.home),
        "hostname": core.config.server.hostname,
        "uptime_seconds": round(time.time() - server.started),
        "listening": server.listeners.addresses(),
        "connections": {name: len(factory.connections) for name, factory in server.factories.items()},
        "store": {
            "waiting_units": core.db.waiting(),
            "index_bytes": core.indexes.memory(),
            "rounds_of_upkeep": server.upkeep.rounds,
        },
        "disk": core.water.describe(),
        "mail": {
            "transfer_mode": core.settings[Ims].transfer_mode,
            "queue": await queue.counts(core),
            "warnings": transfer_warnings(core.settings[Ims]) + core.water.warnings(),
        },
        "search": await search.describe(core),
        "duties": await core.duties.holders(),
        "reactor": {
            "late_ticks": server.watchdog.late,
            "longest_delay_ms": round(server.watchdog.longest * 1000, 1),
        },
    }
