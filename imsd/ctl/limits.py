"""imsctl limits."""

from __future__ import annotations

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json, show_table


@imsctl.group()
def limits() -> None:
    """Who brings or sends more than he may."""


@limits.command("list")
@json_option
@click.pass_obj
def list_(admin: Administrator) -> None:
    """List hosts, networks, accounts and mailboxes that are at a limit."""
    rows = admin.ask("limits.list")
    if admin.as_json:
        show_json(rows)
        return
    columns = ("limit", "who", "used", "allowed", "refused")
    show_table([name.upper() for name in columns], [[row.get(name, "") for name in columns] for row in rows])


@limits.command("clear")
@click.argument("who")
@click.pass_obj
def clear(admin: Administrator, who: str) -> None:
    """Let WHO (an IP address, a mailbox, @domain) begin anew."""
    admin.ask("limits.clear", who=who)
    click.echo(f"{who} begins anew")
