"""imsctl mailbox rights and delegates, imsctl folder rights, grant and revoke."""

from __future__ import annotations

from typing import Any

import click

from imsd.ctl.command import Administrator, json_option
from imsd.ctl.mailbox import mailbox
from imsd.ctl.output import show_json, show_table
from imsd.ctl.people import folder

_RIGHTS = """
    RIGHTS are letters of RFC 4314 (l lookup, r read, s keep seen, w write flags, i insert, p post by mail,
    k create below, x delete, t mark deleted, e expunge, a administer) or one of: none, see, read, post,
    author, edit, own. "+" before them adds, "-" takes away. WHO is a person or a distribution list, by
    alias or address; or anyone, authenticated, anonymous. "-WHO" is denied the rights whatever others
    give.
"""


def _rights(
    admin: Administrator, who: str, folder: str, grant: tuple[tuple[str, str], ...], revoke: Any
) -> None:
    for identifier, rights in (*grant, *((name, "none") for name in revoke)):
        admin.ask("rights.change", who=who, folder=folder, identifier=identifier, rights=rights)
    rows = admin.ask("rights.show", who=who, folder=folder)
    if admin.as_json:
        show_json(rows)
    else:
        show_table(("WHO", "RIGHTS"), [(row["identifier"], row["rights"]) for row in rows])


@mailbox.command("rights", help=f"Show who may do what in FOLDER of ADDRESS, and change it.\n{_RIGHTS}")
@click.argument("address")
@click.argument("folder")
@click.option("--grant", nargs=2, multiple=True, metavar="WHO RIGHTS", help="Give WHO these RIGHTS.")
@click.option("--revoke", multiple=True, metavar="WHO", help="Take WHO off the list.")
@json_option
@click.pass_obj
def mailbox_rights(
    admin: Administrator,
    address: str,
    folder: str,
    grant: tuple[tuple[str, str], ...],
    revoke: tuple[str, ...],
) -> None:
    _rights(admin, address, folder, grant, revoke)


@mailbox.command("delegates")
@click.argument("address")
@click.option("--add", "added", multiple=True, metavar="WHO", help="A person, or a list of people.")
@click.option("--remove", "removed", multiple=True, metavar="WHO", help="Who is a delegate no more.")
@json_option
@click.pass_obj
def mailbox_delegates(
    admin: Administrator, address: str, added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    """Show who has the whole mailbox of ADDRESS, and change it.

    A delegate sees INBOX and all folders under "Other Users" in IMAP, may log in to the mailbox as
    DOMAIN/user/alias by POP3 and IMAP, and writes mail on behalf of ADDRESS: From names it, Sender him.
    """
    _name(admin, "delegates.change", address, added, removed)


@mailbox.command("send-as")
@click.argument("address")
@click.option("--add", "added", multiple=True, metavar="WHO", help="A person, or a list of people.")
@click.option("--remove", "removed", multiple=True, metavar="WHO", help="Who writes so no more.")
@json_option
@click.pass_obj
def mailbox_send_as(
    admin: Administrator, address: str, added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    """Show who writes mail as ADDRESS (a person, a list, a public folder), and change it.

    Who does is not named in the message. He sees nothing of the mailbox by that.
    """
    _name(admin, "send-as.change", address, added, removed)


def _name(
    admin: Administrator, operation: str, address: str, added: tuple[str, ...], removed: tuple[str, ...]
) -> None:
    for how, names in (("add", added), ("remove", removed)):
        for name in names:
            admin.ask(operation, who=address, identifier=name, how=how)
    found = admin.ask(operation, who=address)
    if admin.as_json:
        show_json(found)
    else:
        for name in found:
            click.echo(name)


@folder.command("rights", help="Show who may do what in the public folder PATHNAME.")
@click.argument("pathname")
@json_option
@click.pass_obj
def folder_rights(admin: Administrator, pathname: str) -> None:
    _rights(admin, "", pathname, (), ())


@folder.command("grant", help=f"Give WHO exactly these RIGHTS on the public folder PATHNAME.\n{_RIGHTS}")
@click.argument("pathname")
@click.argument("who")
@click.argument("rights")
@json_option
@click.pass_obj
def folder_grant(admin: Administrator, pathname: str, who: str, rights: str) -> None:
    _rights(admin, "", pathname, ((who, rights),), ())


@folder.command("revoke")
@click.argument("pathname")
@click.argument("who")
@json_option
@click.pass_obj
def folder_revoke(admin: Administrator, pathname: str, who: str) -> None:
    """Take WHO off the list of the public folder PATHNAME."""
    _rights(admin, "", pathname, (), (who,))
