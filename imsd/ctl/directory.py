"""imsctl directory."""

from __future__ import annotations

from pathlib import Path

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json


@imsctl.group()
def directory() -> None:
    """The directory as a whole."""


@directory.command()
@click.option("--domain-names", is_flag=True, help="Write names under dc=... instead of o=...")
@click.pass_obj
def export(admin: Administrator, domain_names: bool) -> None:
    """Write every entry as LDIF. Passwords are not in it."""
    click.echo(admin.ask("directory.export", domain_names=domain_names), nl=False)


@directory.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Entries that are there take the file's attributes.")
@json_option
@click.pass_obj
def import_(admin: Administrator, file: Path, replace: bool) -> None:
    """Add the entries of an LDIF file; mailboxes are made for people."""
    report = admin.ask("directory.import", text=file.read_text("utf-8"), replace=replace)
    if admin.as_json:
        show_json(report)
        return
    for name, reason in report["refused"].items():
        click.echo(f"{name}: {reason}", err=True)
    click.echo(f"{len(report['added'])} added, {len(report['changed'])} changed")
    if report["refused"]:
        raise click.ClickException(f"{len(report['refused'])} not taken")
