"""imsctl queue and track."""

from __future__ import annotations

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import moment, show_fields, show_json, show_table


@imsctl.group()
def queue() -> None:
    """Mail that waits to leave."""


@queue.command("list")
@json_option
@click.pass_obj
def list_(admin: Administrator) -> None:
    """List waiting mail, a row for each recipient."""
    rows = admin.ask("queue.list")
    if admin.as_json:
        show_json(rows)
        return
    columns = ("id", "originator", "recipient", "size", "attempts", "state", "next_attempt", "last_error")
    show_table(
        [name.upper() for name in columns],
        [[moment(row[name]) if name == "next_attempt" else row[name] for name in columns] for row in rows],
    )


@queue.command("show")
@click.argument("message")
@json_option
@click.pass_obj
def show(admin: Administrator, message: str) -> None:
    """Show one message with its recipients and what their hosts said."""
    answer = admin.ask("queue.show", message=message)
    if admin.as_json:
        show_json(answer)
    else:
        show_fields(answer)


@queue.command("retry")
@click.argument("messages", nargs=-1)
@click.pass_obj
def retry(admin: Administrator, messages: tuple[str, ...]) -> None:
    """Try again now: MESSAGES, or everything."""
    click.echo(f"{admin.ask('queue.retry', messages=list(messages))} recipients are due now")


@queue.command("hold")
@click.argument("messages", nargs=-1, required=True)
@click.pass_obj
def hold(admin: Administrator, messages: tuple[str, ...]) -> None:
    """Keep MESSAGES from leaving."""
    admin.ask("queue.hold", messages=list(messages), held=True)


@queue.command("release")
@click.argument("messages", nargs=-1, required=True)
@click.pass_obj
def release(admin: Administrator, messages: tuple[str, ...]) -> None:
    """Let held MESSAGES leave."""
    admin.ask("queue.hold", messages=list(messages), held=False)


@queue.command("delete")
@click.argument("messages", nargs=-1, required=True)
@click.option("--ndr/--no-ndr", default=True, show_default=True, help="Tell the originator.")
@click.confirmation_option(prompt="Delete all selected messages?")
@click.pass_obj
def delete(admin: Administrator, messages: tuple[str, ...], ndr: bool) -> None:
    """Give up on MESSAGES."""
    admin.ask("queue.delete", messages=list(messages), ndr=ndr)


@imsctl.command()
@click.argument("what")
@click.option("--limit", default=100, show_default=True, help="So many events at most.")
@json_option
@click.pass_obj
def track(admin: Administrator, what: str, limit: int) -> None:
    """Follow a message: WHAT is a queue id, a Message-ID or an address."""
    rows = admin.ask("track", what=what, limit=limit)
    if admin.as_json:
        show_json(rows)
        return
    columns = ("at", "event", "queue_id", "sender", "recipient", "reason")
    show_table(
        [name.upper() for name in columns],
        [[moment(row[name]) if name == "at" else row[name] for name in columns] for row in rows],
    )
