"""imsctl user totp."""

from __future__ import annotations

import click

from imsd.ctl.command import Administrator, json_option
from imsd.ctl.output import show_fields, show_json
from imsd.ctl.people import user


@user.group("totp")
def totp() -> None:
    """A second factor: the code of an authenticator program, typed right behind the password.

    Mail programs get app passwords (imsctl app-password add), for a code is good once.
    """


@totp.command("enroll")
@click.argument("who")
@json_option
@click.pass_obj
def enroll(admin: Administrator, who: str) -> None:
    """Make a secret for the authenticator program of WHO, and ask for its first code."""
    made = admin.ask("totp.enroll", who=who)
    if admin.as_json:
        show_json(made)
        return
    click.echo(f"Secret  {made['secret']}\nFor a QR code (qrencode -t ansiutf8):\n{made['uri']}")
    click.echo(f"It counts from its first code on: imsctl user totp confirm {who} CODE")


@totp.command("confirm")
@click.argument("who")
@click.argument("code")
@json_option
@click.pass_obj
def confirm(admin: Administrator, who: str, code: str) -> None:
    """Have the second factor of WHO from now on; CODE is the first that the program shows."""
    _show_codes(admin, admin.ask("totp.confirm", who=who, code=code)["recovery"])


@totp.command("show")
@click.argument("who")
@json_option
@click.pass_obj
def show(admin: Administrator, who: str) -> None:
    """Say whether WHO has a second factor, and how many codes for emergencies are left."""
    found = admin.ask("totp.show", who=who)
    show_json(found) if admin.as_json else show_fields(found)


@totp.command("recovery")
@click.argument("who")
@json_option
@click.pass_obj
def recovery(admin: Administrator, who: str) -> None:
    """Make other codes for emergencies; those that are left are good no more."""
    _show_codes(admin, admin.ask("totp.recovery", who=who)["recovery"])


@totp.command("disable")
@click.argument("who")
@click.confirmation_option(prompt="Have the password alone again?")
@click.pass_obj
def disable(admin: Administrator, who: str) -> None:
    """Have the password of WHO alone again, as for a telephone that is lost."""
    admin.ask("totp.disable", who=who)
    click.echo(f"{who} logs in by the password alone.")


def _show_codes(admin: Administrator, codes: list[str]) -> None:
    if admin.as_json:
        show_json(codes)
        return
    click.echo("Codes for emergencies, each good once in place of the program's; they are shown this once:")
    for code in codes:
        click.echo(f"  {code}")
