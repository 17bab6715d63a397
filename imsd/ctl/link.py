"""imsctl link."""

from __future__ import annotations

import time
from typing import Any

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json, show_table


@imsctl.group()
def link() -> None:
    """Connections that are brought up when they are due (ims.dialup.links)."""


@link.command("status")
@json_option
@click.pass_obj
def status(admin: Administrator) -> None:
    """Show every link: whether it is up, when it was, when it is due."""
    rows = admin.ask("link.status")
    if admin.as_json:
        show_json(rows)
        return
    show_table(
        ("LINK", "STATE", "LAST UP", "NEXT", "RETRIEVE", "SAID"),
        [
            (row["name"], _state(row), _time(row["last_up"]), row["next"] or "", row["retrieve"], _said(row))
            for row in rows
        ],
    )


@link.command("up")
@click.argument("name")
@click.pass_obj
def up(admin: Administrator, name: str) -> None:
    """Bring NAME up and keep it up until `link down`."""
    _tell(admin.ask("link.up", name=name))


@link.command("down")
@click.argument("name")
@click.pass_obj
def down(admin: Administrator, name: str) -> None:
    """Take NAME down."""
    _tell(admin.ask("link.down", name=name))


@link.command("run")
@click.argument("name")
@click.pass_obj
def run(admin: Administrator, name: str) -> None:
    """Bring NAME up once, as its schedule does: it goes down when it is idle."""
    _tell(admin.ask("link.run", name=name))


def _tell(row: dict[str, Any]) -> None:
    click.echo(f"{row['name']}: {_state(row)}{': ' + _said(row) if _said(row) else ''}")


def _state(row: dict[str, Any]) -> str:
    if row["elsewhere"]:
        return f"at {row['elsewhere']}"
    return f"{row['state']}, held" if row["held"] else str(row["state"])


def _said(row: dict[str, Any]) -> str:
    return str(row["error"] or row["asked"])


def _time(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""
