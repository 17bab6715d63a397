"""imsctl tls."""

from __future__ import annotations

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import moment, show_json, show_table


@imsctl.group()
def tls() -> None:
    """TLS with other domains: what was counted, and reports on it."""


@tls.command("results")
@click.option("--domain", default="", help="Of this domain alone.")
@click.option("--days", default=7, show_default=True, help="So many days, today among them.")
@click.option("--limit", default=1_000, show_default=True, help="So many rows at most.")
@json_option
@click.pass_obj
def results(admin: Administrator, domain: str, days: int, limit: int) -> None:
    """Show sessions with other domains' exchangers by day, policy and result."""
    rows = admin.ask("tls.results", domain=domain, days=days, limit=limit)
    if admin.as_json:
        show_json(rows)
        return
    columns = ("day", "domain", "policy", "result", "sessions")
    show_table([name.upper() for name in columns], [[row[name] for name in columns] for row in rows])


@tls.command("sent")
@click.option("--limit", default=1_000, show_default=True, help="So many rows at most.")
@json_option
@click.pass_obj
def sent(admin: Administrator, limit: int) -> None:
    """List reports to other domains and what became of them."""
    rows = admin.ask("tls.sent", limit=limit)
    if admin.as_json:
        show_json(rows)
        return
    columns = ("day", "domain", "destination", "state", "attempts", "due", "note")
    show_table(
        [name.upper() for name in columns],
        [
            [moment(row[name]) if name == "due" and row[name] else row[name] or "" for name in columns]
            for row in rows
        ],
    )


@tls.command("send")
@click.argument("domain")
@click.option("--day", default="", help="As 2030-01-31; today without it, as far as it was counted.")
@json_option
@click.pass_obj
def send(admin: Administrator, domain: str, day: str) -> None:
    """Send DOMAIN the report on a day at once."""
    rows = admin.ask("tls.send", domain=domain, day=day)
    if admin.as_json:
        show_json(rows)
        return
    for row in rows:
        click.echo(f"{row['destination']}: {row['outcome']}")


@tls.group("reports")
def reports() -> None:
    """What other domains report of ours."""


@reports.command("list")
@click.option("--limit", default=100, show_default=True, help="So many reports at most.")
@json_option
@click.pass_obj
def list_(admin: Administrator, limit: int) -> None:
    """List reports that came, the latest first."""
    rows = admin.ask("tls.reports.list", limit=limit)
    if admin.as_json:
        show_json(rows)
        return
    show_table(
        ("NAME", "CAME", "FROM", "BY", "DOMAINS", "SUCCESSES", "FAILURES"),
        [
            (
                row["name"],
                moment(row["came"]),
                moment(row["begins"]),
                row["organization"] or row["submitter"],
                " ".join(row["domains"]),
                row["successes"],
                row["failures"],
            )
            for row in rows
        ],
    )


@reports.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show(admin: Administrator, name: str) -> None:
    """Show one report: NAME as the list has it, or its beginning."""
    answer = admin.ask("tls.reports.show", name=name)
    if admin.as_json:
        show_json(answer)
        return
    click.echo(f"{answer['organization']} ({answer['contact']}), {answer['report_id']}")
    click.echo(f"{moment(answer['begins'])} to {moment(answer['ends'])}")
    for policy in answer["policies"]:
        click.echo()
        click.echo(f"{policy['policy-domain']}: {policy['policy-type']}")
        for line in policy["policy-string"]:
            click.echo(f"    {line}")
        click.echo(f"    {policy['successes']} sessions fine, {policy['failures']} failed")
        rows = [
            (
                detail.get("result-type", ""),
                detail["failed-session-count"],
                detail.get("receiving-mx-hostname", ""),
                detail.get("receiving-ip", ""),
                detail.get("sending-mta-ip", ""),
                detail.get("failure-reason-code", ""),
            )
            for detail in policy["details"]
        ]
        if rows:
            show_table(("RESULT", "SESSIONS", "MX", "ADDRESS", "SENDER", "REASON"), rows)
