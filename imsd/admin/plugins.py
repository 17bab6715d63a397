"""Operations on plug-ins (imsd.plugins)."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation


@operation("plugins.list", needs_server=True)
async def list_plugins(core: Any) -> Json:
    """The plug-ins of `hooks.plugins`, what they are for, and how they do."""
    return [
        {
            "name": each.row.name,
            "events": list(each.methods),
            "seconds": each.row.seconds,
            "failure": each.row.failure,
            "problem": each.problem,
            "calls": each.calls,
            "failures": each.failures,
            "last_failure": each.last_failure,
            "dropped": each.dropped,
        }
        for each in core.plugins.all
    ]


@operation("plugins.reload", needs_server=True)
async def reload(core: Any) -> Json:
    """Read the modules of all plug-ins anew, that of `routing.plugin` too."""
    core.plugins.reload()
    core.policy.plugin.reload()
    return await list_plugins(core)
