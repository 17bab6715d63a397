"""imsctl dkim."""

from __future__ import annotations

from typing import Any

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json, show_table

LINE = 200
"""Octets of one string of a TXT record; it may have 255."""


@imsctl.group()
def dkim() -> None:
    """Keys that sign mail that leaves (DKIM)."""


@dkim.command("create")
@click.argument("domain")
@click.option("--selector", default="", help="Name of the key.  [default: today's date]")
@click.option("--algorithm", type=click.Choice(["rsa", "ed25519", "both"]), default="both", show_default=True)
@json_option
@click.pass_obj
def create(admin: Administrator, domain: str, selector: str, algorithm: str) -> None:
    """Make keys for DOMAIN; from then on its mail is signed. Publish the records that are shown.

    Mail that is signed before the records are there is no worse off than unsigned mail.
    """
    _show(admin, admin.ask("dkim.create", domain=domain, selector=selector, algorithm=algorithm))


@dkim.command("show")
@click.argument("domain", default="")
@json_option
@click.pass_obj
def show(admin: Administrator, domain: str) -> None:
    """Show the records that publish the keys of DOMAIN, or of all, as a zone file has them."""
    _show(admin, admin.ask("dkim.show", domain=domain))


@dkim.command("check")
@click.argument("domain", default="")
@json_option
@click.pass_obj
def check(admin: Administrator, domain: str) -> None:
    """Look whether the name system has the records of DOMAIN, or of all."""
    rows = admin.ask("dkim.check", domain=domain)
    if admin.as_json:
        show_json(rows)
    else:
        show_table(
            ("NAME", "ALGORITHM", "STATE"),
            [
                (row["name"], row["algorithm"], "published" if row["published"] else row["error"])
                for row in rows
            ],
        )
    if not all(row["published"] or row["retired"] for row in rows):
        raise click.exceptions.Exit(1)


@dkim.command("retire")
@click.argument("domain")
@click.argument("selector")
@click.pass_obj
def retire(admin: Administrator, domain: str, selector: str) -> None:
    """Sign with a key no more. Leave its record for a week, for mail that is on its way."""
    row = admin.ask("dkim.retire", domain=domain, selector=selector)
    click.echo(f"{row['selector']} of {row['domain']} signs no more.")


@dkim.command("delete")
@click.argument("domain")
@click.argument("selector")
@click.confirmation_option(prompt="Forget this key?")
@click.pass_obj
def delete(admin: Administrator, domain: str, selector: str) -> None:
    """Forget a key."""
    row = admin.ask("dkim.delete", domain=domain, selector=selector)
    click.echo(f"{row['selector']} of {row['domain']} is gone.")


def _show(admin: Administrator, rows: list[dict[str, Any]]) -> None:
    if admin.as_json:
        show_json(rows)
        return
    for row in rows:
        if row["error"]:
            click.echo(f"; {row['name']}: {row['error']}")
            continue
        text = row["record"]
        pieces = " ".join(f'"{text[at : at + LINE]}"' for at in range(0, len(text), LINE))
        retired = "  ; signs no more" if row["retired"] else ""
        click.echo(f"{row['name']}. IN TXT {pieces}{retired}")
