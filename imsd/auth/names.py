r"""The forms in which people write their log-on name (ims_spec 7.1.1).

    user                  an alias, or a DN
    user@domain           any SMTP address of the person
    DOMAIN\user           also DOMAIN/user
    DOMAIN\user\alias     also DOMAIN/user/alias: user opens the mailbox of alias

The domain is one of a time when there were several; the directory judges it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 512
"""Characters of a log-on name."""
SHOWN = 100
"""Characters of one that the log tells."""

# An alias or address may contain "/", so a form with slashes is tried only where it has the shape.
_FORM = re.compile(r"(?P<domain>[^\\/@=]+)(?P<by>[\\/])(?P<user>[^\\/]+)(?:(?P=by)(?P<alias>[^\\/]+))?")


@dataclass(frozen=True, slots=True)
class LogonName:
    r"""user: what the directory is asked for, `DOMAIN\user` included. mailbox: whose mailbox
    is wanted, "" for the user's own."""

    user: str
    mailbox: str = ""


def candidates(name: str) -> list[LogonName]:
    """What a typed name may mean, in the order to try. Empty when it can be nobody's."""
    name = name.strip()
    if not name or len(name) > MOST or not name.isprintable():
        return []
    whole = LogonName(name)
    if "/" not in name and "\\" not in name:
        return [whole]
    form = _FORM.fullmatch(name)
    if form is None:
        return [whole]
    user = LogonName(f"{form['domain']}\\{form['user']}", form["alias"] or "")
    if user.mailbox == form["user"]:
        user = LogonName(user.user)
    return [user] if form["by"] == "\\" else [user, whole]


def legible(name: str) -> str:
    """What somebody calls himself, for the log: a line of it, which no terminal obeys."""
    shown = name[:SHOWN] + ("..." if len(name) > SHOWN else "")
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in shown)
