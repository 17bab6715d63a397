"""The MIME scanner: one pass over a message, whole or in pieces, giving the part tree by offsets.

Theory of operation.

1. The scanner is always in the header block or in the body of the innermost open part. The
   open parts are a stack; those that are multiparts have a boundary.
2. In a header block it looks for the empty line that ends it, or for a delimiter line of an
   open multipart (a part without body). In a body it looks for delimiter lines only, and for
   nothing when no multipart is open: an attachment is crossed by `bytes.find`.
3. A delimiter line is "--", a boundary, optionally "--", then only white space (RFC 2046
   5.1.1). The line end before it belongs to it. It may belong to any open multipart; the parts
   inside that one end there.
4. What cannot be decided yet (the start of a line end or of a delimiter at the end of a piece)
   is held and looked at again with the next piece: at most a few octets, or one line of the
   length of a boundary. Everything else is forgotten, but for bounded copies of headers.
5. A part's number of lines is the difference of a running count of line ends.
6. A message may be all delimiters. `feeding` and `finishing` pause after every PAUSE parts, so
   that who must not be kept waiting can do something else; `feed` and `finish` go on at once.

Limits: depth MAX_DEPTH, MAX_PARTS parts, MAX_HEADER octets of a header block looked into and
MAX_HEADERS of all. What lies beyond is content without structure; offsets stay right.

Line ends may be CRLF or LF. Nothing raises, whatever the bytes are.
"""

import re
from collections.abc import Generator

from protocols.message.headers import first
from protocols.message.mime import MAX_BOUNDARY, Content, describe
from protocols.message.part import (
    LEAF,
    MESSAGE,
    MULTIPART,
    PAUSE,
    SCAN_VERSION,
    Part,
    Scan,
    StaleScan,
    at_once,
)

__all__ = ["LEAF", "MESSAGE", "MULTIPART", "SCAN_VERSION", "Part", "Scan", "Scanner", "StaleScan", "scan"]

MAX_DEPTH = 1_001
MAX_PARTS = 10_002
MAX_HEADER = 128 * 1024
MISSES = 50
"""Lines that look like a delimiter and are none, between two steps."""
MAX_HEADERS = 4 * 1024 * 1024
SAMPLE = 4096
SAMPLES = 3
PIECE = 256 * 1024

_HEADER_STOP = re.compile(rb"\n(?:\r?\n|--)")
_LINE_LIMIT = MAX_BOUNDARY + 2 + 2 + 64  # dashes around it, and white space after it


def scan(data: bytes | bytearray | memoryview) -> Scan:
    """The part tree of a whole message."""
    scanner = Scanner()
    if isinstance(data, memoryview):
        for start in range(0, len(data), PIECE):
            scanner.feed(bytes(data[start : start + PIECE]))
    else:
        scanner._whole(data)
    return scanner.finish()


class Scanner:
    """The incremental form: `feed` pieces of any size, then `finish` once; or `feeding` and
    `finishing`, each to its end."""

    def __init__(self) -> None:
        self._root = Part(0)
        self._open = [self._root]
        # boundary -> indexes in _open of those that have it, the innermost last
        self._boundaries: dict[bytes, list[int]] = {}
        self._fields: dict[bytes, bytes] = {}
        self._in_header = True
        self._started = False
        self._held: bytes | bytearray = b""
        self._base = 0  # offset of _held[0]
        self._lines = 0  # line ends before _counted
        self._counted = 0
        self._kept = bytearray()  # header block of the innermost part, until it ends
        self._kept_to = 0
        self._kept_all = 0
        self._parts = 1
        self._raw = False
        self._samples: list[tuple[Part, bytearray]] = []
        self._sampling = -1  # offset up to which the body of the innermost part was sampled, or -1

    def feed(self, data: bytes) -> None:
        """The next piece."""
        for _ in self.feeding(data):
            pass

    def feeding(self, data: bytes) -> Generator[None, None, None]:
        """The next piece, with pauses."""
        if data:
            yield from self._run(self._held + data if self._held else data, final=False)

    def finish(self) -> Scan:
        """The tree; what is open ends here."""
        return at_once(self.finishing())

    def finishing(self) -> Generator[None, None, Scan]:
        """The tree, with pauses."""
        yield from self._run(self._held, final=True)
        total = self._base + len(self._held)
        if self._in_header:
            self._keep(self._held, total)
            self._end_header(self._held, total, opens=False)
        self._close(self._held, 0, total)
        samples = tuple((part, bytes(sample)) for part, sample in self._samples)
        self._root.start = 0
        return Scan(self._root, total, self._lines, self._raw, samples, self._fields)

    def _whole(self, data: bytes | bytearray) -> None:
        self._held = data

    # The machine ---------------------------------------------------------------------------

    def _run(self, buffer: bytes | bytearray, final: bool) -> Generator[None, None, None]:
        """Look at buffer, which begins at offset _base; leave what must be seen again in _held."""
        at = 0
        size = len(buffer)
        if not self._started:
            # Only here a line starts without a line end before it: an empty header block.
            if size < 2 and not final:
                self._held = buffer
                return
            self._started = True
            for ending in (b"\r\n", b"\n"):
                if buffer.startswith(ending):
                    at = len(ending)
                    self._keep(buffer, at)
                    self._end_header(buffer, at)
                    at -= 1
                    break
        steps = 0
        while True:
            steps += 1
            if not steps % PAUSE:
                yield
            if self._in_header:
                after = self._run_header(buffer, at, final)
            else:
                after = self._run_body(buffer, at, final)
            if after < 0:
                at = -after - 1
                break
            at = after
        if final:
            self._held = buffer
            return
        self._consume(buffer, at)
        self._held = buffer[at:]
        self._base += at

    def _run_header(self, buffer: bytes | bytearray, at: int, final: bool) -> int:
        """The position to go on at, or -1 - position to wait there for more."""
        size = len(buffer)
        match = _HEADER_STOP.search(buffer, at)
        if match is None:
            return -1 - (size if final else max(at, size - 3))
        stop = match.end()
        if buffer[stop - 1] == 10:
            self._keep(buffer, self._base + stop)
            self._end_header(buffer, self._base + stop)
            return stop - 1
        line = match.start()
        if not self._boundaries:
            return stop
        found, after = self._delimiter(buffer, line + 1, final)
        if found == _MORE:
            return -1 - max(at, line - 1)
        if found == _NONE:
            return stop
        # The header block ends at the line end that belongs to the delimiter (rule 2).
        part = self._open[-1]
        end = max(self._base + line, part.start)
        if end > part.start and buffer[end - self._base - 1] == 13:
            end -= 1
        self._keep(buffer, end)
        self._end_header(buffer, end, opens=False)
        return self._delimited(buffer, line, found, after, end)

    def _run_body(self, buffer: bytes | bytearray, at: int, final: bool) -> int:
        size = len(buffer)
        boundaries = self._boundaries
        if not boundaries:
            return -1 - size
        needle = b"\n--" + next(iter(boundaries)) if len(boundaries) == 1 else b"\n--"
        line = buffer.find(needle, at)
        misses = 0
        while line >= 0:
            misses += 1
            if misses > MISSES and line > at:
                # Its line end is looked at again, with what stands before it.
                return line - 1
            found, after = self._delimiter(buffer, line + 1, final)
            if found >= 0:
                end = self._base + line
                if line > at and buffer[line - 1] == 13:
                    end -= 1
                return self._delimited(buffer, line, found, after, max(end, self._open[-1].body))
            if found == _MORE:
                return -1 - max(at, line - 1)
            line = buffer.find(needle, line + 1)
        return -1 - (size if final else max(at, size - len(needle) - 1))

    def _delimiter(self, buffer: bytes | bytearray, start: int, final: bool) -> tuple[int, int]:
        """Whether the line at start ends a part: index of the multipart in _open, or _NONE or _MORE.

        Second: where to go on (the line end of the delimiter), negative when it closes.
        """
        stop = buffer.find(b"\n", start, start + _LINE_LIMIT)
        if stop < 0:
            if len(buffer) - start >= _LINE_LIMIT:
                return _NONE, 0
            if not final:
                return _MORE, 0
            stop = len(buffer)
        word = bytes(buffer[start + 2 : stop]).rstrip()
        having = self._boundaries.get(word)
        if having is not None:
            return having[-1], stop
        if word.endswith(b"--"):
            having = self._boundaries.get(word[:-2])
            if having is not None:
                return having[-1], -stop
        return _NONE, 0

    def _delimited(self, buffer: bytes | bytearray, line: int, index: int, after: int, end: int) -> int:
        """Act on a delimiter of the multipart at index; the content before it ends at offset end."""
        self._close(buffer, index + 1, end)
        multipart = self._open[-1]
        if after < 0 or self._parts >= MAX_PARTS:
            # The epilogue, or parts beyond the limit: content of the multipart without structure.
            self._forget(index)
            after = abs(after)
            # From its line end on, which belongs to the next delimiter if that follows at once.
            return after - 1 if buffer[after - 1] == 13 else after
        self._parts += 1
        part = Part(self._base + min(after + 1, len(buffer)))
        multipart.children.append(part)
        self._open.append(part)
        self._in_header = True
        self._kept_to = part.start
        # At the delimiter's line end: an empty line right after it is an empty header block.
        return after

    # Events --------------------------------------------------------------------------------

    def _end_header(self, buffer: bytes | bytearray, body: int, *, opens: bool = True) -> None:
        """The header block of the innermost part ends; its body begins at offset body."""
        part = self._open[-1]
        part.body = body
        part.header = header = bytes(self._kept)
        self._kept.clear()
        self._in_header = False
        self._count(buffer, body)
        part.lines = -self._lines
        depth = len(self._open)
        parent = self._open[-2] if depth > 1 else None
        in_digest = parent is not None and parent.kind == MULTIPART and parent.content.subtype == b"DIGEST"
        fields = first(header)
        if depth == 1:
            self._fields = fields
        part.content = content = describe(fields, in_digest)
        if not self._raw and not header.isascii():
            self._raw = True
        kind = content.type
        if kind == b"MULTIPART":
            boundary = content.boundary
            if not opens or not boundary:
                _as_text(content)
            elif depth < MAX_DEPTH:
                part.kind = MULTIPART
                self._boundaries.setdefault(boundary, []).append(depth - 1)
        elif kind == b"MESSAGE":
            if content.subtype == b"GLOBAL":
                self._raw = True
            if (
                content.subtype in _MESSAGES
                and content.encoding in _IDENTITY
                and depth < MAX_DEPTH
                and self._parts < MAX_PARTS
            ):
                part.kind = MESSAGE
                self._parts += 1
                inner = Part(body)
                part.children.append(inner)
                self._open.append(inner)
                self._kept_to = body
                if opens:
                    self._in_header = True
                else:
                    self._end_header(buffer, body, opens=False)
                return
        elif kind == b"TEXT" and len(self._samples) < SAMPLES and content.disposition != b"ATTACHMENT":
            self._samples.append((part, bytearray()))
            self._sampling = body

    def _close(self, buffer: bytes | bytearray, index: int, end: int) -> None:
        """The open parts from index on end at offset end."""
        self._count(buffer, end)
        if self._sampling >= 0:
            self._sample(buffer, end)
            self._sampling = -1
        lines = self._lines
        while len(self._open) > index:
            part = self._open.pop()
            part.stop = max(end, part.body)
            part.lines += lines
            if part.kind == MULTIPART:
                self._forget(len(self._open), part)
                if not part.children:
                    # No delimiter came: shown as text, so that its content can be read.
                    part.kind = LEAF
                    part.content = _as_text(part.content)
            elif part.kind == LEAF and part.content.type in _COMPOSITE:
                part.content = _as_leaf(part.content)

    def _forget(self, index: int, part: Part | None = None) -> None:
        """The boundary of the multipart at index ends nothing any more; an outer one may have the same."""
        if part is None:
            part = self._open[index]
        boundary = part.content.boundary
        having = self._boundaries.get(boundary)
        if having is None or having[-1] != index:
            return
        having.pop()
        if not having:
            del self._boundaries[boundary]

    # Copies and counts -----------------------------------------------------------------------

    def _consume(self, buffer: bytes | bytearray, at: int) -> None:
        """buffer is forgotten up to position at."""
        offset = self._base + at
        self._count(buffer, offset)
        if self._in_header:
            self._keep(buffer, offset)
        elif self._sampling >= 0:
            self._sample(buffer, offset)

    def _count(self, buffer: bytes | bytearray, offset: int) -> None:
        counted = self._counted
        if offset > counted:
            base = self._base
            self._lines += buffer.count(b"\n", counted - base, offset - base)
            self._counted = offset

    def _keep(self, buffer: bytes | bytearray, offset: int) -> None:
        start = self._kept_to
        if offset <= start:
            return
        room = min(MAX_HEADER - len(self._kept), MAX_HEADERS - self._kept_all)
        if room > 0:
            base = self._base
            piece = buffer[start - base : min(offset, start + room) - base]
            self._kept += piece
            self._kept_all += len(piece)
        self._kept_to = offset

    def _sample(self, buffer: bytes | bytearray, offset: int) -> None:
        start = self._sampling
        sample = self._samples[-1][1]
        room = SAMPLE - len(sample)
        if room > 0 and offset > start:
            base = self._base
            sample += buffer[start - base : min(offset, start + room) - base]
        self._sampling = max(start, offset)


_NONE = -1
_MORE = -2

_MESSAGES = frozenset((b"RFC822", b"GLOBAL"))
_COMPOSITE = frozenset((b"MULTIPART", b"MESSAGE"))
_IDENTITY = frozenset((b"7BIT", b"8BIT", b"BINARY"))


def _as_text(content: Content) -> Content:
    content.type, content.subtype = b"TEXT", b"PLAIN"
    content.parameters = tuple(pair for pair in content.parameters if pair[0] == b"CHARSET")
    return content


def _as_leaf(content: Content) -> Content:
    """A multipart or message without structure must not be announced as one with structure."""
    if content.type == b"MULTIPART" or content.subtype == b"RFC822":
        content.type, content.subtype = b"APPLICATION", b"OCTET-STREAM"
    return content
