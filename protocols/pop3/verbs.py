"""The verb table: dispatch, CAPA and the labels of metrics come from it."""

from __future__ import annotations

from protocols.pop3.commands.command import Command
from protocols.pop3.commands.content import Retr, Top
from protocols.pop3.commands.greeting import Capa, Lang, Noop, Quit, Utf8
from protocols.pop3.commands.maildrop import Dele, List, Rset, Stat, Uidl
from protocols.pop3.commands.security import Auth, Pass, Stls, User

VERBS: dict[bytes, type[Command]] = {
    verb.name.encode("ascii"): verb
    for verb in (
        Capa,
        Stls,
        User,
        Pass,
        Auth,
        Utf8,
        Lang,
        Stat,
        List,
        Retr,
        Dele,
        Noop,
        Rset,
        Top,
        Uidl,
        Quit,
    )
}
