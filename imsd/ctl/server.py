"""imsctl status, stats, check and verify."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

import click

from imsd.ctl import client
from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_fields, show_json


@imsctl.command()
@click.option("--wait", type=float, default=0, help="Wait up to so many seconds for it to be up.")
@json_option
@click.pass_obj
def status(admin: Administrator, wait: float) -> None:
    """Say whether the server is up; exit with 0 when every listener is."""
    loaded = admin.config()
    give_up = time.monotonic() + wait
    while True:
        try:
            answer = client.call(loaded.control_socket, "status", {}, timeout=10)
            break
        except (client.NotRunning, OSError):
            if time.monotonic() >= give_up:
                if admin.as_json:
                    show_json({"running": False})
                else:
                    click.echo(f"imsd is not running; start it with: twistd -n imsd --home {admin.home}")
                sys.exit(1)
            time.sleep(0.05)
    if admin.as_json:
        show_json(answer)
    else:
        show_fields(answer)


@imsctl.command()
@click.option("--prometheus", is_flag=True, help="In the text format of Prometheus.")
@json_option
@click.pass_obj
def stats(admin: Administrator, prometheus: bool) -> None:
    """Show the performance counters of the Internet Mail Service."""
    values = admin.ask("stats")
    if prometheus:
        click.echo(exposition(values), nl=False)
    elif admin.as_json:
        show_json(values)
    else:
        show_fields(values)


def exposition(values: dict[str, int]) -> str:
    """The text format of Prometheus."""
    lines = []
    for name, value in values.items():
        metric = "exchange_imc_" + re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        counts = ("Total" in name and "Queued" not in name) or "Entering" in name or "Leaving" in name
        kind = "counter" if counts else "gauge"
        lines += [f"# HELP {metric} {name}", f"# TYPE {metric} {kind}", f"{metric} {value}"]
    return "\n".join(lines) + "\n"


@imsctl.command()
@json_option
@click.pass_obj
def check(admin: Administrator) -> None:
    """Look for mistakes in configuration, certificates, DNS and settings."""
    findings = admin.ask("check")
    _report(admin, findings)


@imsctl.command()
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@json_option
@click.pass_obj
def verify(admin: Administrator, repair: bool) -> None:
    """Prove the store: content hashes, references, counters. Says what it would repair."""
    _report(admin, admin.ask("verify", repair=repair))


def _report(admin: Administrator, findings: list[dict[str, Any]]) -> None:
    """Findings, worst first; exit with 1 when one of them is an error."""
    if admin.as_json:
        show_json(findings)
    else:
        marks = {"error": click.style("error", fg="red"), "warning": click.style("warning", fg="yellow")}
        for finding in findings:
            click.echo(f"{marks.get(finding['level'], finding['level'])}: {finding['text']}")
        if not findings:
            click.echo("Nothing found.")
    if any(finding["level"] == "error" for finding in findings):
        sys.exit(1)
