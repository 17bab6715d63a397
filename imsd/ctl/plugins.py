"""imsctl plugins."""

from __future__ import annotations

from typing import Any

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json, show_table


@imsctl.group()
def plugins() -> None:
    """Python that takes part in the server's work (hooks.plugins)."""


@plugins.command("list")
@json_option
@click.pass_obj
def list_(admin: Administrator) -> None:
    """List plug-ins, what they are for, and how they do."""
    _show(admin, admin.ask("plugins.list"))


@plugins.command("reload")
@json_option
@click.pass_obj
def reload(admin: Administrator) -> None:
    """Read the modules of all plug-ins anew, as after a change of theirs; of routing.plugin, too."""
    _show(admin, admin.ask("plugins.reload"))


def _show(admin: Administrator, rows: Any) -> None:
    if admin.as_json:
        show_json(rows)
        return
    show_table(
        ("NAME", "FAILURE", "EVENTS", "CALLS", "FAILED", "DROPPED", "LAST FAILURE"),
        [
            (
                row["name"],
                row["failure"],
                " ".join(row["events"]) or "none: it cannot be made",
                row["calls"],
                row["failures"],
                row["dropped"],
                row["last_failure"],
            )
            for row in rows
        ],
    )
