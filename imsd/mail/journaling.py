"""Journals: an address gets a copy of all mail that comes in, or of all that leaves (ims_spec 13).

1. The copy is made in the transaction that makes the 250 true: there is no message without it. Where the
   journal cannot have it now (it is full, or elsewhere) it waits in the queue as other copies do.
2. Nobody is told of the journal: its copy asks for no report, and elsewhere it goes with the null
   reverse-path.
3. It begins with X-Envelope-From and X-Envelope-To, so that it tells whom no header names.
4. Mail that comes in and leaves again is in both. A journal that is nobody here any more is an error in
   the log (event 20022); the mail goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from imsd.mail.envelope import Addressee, Envelope
from imsd.mail.plan import Plan
from imsd.settings.hooks import Hooks

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

ROOM: Final = 3_000
"""Octets for the addresses; a prefix has 4 KiB."""


def journals(settings: LiveSettings, envelope: Envelope, plan: Plan) -> list[str]:
    """The addresses that get a copy of a message, none twice."""
    page = settings[Hooks]
    if not (page.journal_in or page.journal_out):
        return []
    if not envelope.reverse_path and not page.journal_reports:
        return []
    found = []
    if envelope.account is None and envelope.origin.address:
        found.append(page.journal_in)
    if plan.remote:
        found.append(page.journal_out)
    return list(dict.fromkeys(filter(None, found)))


def _head(envelope: Envelope) -> str:
    """What the copy begins with."""
    lines = [f"X-Envelope-From: <{envelope.reverse_path}>"]
    room = ROOM
    for to in envelope.addressees:
        line = f"X-Envelope-To: <{to.address}>"
        room -= len(line.encode()) + 2
        if room < 0:
            lines.append(f"X-Envelope-To: ({len(envelope.addressees)} recipients)")
            break
        lines.append(line)
    return "".join(f"{line}\r\n" for line in lines)


def journal_copy(envelope: Envelope, address: str) -> Addressee:
    """The journal, as an addressee whom nobody hears of."""
    return Addressee(address, None, ("NEVER",), sender="", anew=True, head=_head(envelope))
