"""Everything that is computed once about a message, at delivery.

`summarize(data)` for a message at hand, `Summarizer` for one that streams by: the packed
scan, the wire-ready ENVELOPE, BODY and BODYSTRUCTURE, the preview, and the canonical header
values that SEARCH, SORT, THREAD and the tracking log ask for.
"""

import re
from collections.abc import Generator, Mapping

from protocols.message import dates, domains, structure, words
from protocols.message.addresses import Entry, Group, flat
from protocols.message.envelope import Lists, from_fields
from protocols.message.part import SCAN_VERSION, Scan, at_once
from protocols.message.preview import preview
from protocols.message.scan import Scanner, scan
from protocols.message.structure import both
from protocols.values import value


@value(frozen=True, slots=True)
class Summary:
    """What is kept beside the content of a message.

    size, header_size, lines: octets of the blob, of its header block, line ends.
    packed: `Scan.pack()`, of version scan_version. envelope, body, bodystructure: the ASCII
    wire forms. raw: they are a downgrade (raw octets above 127 in headers, or a
    message/global): UTF8 and rev2 clients are served from the tree.
    preview, subject: text. sender: first address of From as canonical octets, empty if none;
    sender_name: its display name. to: first address of To alike. message_id, references:
    ids with their angle brackets, references oldest first (In-Reply-To where there is none).
    date: the Date field in microseconds since the epoch, None where it cannot be read;
    date_offset: its zone in minutes east. attachments: parts that are attachments.
    """

    size: int
    header_size: int
    lines: int
    packed: bytes
    scan_version: int
    raw: bool
    envelope: bytes
    body: bytes
    bodystructure: bytes
    preview: str
    subject: str
    sender: bytes
    sender_name: str
    to: bytes
    to_name: str
    cc: bytes
    message_id: bytes
    references: tuple[bytes, ...]
    date: int | None
    date_offset: int
    attachments: int


def summarize(data: bytes | bytearray | memoryview) -> Summary:
    """The summary of a whole message."""
    return of(scan(data))


def summarizing(data: bytes) -> Generator[None, None, Summary]:
    """The summary of a whole message, with pauses: a message may have ten thousand parts."""
    summarizer = Summarizer()
    yield from summarizer.feeding(data)
    return (yield from summarizer.finishing())


class Summarizer:
    """The summary of a message that is fed in pieces: `feed`, then `finish` once; or `feeding`
    and `finishing`, each to its end, with pauses."""

    def __init__(self) -> None:
        self._scanner = Scanner()

    def feed(self, data: bytes) -> None:
        self._scanner.feed(data)

    def feeding(self, data: bytes) -> Generator[None, None, None]:
        return self._scanner.feeding(data)

    def finish(self) -> Summary:
        return of(self._scanner.finish())

    def finishing(self) -> Generator[None, None, Summary]:
        tree = yield from self._scanner.finishing()
        return (yield from making(tree))


MAX_REFERENCES = 100
MAX_SUBJECT = 8192
_ID = re.compile(rb"<[^<>\s]{1,998}>")


def of(tree: Scan) -> Summary:
    """The summary from a fresh scan."""
    return at_once(making(tree))


def making(tree: Scan) -> Generator[None, None, Summary]:
    """`of`, with pauses."""
    root = tree.root
    fields = tree.fields
    wire, lists = from_fields(fields)
    body, bodystructure = both(root) if not root.children else (yield from structure.making(root))
    packed = yield from tree.packing()
    moment = dates.parse(fields[b"date"]) if b"date" in fields else None
    offset = moment.utcoffset() if moment is not None else None
    sender, sender_name = _lead(lists, b"from")
    to, to_name = _lead(lists, b"to")
    subject = fields.get(b"subject")
    return Summary(
        size=tree.size,
        header_size=root.body,
        lines=tree.lines,
        packed=packed,
        scan_version=SCAN_VERSION,
        raw=tree.raw,
        envelope=wire,
        body=body,
        bodystructure=bodystructure,
        preview=preview(tree),
        subject="" if subject is None else words.decode(subject[:MAX_SUBJECT]),
        sender=sender,
        sender_name=sender_name,
        to=to,
        to_name=to_name,
        cc=_lead(lists, b"cc")[0],
        message_id=_first_id(fields.get(b"message-id")),
        references=references(fields),
        date=None if moment is None else dates.microseconds(moment),
        date_offset=0 if offset is None else int(offset.total_seconds()) // 60,
        attachments=0 if root.kind == 0 else sum(part.is_attachment for part in tree.walk()),
    )


def _lead(lists: Lists, name: bytes) -> tuple[bytes, str]:
    """Canonical first address of a list, and the display name or group name shown for it."""
    entries = lists.get(name)
    if not entries:
        return b"", ""
    leading: Entry = entries[0]
    if isinstance(leading, Group):
        address = next(flat(entries), None)
        return (canonical(address.mailbox, address.host) if address else b""), words.decode(leading.name)
    return canonical(leading.mailbox, leading.host), leading.display


def canonical(mailbox: bytes, host: bytes | None) -> bytes:
    """An address for comparison: local part case-folded, domain as lower-case A-labels."""
    if mailbox.isascii():
        mailbox = mailbox.lower()
    else:
        mailbox = mailbox.decode("utf-8", "replace").casefold().encode("utf-8")
    if host is None:
        return mailbox
    return mailbox + b"@" + (domains.to_ascii(host) or host.lower())


def _first_id(value: bytes | None) -> bytes:
    if value is None:
        return b""
    match = _ID.search(value)
    return match[0] if match is not None else b""


def references(fields: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    """Message ids this message answers, oldest first (RFC 5256 3, REFERENCES step 1)."""
    value = fields.get(b"references")
    found = _ID.findall(value) if value is not None else []
    if not found and b"in-reply-to" in fields:
        found = _ID.findall(fields[b"in-reply-to"])[:1]
    return tuple(found[:1] + found[1:][-(MAX_REFERENCES - 1) :])
