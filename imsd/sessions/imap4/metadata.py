"""Annotations of mailboxes and of the server (RFC 5464), as one session sees them.

1. A mailbox's are there for who has `l` and one of r, s, w, i, p on it (RFC 5464 3.3); shared ones are
   changed by who may also write (`w`).
2. The server's shared ones are the administrators' to change, its private ones everybody's own; who
   came without a name has none.
3. `/private/specialuse` of one's own mailboxes is their special use (RFC 6154 4) and is kept there;
   `/shared/admin` of the server is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from imsd.errors import NoPrivateAnnotations, NotPermitted, UnsupportedUse
from imsd.store import mailbox_annotations, mailboxes
from imsd.store.ids import INBOX, PUBLIC, AccountId
from imsd.store.mailbox_annotations import NOBODY, PRIVATE, SERVER, Target
from imsd.store.permits import under
from imsd.store.transaction import Unit
from protocols.imap4.values import Annotations

if TYPE_CHECKING:
    from imsd.sessions.imap4.account import ImapAccount
    from imsd.sessions.imap4.places import Place

ADMIN: Final = "/shared/admin"
SPECIAL_USE: Final = "/private/specialuse"
#: Special uses that a mailbox can be given (RFC 6154 3). \All and \Flagged are virtual.
SPECIAL_USES: Final = frozenset({"\\archive", "\\drafts", "\\junk", "\\sent", "\\trash"})
_READERS: Final = "rswip"

Values = list[tuple[str, bytes | None]]


async def read(
    session: ImapAccount, name: str, wanted: Sequence[str], depth: int, most: int | None
) -> Annotations:
    """most: octets of a value that is told. Raises NoSuchMailbox, NotPermitted."""
    targets, computed = await _targets(session, name)
    found: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    for target in targets:
        sizes |= await session.held.db.read_few(mailbox_annotations.sizes, target)
    sizes |= {entry: len(value) for entry, value in computed.items()}
    named = dict.fromkeys(
        entry for each in wanted for entry in mailbox_annotations.names_of(sizes, each, depth)
    )
    told = [entry for entry in named if most is None or sizes[entry] <= most]
    for target in targets:
        found |= await session.held.db.read(mailbox_annotations.values, target, told)
    found |= {entry: value for entry, value in computed.items() if entry in told}
    # What was asked for by name alone and has no value is told as such.
    values: Values = [
        (entry, found.get(entry))
        for entry in dict.fromkeys((*wanted, *told))
        if entry in found or (entry not in sizes and not (depth and told))
    ]
    longest = max((sizes[entry] for entry in named if entry not in told), default=0)
    return Annotations(tuple(values), longest)


async def change(session: ImapAccount, name: str, values: Mapping[str, bytes | None]) -> None:
    """All or none. Raises NoSuchMailbox, NotPermitted, TooManyAnnotations, NoPrivateAnnotations,
    UnsupportedUse."""
    private = {entry: value for entry, value in values.items() if entry.startswith(PRIVATE)}
    if private and session.account.anonymous:
        raise NoPrivateAnnotations
    most = session.page.metadata_entries
    if not name:
        await _change_server(session, values, private, most)
        return
    place = await _place(session, name)
    letters = "lw" if len(private) < len(values) or SPECIAL_USE in values else "l"
    place.need(letters)
    kept = {entry: value for entry, value in values.items() if entry != SPECIAL_USE}
    use = None
    if SPECIAL_USE in values:
        use = _use(session, place, values[SPECIAL_USE])
    target = Target(*place.key, session.reader)
    with session.annotating(place.key):
        await session.held.db.write(
            under(place.needs(letters, _READERS), _change_mailbox), target, kept, use, most,
            account=target.account,
        )  # fmt: skip


async def _change_server(
    session: ImapAccount, values: Mapping[str, bytes | None], private: Mapping[str, bytes | None], most: int
) -> None:
    shared = {entry: value for entry, value in values.items() if entry not in private}
    if shared and (not session.account.is_admin or ADMIN in shared):
        raise NotPermitted
    own = session.reader
    with session.annotating((own, SERVER), (PUBLIC, SERVER)):
        await session.held.db.write(_change_both, own, private, shared, most, account=own)


def _change_both(
    unit: Unit,
    own: AccountId,
    private: Mapping[str, bytes | None],
    shared: Mapping[str, bytes | None],
    most: int,
) -> None:
    if private:
        mailbox_annotations.change(unit, Target(own, SERVER, own), private, most)
    if shared:
        mailbox_annotations.change(unit, Target(PUBLIC, SERVER, NOBODY), shared, most)


def _change_mailbox(
    unit: Unit, target: Target, values: Mapping[str, bytes | None], use: str | None, most: int
) -> None:
    mailboxes.get_by_id(unit, target.account, target.mailbox)
    if values:
        mailbox_annotations.change(unit, target, values, most)
    if use is not None:
        taken = [row for row in mailboxes.list_mailboxes(unit, target.account) if row.special == use]
        if use and any(row.id != target.mailbox for row in taken):
            raise UnsupportedUse("Another mailbox has that use")
        mailboxes.set_special(unit, target.account, target.mailbox, use)
        mailbox_annotations.announce(unit, target, (SPECIAL_USE,))


def _use(session: ImapAccount, place: Place, value: bytes | None) -> str:
    """The use of a value, "" for none. Raises UnsupportedUse."""
    if (
        place.mailbox.account != session.account.id
        or place.mailbox.id == INBOX
        or not place.mailbox.selectable
    ):
        raise UnsupportedUse("That mailbox has no special use")
    place.need("w")
    if not value:
        return ""
    word = value.decode("latin-1")
    if word.lower() not in SPECIAL_USES:
        raise UnsupportedUse
    return "\\" + word[1:].capitalize()


async def _place(session: ImapAccount, name: str) -> Place:
    place = await session.places.find(name)
    place.need_one(_READERS)
    return place


async def _targets(session: ImapAccount, name: str) -> tuple[list[Target], dict[str, bytes]]:
    """Where the annotations are kept, and those that are computed."""
    reader = session.reader
    if not name:
        server = [Target(PUBLIC, SERVER, NOBODY), Target(reader, SERVER, reader)]
        return server, {ADMIN: f"mailto:{session.held.directory.contact}".encode()}
    place = await _place(session, name)
    special = place.mailbox.special if place.mailbox.account == session.account.id else ""
    return [Target(*place.key, reader)], {SPECIAL_USE: special.encode()} if special else {}


async def of_tree(session: ImapAccount, names: Sequence[str], wanted: Sequence[str]) -> dict[str, Values]:
    """LIST RETURN (METADATA): of each mailbox that may be looked into, the entries asked for; those
    without a value too (RFC 9590 3)."""
    found: dict[str, Values] = {}
    for count, name in enumerate(names, 1):
        if count % 50 == 0:
            await session.held.breath()
        try:
            found[name] = list((await read(session, name, wanted, 0, None)).values)
        except NotPermitted:
            continue
    return found
