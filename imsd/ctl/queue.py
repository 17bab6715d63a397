"""imsctl queue, drain and track."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import moment, show_fields, show_json, show_table

QUEUES = ("inbound-conversion", "inbound-delivery", "outbound-conversion", "outbound-delivery")
COLUMNS = (
    *("queue", "id", "originator", "recipient", "host", "size", "submitted", "priority", "attempts"),
    *("next_attempt", "expires", "state", "last_error"),
)
WANTED = ("none", "may", "encrypt", "verify", "dane", "sts", "sts-testing", "requiretls")
VERIFIED = ("pkix", "dane", "sts")
EACH = ("recipient", "queue", "host", "state", "attempts", "last_attempt", "next_attempt", "last_error")
TIMES = ("submitted", "last_attempt", "next_attempt", "expires", "deliver_by", "future_release")


def chosen(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose rows."""
    for option in (
        click.option("--originator", default="", help="Mail from this address alone; <> for reports."),
        click.option("--destination", default="", help="Mail bound for this domain or host alone."),
        click.option("--domain", default="", help="Recipients in this domain alone."),
    ):
        function = option(function)
    return function


def _some(messages: tuple[str, ...], everything: bool, *choice: str) -> dict[str, Any]:
    """What rows a command is for. Nothing at all must be meant."""
    if not messages and not any(choice) and not everything:
        raise click.UsageError("Name messages, or choose by --domain, --destination, --originator, or --all")
    domain, destination, originator = choice
    return {
        "messages": list(messages),
        "domain": domain,
        "destination": destination,
        "originator": originator,
    }


@imsctl.group()
def queue() -> None:
    """Mail that waits."""


@queue.command("list")
@click.option("--queue", "name", type=click.Choice(QUEUES), help="One of the four queues alone.")
@chosen
@click.option("--limit", default=10_000, show_default=True, help="So many rows at most.")
@json_option
@click.pass_obj
def list_(
    admin: Administrator, name: str | None, domain: str, destination: str, originator: str, limit: int
) -> None:
    """List waiting mail, a row for each recipient, the oldest first."""
    rows = admin.ask(
        "queue.list",
        queue=name,
        domain=domain,
        destination=destination,
        originator=originator,
        limit=limit,
    )
    if admin.as_json:
        show_json(rows)
        return
    show_table(
        [column.upper() for column in COLUMNS],
        [[moment(row[name]) if name in TIMES else row[name] for name in COLUMNS] for row in rows],
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
        return
    recipients = answer.pop("recipients")
    show_fields({name: moment(value) if name in TIMES else value for name, value in answer.items()})
    click.echo()
    show_table(
        [column.upper() for column in EACH],
        [[moment(row[name]) if name in TIMES else row[name] for name in EACH] for row in recipients],
    )


@queue.command("counts")
@json_option
@click.pass_obj
def counts(admin: Administrator) -> None:
    """Say how many recipients wait, are kept and are being tried."""
    answer = admin.ask("queue.counts")
    if admin.as_json:
        show_json(answer)
    else:
        show_fields(answer)


@queue.command("retry")
@click.argument("messages", nargs=-1)
@chosen
@click.pass_obj
def retry(
    admin: Administrator, messages: tuple[str, ...], domain: str, destination: str, originator: str
) -> None:
    """Try again now: MESSAGES, what is chosen, or everything that waits.

    What its sender wants kept back (FUTURERELEASE) leaves before its time only where it is named.
    """
    count = admin.ask("queue.retry", **_some(messages, True, domain, destination, originator))
    click.echo(f"{count} recipients are due now")


@queue.command("hold")
@click.argument("messages", nargs=-1)
@chosen
@click.option("--all", "everything", is_flag=True, help="Everything in the queue.")
@click.pass_obj
def hold(
    admin: Administrator,
    messages: tuple[str, ...],
    domain: str,
    destination: str,
    originator: str,
    everything: bool,
) -> None:
    """Keep MESSAGES, or what is chosen, from leaving. With --domain alone also what comes for it until
    `release --domain`."""
    count = admin.ask("queue.hold", **_some(messages, everything, domain, destination, originator))
    click.echo(f"{count} recipients are held")


@queue.command("release")
@click.argument("messages", nargs=-1)
@chosen
@click.option("--all", "everything", is_flag=True, help="Everything that is held.")
@click.pass_obj
def release(
    admin: Administrator,
    messages: tuple[str, ...],
    domain: str,
    destination: str,
    originator: str,
    everything: bool,
) -> None:
    """Let held MESSAGES, or what is chosen, leave."""
    some = _some(messages, everything, domain, destination, originator)
    click.echo(f"{admin.ask('queue.hold', held=False, **some)} recipients are released")


@queue.command("delete")
@click.argument("messages", nargs=-1)
@chosen
@click.option("--all", "everything", is_flag=True, help="Everything in the queue.")
@click.option("--ndr/--no-ndr", default=True, show_default=True, help="Tell the originator.")
@click.option("--yes", is_flag=True, help="Confirm the action without prompting.")
@click.pass_obj
def delete(
    admin: Administrator,
    messages: tuple[str, ...],
    domain: str,
    destination: str,
    originator: str,
    everything: bool,
    ndr: bool,
    yes: bool,
) -> None:
    """Give up on MESSAGES, or on those with a recipient that is chosen."""
    some = _some(messages, everything, domain, destination, originator)
    if not yes:
        click.confirm("Delete all selected messages?", abort=True)
    if everything:
        some["everything"] = True
    click.echo(f"{admin.ask('queue.delete', ndr=ndr, **some)} messages are deleted")


@imsctl.command()
@click.option("--wait", is_flag=True, help="Wait until what was in the queue is gone.")
@click.option("--timeout", type=float, default=0, help="Wait so many seconds at most; 0: for ever.")
@click.option("--end", is_flag=True, help="Go back to inbound and outbound.")
@click.pass_obj
def drain(admin: Administrator, wait: bool, timeout: float, end: bool) -> None:
    """Take no new mail from the Internet, keep what would leave, and send what is in the queue.

    Sets ims.transfer_mode to none; with --wait exits with 0 when the queue is empty, with 1 at the time-out.
    """
    admin.ask("settings.set", key="ims.transfer_mode", value='"both"' if end else '"none"')
    if end:
        click.echo("Mail comes and goes again")
        return
    give_up = time.monotonic() + timeout if timeout else None
    while True:
        answer = admin.ask("queue.counts")
        left = answer["here"] + answer["leaving"]
        if not wait or not left:
            break
        if give_up is not None and time.monotonic() >= give_up:
            break
        time.sleep(0.5)
    click.echo(f"{left} recipients are left, {answer['parked'] + answer['held']} are kept")
    if wait and left:
        sys.exit(1)


@imsctl.command()
@click.argument("what", default="")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="So many events at most, the latest.",
)
@click.option("--wanted", type=click.Choice(WANTED), help="What was sent where this protection was wanted.")
@click.option("--reached", default="", help="What was sent by this: clear, TLSv1.2, TLSv1.3.")
@click.option("--verified", type=click.Choice(VERIFIED), help="What went to hosts that this vouched for.")
@click.option("--hours", default=24, show_default=True, help="Without WHAT: so far back.")
@json_option
@click.pass_obj
def track(
    admin: Administrator,
    what: str,
    limit: int,
    wanted: str | None,
    reached: str,
    verified: str | None,
    hours: int,
) -> None:
    """Follow a message: WHAT is a queue id, a Message-ID or an address. Without it, or beside it: what was
    sent under a protection."""
    if not (what or wanted or reached or verified):
        raise click.UsageError("Say WHAT, or --wanted, --reached or --verified")
    rows = admin.ask(
        "track",
        what=what,
        limit=limit,
        wanted=wanted or "",
        reached=reached,
        verified=verified or "",
        hours=hours,
    )
    if admin.as_json:
        show_json(rows)
        return
    if len(rows) >= limit:
        click.echo(f"There may be more before these {limit}: --limit shows them", err=True)
    columns = ("at", "event", "queue_id", "sender", "recipient", "reason")
    show_table(
        [name.upper() for name in columns],
        [[moment(row[name]) if name == "at" else row[name] for name in columns] for row in rows],
    )
