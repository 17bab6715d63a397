"""imsctl user, group, contact and folder."""

from __future__ import annotations

from typing import Any

import click

from imsd.ctl.command import Administrator, imsctl, json_option, password_from
from imsd.ctl.output import moment, show_fields, show_json, show_table


def _show(admin: Administrator, value: Any) -> None:
    if admin.as_json:
        show_json(value)
    else:
        show_fields(value)


def _list(admin: Administrator, rows: Any, columns: tuple[str, ...]) -> None:
    if admin.as_json:
        show_json(rows)
    else:
        show_table([name.upper() for name in columns], [[row[name] for name in columns] for row in rows])


# People with mailboxes ------------------------------------------------------------------


@imsctl.group()
def user() -> None:
    """People with a mailbox."""


@user.command("add")
@click.argument("address")
@click.option("--password", help='The password; "-" reads it from standard input; asked for when left out.')
@click.option("--name", default="", help="The full name, as the address book shows it.")
@click.option("--admin", "is_admin", is_flag=True, help="May administer the server and the directory.")
@json_option
@click.pass_obj
def user_add(admin: Administrator, address: str, password: str | None, name: str, is_admin: bool) -> None:
    """Add a person with a mailbox who receives mail at ADDRESS."""
    secret = password_from(password)
    _show(admin, admin.ask("user.add", address=address, password=secret, name=name, admin=is_admin))


@user.command("list")
@json_option
@click.pass_obj
def user_list(admin: Administrator) -> None:
    """List everybody who has a mailbox."""
    _list(admin, admin.ask("user.list"), ("address", "uid", "name", "admin", "disabled"))


@user.command("show")
@click.argument("who")
@json_option
@click.pass_obj
def user_show(admin: Administrator, who: str) -> None:
    """Show one person: addresses, mailbox size, rights, password. WHO is an address, an alias or a DN."""
    shown = admin.ask("user.show", who=who)
    if not admin.as_json:
        times = {"changed", "expires", "locked", "unlocks"}
        said = [
            f"{name.replace('_', ' ')} {moment(value)}" if name in times
            else name.replace("_", " ") + ("" if value is True else f" {value}")
            for name, value in shown["password"].items()
        ]  # fmt: skip
        shown["password"] = ", ".join(said) or "none"
    _show(admin, shown)


@user.command("passwd")
@click.argument("who")
@click.option("--password", help='The new password; "-" reads it from standard input.')
@click.option(
    "--must-change/--need-not-change",
    default=None,
    help="Must another be set, by LDAP, before anything else? Or else as passwords.change_after_reset says.",
)
@click.pass_obj
def user_passwd(admin: Administrator, who: str, password: str | None, must_change: bool | None) -> None:
    """Set a person's password; sessions opened with the old one end."""
    secret = password_from(password, "New password")
    admin.ask("user.passwd", who=who, password=secret, must_change=must_change)
    click.echo(f"The password of {who} was changed.")


@user.command("unlock")
@click.argument("who")
@click.pass_obj
def user_unlock(admin: Administrator, who: str) -> None:
    """Forget wrong passwords that locked an account (passwords.lockout_failures)."""
    admin.ask("user.unlock", who=who)
    click.echo(f"{who} is not locked.")


@user.command("disable")
@click.argument("who")
@click.pass_obj
def user_disable(admin: Administrator, who: str) -> None:
    """Refuse logins of a person; mail is still received."""
    admin.ask("user.disable", who=who, disabled=True)
    click.echo(f"{who} cannot log in any more.")


@user.command("enable")
@click.argument("who")
@click.pass_obj
def user_enable(admin: Administrator, who: str) -> None:
    """Allow logins of a person again."""
    admin.ask("user.disable", who=who, disabled=False)
    click.echo(f"{who} can log in.")


@user.command("delete")
@click.argument("who")
@click.option("--delete-mailbox", is_flag=True, help="Delete the mailbox with all its messages, too.")
@click.option("--at-once", is_flag=True, help="Nothing is kept to be brought back.")
@click.confirmation_option(prompt="Delete this person?")
@click.pass_obj
def user_delete(admin: Administrator, who: str, delete_mailbox: bool, at_once: bool) -> None:
    """Delete a person. A mailbox that is not empty is deleted only with --delete-mailbox.

    For deletion.keep_days the person can be brought back, with the mailbox: imsctl directory undelete.
    """
    until = admin.ask("user.delete", who=who, delete_mailbox=delete_mailbox, at_once=at_once)
    back = f" Until {moment(until)}: imsctl directory undelete {who}" if until else ""
    click.echo(f"{who} was deleted.{back}")


@user.command("protocols")
@click.argument("who")
@click.option("--protocol", type=click.Choice(["imap", "pop3", "ldap", "http", "nntp"]), default=None)
@click.option("--enable/--disable", "enabled", default=None, help="May the mailbox be used by it?")
@click.option("--use-defaults/--own", "use_defaults", default=None, help="The server's settings, or its own.")
@click.option(
    "--format",
    "form",
    help="How POP3 hands out messages: see pop3.format.",
    type=click.Choice(["as-composed", "plain", "html", "both", "uuencode", "binhex"]),
)
@click.option("--charset", help="Charset of converted text.")
@click.option("--list-public/--no-list-public", default=None, help="IMAP: list public folders.")
@click.option("--delegate/--no-delegate", default=None, help="IMAP: show other users' folders.")
@click.option("--set", "text", metavar="TEXT", help="All of Protocol-Settings as 5.5 wrote it, joined by %.")
@json_option
@click.pass_obj
def user_protocols(admin: Administrator, /, who: str, **given: Any) -> None:
    """Show, or with options set, what a mailbox says of each protocol."""
    rows = admin.ask("user.protocols", who=who, **{**given, "protocol": given["protocol"] or ""})
    columns = (
        "protocol",
        "enabled",
        "use_defaults",
        "format",
        "charset",
        "list_public",
        "delegate",
        "stored",
    )
    _list(admin, rows, columns)


@user.command("capabilities")
@click.argument("who")
@click.option("--off", multiple=True, metavar="NAME", help="Switch this one off; may be given again.")
@click.option("--on", multiple=True, metavar="NAME", help="Switch this one on again; may be given again.")
@json_option
@click.pass_obj
def user_capabilities(admin: Administrator, who: str, off: tuple[str, ...], on: tuple[str, ...]) -> None:
    """Show which capabilities of IMAP4 are off for a mailbox, or change that.

    For a person whose program trips over one of them.
    """
    names = admin.ask("user.capabilities", who=who)
    if off or on:
        gone = {name.upper() for name in on}
        wanted = [name for name in dict.fromkeys([*names, *(one.upper() for one in off)]) if name not in gone]
        names = admin.ask("user.capabilities", who=who, off=wanted)
    if admin.as_json:
        show_json(names)
    else:
        click.echo("\n".join(names) or "none is off")


_LIMIT = click.IntRange(min=-1)


@user.command("quota")
@click.argument("who")
@click.option("--warn", "warn_kb", type=_LIMIT, help="KB from which the owner is warned; -1: never.")
@click.option("--send", "send_kb", type=_LIMIT, help="KB from which sending is refused; -1: no limit.")
@click.option("--most", "most_kb", type=_LIMIT, help="KB held at most; -1: no limit.")
@click.option("--messages", type=_LIMIT, help="Messages held at most; -1: no limit.")
@click.option(
    "--use-defaults/--own", default=None, help="The site's limits (quotas.*), or the mailbox's own."
)
@json_option
@click.pass_obj
def user_quota(admin: Administrator, /, who: str, **given: Any) -> None:
    """Show, or with options set, the limits of a mailbox."""
    _show(admin, admin.ask("user.quota", who=who, **given))


@user.command("sending")
@click.argument("who")
@click.option("--messages-per-hour", type=_LIMIT, help="Messages an hour to elsewhere; -1: any number.")
@click.option("--messages-per-day", type=_LIMIT, help="Messages a day to elsewhere; -1: any number.")
@click.option("--recipients-per-hour", type=_LIMIT, help="Recipients elsewhere an hour; -1: any number.")
@click.option("--recipients-per-day", type=_LIMIT, help="Recipients elsewhere a day; -1: any number.")
@click.option(
    "--use-defaults", is_flag=True, help="The site's limits (ims.sending) where none is given here."
)
@json_option
@click.pass_obj
def user_sending(admin: Administrator, /, who: str, **given: Any) -> None:
    """Show, or with options set, how much a mailbox may send elsewhere."""
    rows = admin.ask("user.sending", who=who, **given)
    shown = [row | {"allowed": "any" if row["allowed"] is None else row["allowed"]} for row in rows]
    _list(admin, rows if admin.as_json else shown, ("limit", "allowed", "used", "decided_by"))


@imsctl.group("app-password")
def app_password() -> None:
    """Passwords for one device or program each, besides a person's own."""


@app_password.command("add")
@click.argument("who")
@click.argument("label")
@click.option(
    "--protocol",
    "protocols",
    multiple=True,
    type=click.Choice(["imap", "ldap", "pop3", "smtp"]),
    help="Only for this one; may be given again.",
)
@click.option(
    "--from", "networks", multiple=True, metavar="NETWORK", help="Only from there; may be given again."
)
@click.option("--days", type=click.IntRange(1, 36_500), help="It expires after so many days.")
@json_option
@click.pass_obj
def app_password_add(
    admin: Administrator,
    who: str,
    label: str,
    protocols: tuple[str, ...],
    networks: tuple[str, ...],
    days: int | None,
) -> None:
    """Make one for WHO; LABEL says what for. It is shown once."""
    answer = admin.ask(
        "app-password.add", who=who, label=label, protocols=protocols, networks=networks, days=days or 0
    )
    if admin.as_json:
        show_json(answer)
    else:
        click.echo(answer["password"])


@app_password.command("list")
@click.argument("who")
@json_option
@click.pass_obj
def app_password_list(admin: Administrator, who: str) -> None:
    """List those of WHO."""
    rows = admin.ask("app-password.list", who=who)
    if admin.as_json:
        show_json(rows)
    else:
        show_table(
            ("NUMBER", "MADE", "USED", "EXPIRES", "FOR", "FROM", "LABEL"),
            [
                (
                    row["number"],
                    moment(row["created"]),
                    moment(row["used"]) if row["used"] else "never",
                    "expired" if row["expired"] else moment(row["expires"]) if row["expires"] else "never",
                    ", ".join(row["protocols"]) or "any",
                    ", ".join(row["networks"]) or "anywhere",
                    row["label"],
                )
                for row in rows
            ],
        )


@app_password.command("remove")
@click.argument("who")
@click.argument("number", type=int)
@click.pass_obj
def app_password_remove(admin: Administrator, who: str, number: int) -> None:
    """Take back the one with NUMBER; sessions of WHO end."""
    admin.ask("app-password.remove", who=who, number=number)


# Other recipients -----------------------------------------------------------------------


@imsctl.group()
def group() -> None:
    """Distribution lists."""


@group.command("add")
@click.argument("address")
@click.argument("members", nargs=-1)
@click.option("--name", default="", help="The name that the address book shows.")
@click.option("--owner", default="", help="Who may change the members.")
@json_option
@click.pass_obj
def group_add(admin: Administrator, address: str, members: tuple[str, ...], name: str, owner: str) -> None:
    """Add a list at ADDRESS with MEMBERS (addresses or DNs; lists may be nested)."""
    _show(admin, admin.ask("group.add", address=address, members=list(members), name=name, owner=owner))


@group.command("join")
@click.argument("address")
@click.argument("members", nargs=-1, required=True)
@click.pass_obj
def group_join(admin: Administrator, address: str, members: tuple[str, ...]) -> None:
    """Add MEMBERS to the list."""
    admin.ask("group.join", address=address, members=list(members))


@group.command("leave")
@click.argument("address")
@click.argument("members", nargs=-1, required=True)
@click.pass_obj
def group_leave(admin: Administrator, address: str, members: tuple[str, ...]) -> None:
    """Take MEMBERS off the list."""
    admin.ask("group.leave", address=address, members=list(members))


@imsctl.group()
def contact() -> None:
    """Custom recipients: people elsewhere who stand in the address book here."""


@contact.command("add")
@click.argument("address")
@click.argument("target")
@click.option("--name", default="", help="The name that the address book shows.")
@json_option
@click.pass_obj
def contact_add(admin: Administrator, address: str, target: str, name: str) -> None:
    """Add a contact: mail for ADDRESS goes to TARGET."""
    _show(admin, admin.ask("contact.add", address=address, target=target, name=name))


@imsctl.group()
def folder() -> None:
    """Public folders."""


@folder.command("add")
@click.argument("pathname")
@click.option("--address", default="", help="An address at which the folder receives mail.")
@json_option
@click.pass_obj
def folder_add(admin: Administrator, pathname: str, address: str) -> None:
    """Add a public folder; PATHNAME has "/" between the levels."""
    _show(admin, admin.ask("folder.add", pathname=pathname, address=address))


def _common(commands: click.Group, kind: str, words: str) -> None:
    """list, show and delete, which lists, contacts and folders have alike."""

    @commands.command("list", help=f"List the {words}.")
    @json_option
    @click.pass_obj
    def list_(admin: Administrator) -> None:
        _list(admin, admin.ask("recipient.list", kind=kind), ("address", "name", "detail"))

    @commands.command("show", help=f"Show one of the {words}.")
    @click.argument("address")
    @json_option
    @click.pass_obj
    def show(admin: Administrator, address: str) -> None:
        _show(admin, admin.ask("recipient.show", kind=kind, address=address))

    @commands.command("delete", help=f"Delete one of the {words}.")
    @click.argument("address")
    @click.option("--at-once", is_flag=True, help="Nothing is kept to be brought back.")
    @click.confirmation_option(prompt="Delete it?")
    @click.pass_obj
    def delete(admin: Administrator, address: str, at_once: bool) -> None:
        admin.ask("recipient.delete", kind=kind, address=address, at_once=at_once)
        click.echo(f"{address} was deleted.")


_common(group, "group", "distribution lists")
_common(contact, "contact", "contacts")
_common(folder, "folder", "public folders")
