"""Readable text of parts, for search and preview: transfer encoding, charset and HTML undone.

`TextDecoder` takes the octets of one text part in pieces and gives text; `part_text` does a
whole part at once. What an encoding or charset cannot explain is read as well as it can be.
"""

import codecs
import html
import re

from protocols.message import charsets, transfer
from protocols.message.part import Part

_MARKUP = re.compile(
    r"<(script|style|head|title)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)"
    r"|(</?(?:br|p|div|tr|td|th|li|ul|ol|h[1-6]|table|blockquote|hr)\b[^<>]*>)|<[!/?a-zA-Z][^<>]*>?",
    re.IGNORECASE | re.DOTALL,
)
_MAX_TAG = 65536


_NUMBER = re.compile(r"&#[0-9]{8,}")
"""No character has such a number; int() refuses those of thousands of digits."""


def _resolved(text: str) -> str:
    """Entities as what they stand for."""
    try:
        return html.unescape(text)
    except ValueError:
        return html.unescape(_NUMBER.sub("\ufffd", text))


def strip_html(text: str) -> str:
    """The text of an HTML document: no tags, comments, styles or scripts; entities resolved."""
    pieces: list[str] = []
    at = 0
    for match in _MARKUP.finditer(text):
        pieces.append(_resolved(text[at : match.start()]))
        pieces.append("\n" if match[2] else " " if match[1] or match[0].startswith("<!--") else "")
        at = match.end()
    pieces.append(_resolved(text[at:]))
    return "".join(pieces)


class TextDecoder:
    """The text of one text part, fed in pieces of its body."""

    def __init__(self, part: Part) -> None:
        content = part.content
        try:
            self._transfer = transfer.decoder(content.encoding)
        except transfer.UnknownEncoding:
            self._transfer = transfer.Identity()
        self._charset = _charset(content.charset)
        self._is_html = content.subtype == b"HTML"
        self._held = ""

    def feed(self, data: bytes) -> str:
        return self._out(self._charset.decode(self._transfer.feed(data)), final=False)

    def finish(self) -> str:
        return self._out(self._charset.decode(self._transfer.finish(), True), final=True)

    def _out(self, text: str, final: bool) -> str:
        if not self._is_html:
            return text
        text = self._held + text
        self._held = ""
        if not final:
            cut = _undecided(text)
            if len(text) - cut < _MAX_TAG:
                text, self._held = text[:cut], text[cut:]
        return strip_html(text)


_OPENING = re.compile(r"<(script|style|head|title)\b|<!--|[<&]", re.IGNORECASE)
_ANGLE = re.compile(r"[<>]")
_ENTITY = re.compile(r"&#?\w{0,40}")
_ENDS = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style", "head", "title")}


def _undecided(text: str) -> int:
    """Where a tag, comment, hidden element or entity starts that does not end in this text."""
    at = 0
    while (match := _OPENING.search(text, at)) is not None:
        token = match[0]
        if match[1]:
            ending = _ENDS[match[1].lower()].search(text, match.end())
        elif token == "<!--":
            found = text.find("-->", match.end())
            if found < 0:
                return match.start()
            at = found + 3
            continue
        elif token == "<":
            ending = _ANGLE.search(text, match.end())
            if ending is not None:
                at = ending.start() if ending[0] == "<" else ending.end()
                continue
        else:
            ending = _ENTITY.match(text, match.start())
            if ending is not None and ending.end() == len(text):
                return match.start()
        if ending is None:
            return match.start()
        at = ending.end()
    return len(text)


class _Guess(codecs.IncrementalDecoder):
    """UTF-8 as long as it is valid; from the first octet that is not, windows-1252."""

    def __init__(self) -> None:
        super().__init__()
        self._utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()

    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        if self._utf8 is not None:
            held = self._utf8.getstate()[0]
            try:
                return self._utf8.decode(data, final)
            except UnicodeDecodeError:
                self._utf8 = None
                data = held + data
        return data.decode("windows-1252", "replace")


def _charset(charset: bytes) -> codecs.IncrementalDecoder:
    name = charsets.codec(charset.decode("ascii", "replace")) if charset else None
    if name is None or name == "utf-8":
        return _Guess()
    try:
        return codecs.getincrementaldecoder(name)("replace")
    except LookupError:
        return _Guess()


def part_text(part: Part, body: bytes) -> str:
    """The text of a whole text part."""
    decoder = TextDecoder(part)
    try:
        return decoder.feed(body) + decoder.finish()
    except ValueError:
        # A stateful codec that raises whatever it is told.
        return charsets.guess(body)


def sample_text(part: Part, start: bytes) -> str:
    """The text of the beginning of a text part, which may end anywhere."""
    content = part.content
    try:
        octets = transfer.decode(start, content.encoding)
    except transfer.UnknownEncoding:
        octets = start
    text = charsets.decode(octets, content.charset.decode("ascii", "replace"))
    return strip_html(text) if content.subtype == b"HTML" else text
