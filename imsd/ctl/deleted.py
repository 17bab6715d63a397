"""imsctl directory deleted, undelete, purge."""

from __future__ import annotations

from typing import Any

import click

from imsd.ctl.command import Administrator, Ask, json_option
from imsd.ctl.directory import directory
from imsd.ctl.output import moment, show_json, show_table


@directory.command("deleted")
@json_option
@click.pass_obj
def deleted(admin: Administrator) -> None:
    """List who was deleted and can be brought back (deletion.keep_days)."""

    def all_of(ask: Ask) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while page := ask("directory.deleted", after=found[-1]["number"] if found else 0):
            found += page
        return found

    rows = admin.converse(all_of)
    if admin.as_json:
        show_json(rows)
        return
    show_table(
        ("NUMBER", "NAME", "KIND", "DELETED", "BY", "UNTIL", "MAILBOX"),
        [
            (
                f"#{row['number']}",
                row["name"],
                row["kind"],
                moment(row["deleted"]),
                row["by"],
                moment(row["until"]),
                f"{row['mailbox_bytes'] // 1024} KiB" if row["kind"] == "mailbox" else "",
            )
            for row in rows
        ],
    )


@directory.command("undelete")
@click.argument("who")
@click.pass_obj
def undelete(admin: Administrator, who: str) -> None:
    """Bring WHO back (an address, a login name, or #NUMBER), with mailbox, password and rights."""
    click.echo(f"{admin.ask('directory.undelete', who=who)['dn']} is back.")


@directory.command("purge")
@click.argument("who")
@click.confirmation_option(prompt="Remove what is kept of it for good?")
@click.pass_obj
def purge(admin: Administrator, who: str) -> None:
    """Remove for good what is kept of WHO (an address, a login name, or #NUMBER), before its time."""
    click.echo(f"{admin.ask('directory.purge', who=who)['name']} is gone for good.")
