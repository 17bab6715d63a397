"""The verb table: dispatch, HELP, EHLO and the labels of metrics come from it."""

from __future__ import annotations

from protocols.smtp.commands.ask import Expn, Help, Vrfy
from protocols.smtp.commands.command import Channel, Command, Session
from protocols.smtp.commands.content import Bdat, Data
from protocols.smtp.commands.hello import Ehlo, Helo, Lhlo, Noop, Quit, Rset
from protocols.smtp.commands.queue import Atrn, Etrn, Turn
from protocols.smtp.commands.security import Auth, Starttls
from protocols.smtp.commands.transaction import MailFrom, RcptTo
from protocols.smtp.commands.xclient import Xclient
from protocols.smtp.interfaces import Role

VERBS: dict[bytes, type[Command]] = {
    verb.name.encode("ascii"): verb
    for verb in (
        Ehlo,
        Helo,
        MailFrom,
        RcptTo,
        Data,
        Bdat,
        Rset,
        Noop,
        Vrfy,
        Expn,
        Help,
        Etrn,
        Atrn,
        Turn,
        Auth,
        Starttls,
        Xclient,
        Quit,
    )
}


LMTP_VERBS: dict[bytes, type[Command]] = {b"LHLO": Lhlo} | {
    name: verb for name, verb in VERBS.items() if verb not in (Ehlo, Helo, Etrn, Atrn, Turn, Xclient)
}
"""The table of LMTP (RFC 2033): its greeting is another, and there is nothing to start or to announce."""


ODMR_VERBS: dict[bytes, type[Command]] = {
    name: verb
    for name, verb in VERBS.items()
    if verb in (Ehlo, Rset, Noop, Help, Atrn, Turn, Auth, Starttls, Quit)
}
"""The table of port 366: everything else is answered 502 (RFC 2645 5.4)."""


def table(role: Role) -> dict[bytes, type[Command]]:
    match role:
        case Role.LMTP:
            return LMTP_VERBS
        case Role.ODMR:
            return ODMR_VERBS
        case _:
            return VERBS


def keywords(session: Session, channel: Channel) -> list[str]:
    """What EHLO announces here and now, in the order of the table (RFC 5321 4.1.1.1)."""
    verbs = table(session.role).values()
    return [word for verb in verbs for word in verb.keywords(session, channel)]
