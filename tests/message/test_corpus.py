"""The corpus, read by us and by the standard library's email package.

Where the two differ on purpose the message (or the value) is in a table here with the reason.
"""

import email
import email.message
from email.header import decode_header, make_header
from email.utils import getaddresses, parsedate_to_datetime
from inspect import signature
from typing import Any

import pytest

from protocols.message import addresses, dates, headers, transfer, words
from protocols.message.part import MESSAGE, MULTIPART, Part
from protocols.message.scan import scan
from protocols.message.summary import summarize
from tests.message import corpus

CORPUS = corpus.messages()

# Newer versions of the library refuse address literals unless told to be lenient.
LENIENT: dict[str, Any] = {"strict": False} if "strict" in signature(getaddresses).parameters else {}

# Body name: what email makes of our (type, content), and why we differ.
STRUCTURE = {
    "preamble-only": (
        lambda kind, content: ("multipart/mixed", content),
        "a multipart without parts is shown as text, so that BODY[1] is its content",
    ),
    "no-boundary": (
        lambda kind, content: ("multipart/mixed", content),
        "a multipart without boundary is shown as text",
    ),
    "unclosed": (
        lambda kind, content: (kind, [content[0], (content[1][0], content[1][1].removesuffix(b"\r\n"))]),
        "without a closing delimiter the last line end belongs to no delimiter; email drops it all the same",
    ),
    "comment-type": (
        lambda kind, content: (f"{kind} (a comment)", content),
        "a comment is no part of the media type (RFC 2045 5.1)",
    ),
}
DATE_DEVIATIONS = {
    "garbage": "email raises ValueError; we answer None",
}


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 100
    assert len({data for _, data in CORPUS}) >= 100


def ours(part: Part, data: bytes) -> tuple[str, Any]:
    content = part.content
    kind = f"{content.type}/{content.subtype}".replace("b'", "").replace("'", "").lower()
    if part.kind in (MULTIPART, MESSAGE):
        return (kind, [ours(child, data) for child in part.children])
    body = data[part.body : part.stop]
    return (kind, transfer.decode(body, content.encoding))


def theirs(message: email.message.Message) -> object:
    kind = message.get_content_type()
    if message.is_multipart():
        return (kind, [theirs(child) for child in message.get_payload()])  # type: ignore[arg-type]
    return (kind, message.get_payload(decode=True))


@pytest.mark.parametrize(("name", "data"), CORPUS, ids=[name for name, _ in CORPUS])
def test_structure_and_content(name: str, data: bytes) -> None:
    mine = ours(scan(data).root, data)
    deviation = STRUCTURE.get(name.rpartition("-")[0])
    if deviation is not None:
        mine = deviation[0](*mine)
    assert mine == theirs(email.message_from_bytes(data))


@pytest.mark.parametrize("value", corpus.SUBJECTS)
def test_subjects(value: str) -> None:
    expected = str(make_header(decode_header(value.replace("\n", "")))) if value else ""
    assert words.decode(value.replace("\n", "\r\n").encode()) == expected


@pytest.mark.parametrize("value", corpus.ADDRESSES)
def test_addresses(value: str) -> None:
    raw = value.replace("\n", "\r\n").encode()
    mine = [(a.name or b"", a.mailbox + b"@" + (a.host or b"")) for a in addresses.mailboxes(raw)]
    library = [(name.encode(), spec.encode()) for name, spec in getaddresses([value], **LENIENT) if spec]
    assert mine == library


@pytest.mark.parametrize("value", corpus.DATES)
def test_dates(value: str) -> None:
    moment = dates.parse(value.encode())
    if value in DATE_DEVIATIONS:
        assert moment is None
        return
    library = parsedate_to_datetime(value)
    assert moment is not None
    assert moment.replace(tzinfo=None) == library.replace(tzinfo=None)
    assert moment.utcoffset() == library.utcoffset() or library.utcoffset() is None


@pytest.mark.parametrize(("name", "data"), CORPUS, ids=[name for name, _ in CORPUS])
def test_header_values(name: str, data: bytes) -> None:
    message = email.message_from_bytes(data)
    header = data[: scan(data).header_size]
    assert [f.name.decode() for f in headers.fields(header)] == message.keys()
    for field in headers.fields(header):
        value = message[field.name.decode()]
        assert field.text == value.replace("\r\n", "").strip().encode(), field.name


@pytest.mark.parametrize(("name", "data"), CORPUS, ids=[name for name, _ in CORPUS])
def test_summaries(name: str, data: bytes) -> None:
    made = summarize(data)
    assert made.size == len(data)
    for wire in (made.envelope, made.body, made.bodystructure):
        assert wire.startswith(b"(") and wire.endswith(b")") and wire.isascii()
        assert _balanced(wire)
    assert len(made.preview) <= 200


def _balanced(wire: bytes) -> bool:
    """Parentheses outside quoted strings match, and close only at the end."""
    depth, quoted, index = 0, False, 0
    while index < len(wire):
        octet = wire[index : index + 1]
        if quoted:
            if octet == b"\\":
                index += 1
            quoted = octet != b'"'
        elif octet == b'"':
            quoted = True
        elif octet == b"(":
            depth += 1
        elif octet == b")":
            depth -= 1
            if depth == 0 and index != len(wire) - 1:
                return False
        index += 1
    return depth == 0 and not quoted
