"""Operations that carry a mailbox's messages in and out, a page at a time.

The caller reads and writes the files; what he sends enters as by APPEND: whole, counted against
the quota, seen at once by whoever has the mailbox selected. Content crosses in base64.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from imsd.admin.operations import Json, operation
from imsd.errors import ConstraintViolation, NoSuchEntry, NoSuchMailbox
from imsd.store import contents, keywords, mailboxes, messages
from imsd.store.blobs import NewBlob
from imsd.store.flags import NAMES
from imsd.store.ids import PUBLIC, AccountId
from imsd.store.mailboxes import Mailbox
from imsd.store.tables import now
from imsd.store.transaction import Transaction, Unit
from protocols.message.summary import Summarizer

PUBLIC_FOLDERS: Final = "Public Folders"
"""Stands for a person where the organisation's own tree is meant."""

PAGE_OCTETS: Final = 8 << 20
"""Content of one page; a larger message has a page of its own."""

PAGE_MESSAGES: Final = 200
HASHES: Final = 5_000
STREAMED: Final = 256 * 1024
"""Octets that are scanned in one turn of the reactor."""


class Given(BaseModel):
    """A message to store: octets with CRLF in base64, flags by name, internal date in microseconds."""

    model_config = ConfigDict(extra="forbid")

    data: str
    flags: list[str] = []
    date: int | None = None


async def _account(core: Any, who: str) -> AccountId:
    if who == PUBLIC_FOLDERS:
        return PUBLIC
    person = await core.directory.person_by_login(who)
    if person is None:
        raise NoSuchEntry(f"There is nobody called {who}")
    return AccountId(person.account)


@operation("mailbox.folders", needs_server=True)
async def folders(core: Any, who: str) -> Json:
    """The folders of a mailbox, with what is in them."""
    rows = await core.db.read(mailboxes.list_mailboxes, await _account(core, who))
    return [
        {"name": row.name, "special": row.special, "messages": row.messages, "bytes": row.bytes}
        for row in sorted(rows, key=lambda row: str(row.name))
        if row.selectable
    ]


@operation("mailbox.page", needs_server=True)
async def page(core: Any, who: str, folder: str, after: int = 0) -> Json:
    """Messages of a folder with UIDs above `after`; "more" says whether others follow."""
    account = await _account(core, who)
    listed, names = await core.db.read(_page, account, folder, after)
    taken: list[Json] = []
    octets = 0
    for uid, flags, bits, size, date, blob, prefix in listed:
        if taken and octets + size > PAGE_OCTETS:
            return {"messages": taken, "more": True}
        octets += size
        words = [name for name, bit in NAMES.items() if flags & bit]
        words += [name for bit, name in enumerate(names) if bits >> bit & 1]
        data = base64.b64encode(prefix + await core.blobs.read(blob)).decode()
        taken.append({"uid": uid, "flags": words, "date": date, "data": data})
    return {"messages": taken, "more": len(listed) == PAGE_MESSAGES}


def _page(
    tx: Transaction, account: AccountId, folder: str, after: int
) -> tuple[list[tuple[Any, ...]], list[str]]:
    box = mailboxes.get(tx, account, folder)
    rows = messages.after_uid(tx, account, box.id, after, PAGE_MESSAGES)
    found = messages.rows(tx, account, box.id, [row[0] for row in rows])
    listed = [(row.uid, row.flags, row.keywords, row.size, row.date, row.blob, row.prefix) for row in found]
    return listed, keywords.names(tx, account, box.id)


@operation("mailbox.hashes", needs_server=True)
async def hashes(core: Any, who: str, folder: str, after: int = 0) -> Json:
    """SHA-256 of the messages of a folder with UIDs above `after`, as they were stored; "last" is the
    UID to go on from, 0 at the end."""
    found, last = await core.db.read(_hashes, await _account(core, who), folder, after)
    return {"hashes": [one.hex() for one in found], "last": last}


def _hashes(tx: Transaction, account: AccountId, folder: str, after: int) -> tuple[list[bytes], int]:
    try:
        box = mailboxes.get(tx, account, folder)
    except NoSuchMailbox:
        return [], 0
    rows = contents.hashes_after(tx, account, box.id, after, HASHES)
    return [row[1] for row in rows], rows[-1][0] if len(rows) == HASHES else 0


@operation("mailbox.put", needs_server=True)
async def put(core: Any, who: str, folder: str, given: list[Given], special: str = "") -> Json:
    """Store messages in a folder, which is made where it is missing. All of them, or none."""
    account = await _account(core, who)
    made: list[NewBlob] = []
    try:
        for one in given:
            made.append(await _content(core, one))
        stored = await core.db.write(_put, account, folder, special, given, made, account=account)
    except BaseException:
        for content in made:
            await core.blobs.discard(content)
        raise
    return {"uids": stored}


async def _content(core: Any, given: Given) -> NewBlob:
    """Scanned in pieces: a large message must not keep others waiting."""
    try:
        data = base64.b64decode(given.data, validate=True)
    except binascii.Error:
        raise ConstraintViolation("data is not base64") from None
    builder = core.blobs.builder()
    summarizer = Summarizer()
    for at in range(0, len(data), STREAMED):
        piece = data[at : at + STREAMED]
        builder.write(piece)
        summarizer.feed(piece)
        await builder.drained()
    content: NewBlob = await builder.finish(summarizer.finish())
    return content


def _put(
    unit: Unit, account: AccountId, folder: str, special: str, given: list[Given], made: list[NewBlob]
) -> list[int]:
    box = _made(unit, account, folder, special)
    uids = []
    for one, content in zip(given, made, strict=True):
        bits = 0
        words: list[str] = []
        for flag in one.flags:
            if flag in NAMES:
                bits |= NAMES[flag]
            else:
                words.append(flag)
        stored = messages.append(unit, account, box.id, content, bits, tuple(words), one.date, now())
        uids.append(int(stored.uid))
    return uids


def _made(unit: Unit, account: AccountId, folder: str, special: str) -> Mailbox:
    try:
        return mailboxes.get(unit, account, folder)
    except NoSuchMailbox:
        return mailboxes.create(unit, account, folder, now(), special)
