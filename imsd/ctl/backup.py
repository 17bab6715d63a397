"""imsctl backup and restore."""

from __future__ import annotations

import os
from pathlib import Path

import click

from imsd import config
from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json
from imsd.errors import Refusal


@imsctl.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@json_option
@click.pass_obj
def backup(admin: Administrator, folder: Path) -> None:
    """Copy the home, in use or not, into the new FOLDER: store, configuration, certificates."""
    os.umask(0o077)
    answer = admin.ask("backup", folder=str(folder.absolute()))
    if admin.as_json:
        show_json(answer)
    else:
        click.echo(f"{answer['folder']} holds the copy; {answer['content_files']} content files")


@imsctl.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_obj
def restore(admin: Administrator, folder: Path) -> None:
    """Make the home from the copy in FOLDER. The home must not have a store.

    Clients read their mailboxes anew: what they remember may be of after the copy.
    """
    from imsd.admin.backup import copy_settings
    from imsd.store.backup import restore as restore_store

    if not (folder / "data/imsd.db").is_file():
        raise click.ClickException(f"{folder} holds no copy made by imsctl backup")
    os.umask(0o077)
    try:
        restore_store(folder.absolute(), admin.home)
        copy_settings(folder, admin.home)
    except Refusal as refusal:
        raise click.ClickException(refusal.text) from None
    except OSError as error:
        raise click.ClickException(str(error)) from None
    if (admin.home / config.FILE).exists():
        click.echo(f"{admin.home} is ready. Start the server with: twistd -n imsd --home {admin.home}")
    else:
        click.echo(f"The store of {admin.home} is restored; it has no {config.FILE} yet")
