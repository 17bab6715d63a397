"""imsctl settings."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json, show_table

server_option = click.option(
    "--server", default="", metavar="NAME", help="This server's own value, in place of the site's."
)


@imsctl.group()
def settings() -> None:
    """Look at and change every control of the server. Changes take effect at once."""


@settings.command("list")
@click.argument("prefix", default="")
@click.option("--changed", is_flag=True, help="Only what differs from its default.")
@json_option
@click.pass_obj
def list_(admin: Administrator, prefix: str, changed: bool) -> None:
    """List the settings whose key begins with PREFIX."""
    rows = [row for row in admin.ask("settings.list") if row["key"].startswith(prefix)]
    if changed:
        rows = [row for row in rows if row["value"] != row["default"]]
    if admin.as_json:
        show_json(rows)
        return
    show_table(
        ("SETTING", "VALUE", "DEFAULT", "MEANING"),
        [(row["key"], row["value"], row["default"], row["help"]) for row in rows],
    )


@settings.command()
@click.argument("key")
@server_option
@json_option
@click.pass_obj
def get(admin: Administrator, key: str, server: str) -> None:
    """Show the value of one setting."""
    row = admin.ask("settings.get", key=key, server=server)
    if admin.as_json:
        show_json(row)
    else:
        click.echo(row["value"])


@settings.command("set")
@click.argument("key")
@click.argument("value")
@server_option
@click.pass_obj
def set_(admin: Administrator, key: str, value: str, server: str) -> None:
    """Change one setting."""
    row = admin.ask("settings.set", key=key, value=value, server=server)
    click.echo(f"{row['key']} = {row['value']}")


@settings.command()
@click.argument("key")
@server_option
@click.pass_obj
def reset(admin: Administrator, key: str, server: str) -> None:
    """Put one setting back to its default; with --server to the site's value. KEY may then be a
    section (imap): all of it follows the site again."""
    row = admin.ask("settings.reset", key=key, server=server)
    click.echo(f"{row['key']} = {row['value']}")


@settings.command()
@click.argument("who", metavar="MAILBOX")
@click.argument("protocol", type=click.Choice(["imap", "pop3", "ldap"], case_sensitive=False))
@json_option
@click.pass_obj
def explain(admin: Administrator, who: str, protocol: str) -> None:
    """Show what holds for MAILBOX in PROTOCOL: each value, which level decided, and why."""
    rows = admin.ask("settings.explain", who=who, protocol=protocol)
    if admin.as_json:
        show_json(rows)
        return
    show_table(
        ("SETTING", "VALUE", "DECIDED BY", "WHY"),
        [(row["name"], row["value"], row["decided_by"], row["why"]) for row in rows],
    )


@settings.command()
@click.pass_obj
def export(admin: Administrator) -> None:
    """Write every setting that differs from its default as TOML."""
    click.echo(admin.ask("settings.export"), nl=False)


@settings.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.pass_obj
def import_(admin: Administrator, file: Path, dry_run: bool) -> None:
    """Make the settings equal to a TOML file, all or none."""
    try:
        tomllib.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{file}: {error}") from None
    changes = admin.ask("settings.import", text=file.read_text("utf-8"), dry_run=dry_run)
    for change in changes:
        click.echo(f"{change['key']}: {change['before']} -> {change['after']}")
    click.echo(f"{len(changes)} settings {'would change' if dry_run else 'changed'}")
