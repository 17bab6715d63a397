"""The part tree of a message by offsets, and its compact stored form.

A `Part` says where its header block and its body lie in the blob; a `Scan` is the tree of a
whole message. `Scan.pack` gives the bytes kept beside the content, `Scan.unpack` reads them
back: offsets, kinds, media types, charsets and transfer encodings always, the header blocks
only when `Scan.raw` says that the wire-ready forms are not enough.
"""

import struct
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from protocols.message.headers import first
from protocols.message.mime import PLAIN, TEXT, Content, describe
from protocols.values import value

T = TypeVar("T")

PAUSE = 32
"""Parts between two pauses of what is done with a tree."""

SCAN_VERSION = 2
"""Number of the stored form and of the rules that made it; older rows are scanned again."""

LEAF, MULTIPART, MESSAGE = 0, 1, 2


def at_once(work: Generator[None, None, T]) -> T:
    """What work with pauses gives, without them."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found


class StaleScan(ValueError):
    """Packed by another version, or damaged: the message must be scanned again."""


@dataclass(slots=True, eq=False)
class Part:
    """One body part; offsets count octets of the blob. Not changed after the scan.

    start: first octet of the header block; body: first octet after it; stop: end of the body.
    lines: line ends in the body. children: parts of a multipart, or the one message inside a
    message/rfc822 or message/global (whose start is this body).
    """

    start: int
    body: int = 0
    stop: int = 0
    lines: int = 0
    kind: int = LEAF
    content: Content = field(default_factory=Content)
    header: bytes = b""
    children: list["Part"] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Octets of the body, encoded as it stands."""
        return self.stop - self.body

    @property
    def is_text(self) -> bool:
        return self.kind == LEAF and self.content.type == TEXT

    @property
    def is_attachment(self) -> bool:
        return self.content.disposition == b"ATTACHMENT"


@value(frozen=True, slots=True, eq=False)
class Scan:
    """The part tree of one message.

    root: the message itself as a part. size: octets of the blob. lines: line ends in it.
    raw: header blocks hold octets above 127, or there is a message/global: the stored ASCII
    wire form is a downgrade, and a UTF8 or rev2 client is served from this tree.
    samples: the first octets of the first text parts, for the preview; fields: those of the
    message's header block (`headers.first`). Both only from a fresh scan, not stored.
    """

    root: Part
    size: int
    lines: int
    raw: bool = False
    samples: tuple[tuple[Part, bytes], ...] = ()
    fields: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def header_size(self) -> int:
        return self.root.body

    def walk(self) -> Iterator[Part]:
        """All parts, each before its children."""
        waiting = [self.root]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))

    def leaves(self) -> Iterator[Part]:
        """The parts that are neither multipart nor message, in order."""
        return (part for part in self.walk() if part.kind == LEAF)

    def part(self, path: tuple[int, ...]) -> Part | None:
        """The part with this number, as FETCH counts (RFC 9051 6.4.5.1); () is the message."""
        part = self.root
        # A message counts the parts of its multipart, or else its only body as part 1.
        is_message = True
        for number in path:
            if not is_message and part.kind == MESSAGE and part.children:
                part, is_message = part.children[0], True
            if part.kind == MULTIPART and part.children:
                if not 1 <= number <= len(part.children):
                    return None
                part = part.children[number - 1]
            elif not is_message or number != 1:
                return None
            is_message = False
        return part

    def pack(self) -> bytes:
        """The compact form."""
        return at_once(self.packing())

    def packing(self) -> Generator[None, None, bytes]:
        """The compact form, with pauses."""
        parts = list(self.walk())
        numbers: list[int] = []
        words: list[bytes] = []
        for count, part in enumerate(parts, 1):
            if not count % PAUSE:
                yield
            content = part.content
            numbers += (part.kind, len(part.children), part.start, part.body, part.stop, part.lines)
            words.append(
                b"\t".join(
                    (
                        content.type, content.subtype, _word(content.charset), _word(content.encoding),
                        _word(content.disposition or b""),
                    )
                )
            )  # fmt: skip
        wide = self.size >= 1 << 32
        packed = [
            _HEAD.pack(SCAN_VERSION, self.raw | wide << 1, len(parts), self.size, self.lines),
            struct.pack(f"<{len(numbers)}{'Q' if wide else 'I'}", *numbers),
        ]
        text = b"\n".join(words)
        packed.append(len(text).to_bytes(4, "little"))
        packed.append(text)
        if self.raw:
            for part in parts:
                packed.append(len(part.header).to_bytes(4, "little"))
                packed.append(part.header)
        return b"".join(packed)

    @classmethod
    def unpack(cls, packed: bytes) -> "Scan":
        """The tree from its compact form. Raises StaleScan when it is of another version or damaged."""
        return at_once(cls.unpacking(packed))

    @classmethod
    def unpacking(cls, packed: bytes) -> "Generator[None, None, Scan]":
        """`unpack`, with pauses."""
        try:
            return (yield from _unpack(packed))
        except (struct.error, ValueError, IndexError, TypeError) as error:
            raise StaleScan(str(error)) from error


_HEAD = struct.Struct("<BBIQQ")


def _word(value: bytes) -> bytes:
    return value.translate(None, b"\t\n")


def _unpack(packed: bytes) -> Generator[None, None, Scan]:
    version, flags, count, size, lines = _HEAD.unpack_from(packed)
    if version != SCAN_VERSION:
        raise StaleScan(f"scan version {version}")
    wide = bool(flags & 2)
    letter, width = ("Q", 8) if wide else ("I", 4)
    if count * 6 * width > len(packed):
        raise StaleScan("truncated")
    numbers = struct.unpack_from(f"<{count * 6}{letter}", packed, _HEAD.size)
    at = _HEAD.size + count * 6 * width
    length = int.from_bytes(packed[at : at + 4], "little")
    at += 4
    words = packed[at : at + length].split(b"\n")
    at += length
    root: Part | None = None
    open_parts: list[tuple[Part, int]] = []
    for index in range(count):
        if index % PAUSE == PAUSE - 1:
            yield
        kind, children, start, body, stop, its_lines = numbers[index * 6 : index * 6 + 6]
        content = Content()
        content.type, content.subtype, charset, content.encoding, disposition = words[index].split(b"\t")
        content.parameters = ((b"CHARSET", charset),) if charset else ()
        content.disposition = disposition or None
        content.defaulted = content.type == TEXT and content.subtype == PLAIN and not charset
        part = Part(start, body, stop, its_lines, kind, content)
        if flags & 1:
            length = int.from_bytes(packed[at : at + 4], "little")
            part.header = packed[at + 4 : at + 4 + length]
            at += 4 + length
            in_digest = bool(open_parts) and open_parts[-1][0].content.subtype == b"DIGEST"
            full = describe(first(part.header), in_digest)
            if (full.type, full.subtype) != (content.type, content.subtype):
                # The scan found no structure where one was announced.
                full.type, full.subtype = content.type, content.subtype
                if full.type == TEXT:
                    full.parameters = content.parameters
            part.content = full
        if root is None:
            root = part
        else:
            parent, wanted = open_parts[-1]
            parent.children.append(part)
            if len(parent.children) == wanted:
                open_parts.pop()
        if children:
            open_parts.append((part, children))
    if root is None or open_parts:
        raise StaleScan("truncated")
    return Scan(root, size, lines, bool(flags & 1))
