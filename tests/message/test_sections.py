"""BODY[...] resolved over prefix and blob (RFC 9051 6.4.5.1, its example of part numbers)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.message.scan import Scan, scan
from protocols.message.sections import Kind, Section, resolve, window

# The message of RFC 9051 6.4.5.1: 1 text, 2 octet-stream, 3 message (3.1 text, 3.2 octet-stream),
# 4 multipart (4.1 image, 4.2 message with 4.2.1 text and 4.2.2 alternative of 4.2.2.1 and 4.2.2.2).
RFC = b"\r\n".join(
    [
        b"Subject: top",
        b"To: a@b",
        b"Content-Type: multipart/mixed; boundary=A",
        b"",
        b"--A",
        b"Content-Type: text/plain",
        b"",
        b"one",
        b"--A",
        b"Content-Type: application/octet-stream",
        b"",
        b"two",
        b"--A",
        b"Content-Type: message/rfc822",
        b"",
        b"Subject: three",
        b"Content-Type: multipart/mixed; boundary=B",
        b"",
        b"--B",
        b"Content-Type: text/plain",
        b"",
        b"three.one",
        b"--B",
        b"Content-Type: application/octet-stream",
        b"",
        b"three.two",
        b"--B--",
        b"--A",
        b"Content-Type: multipart/mixed; boundary=C",
        b"",
        b"--C",
        b"Content-Type: image/gif",
        b"Content-ID: <x>",
        b"",
        b"four.one",
        b"--C",
        b"Content-Type: message/rfc822",
        b"",
        b"Subject: four.two",
        b"Content-Type: multipart/mixed; boundary=D",
        b"",
        b"--D",
        b"Content-Type: text/plain",
        b"",
        b"four.two.one",
        b"--D",
        b"Content-Type: multipart/alternative; boundary=E",
        b"",
        b"--E",
        b"Content-Type: text/plain",
        b"",
        b"four.two.two.one",
        b"--E",
        b"Content-Type: text/richtext",
        b"",
        b"four.two.two.two",
        b"--E--",
        b"--D--",
        b"--C--",
        b"--A--",
        b"",
    ]
)
PREFIX = b"Return-Path: <x@y>\r\n"


def answer(tree: Scan, data: bytes, section: Section, prefix: bytes = PREFIX) -> bytes | None:
    extent = resolve(tree, section, prefix)
    return None if extent is None else extent.pick(data[extent.start : extent.stop])


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ((1,), Kind.ALL, b"one"),
        ((2,), Kind.ALL, b"two"),
        ((3, 1), Kind.ALL, b"three.one"),
        ((3, 2), Kind.ALL, b"three.two"),
        ((4, 1), Kind.ALL, b"four.one"),
        ((4, 1), Kind.MIME, b"Content-Type: image/gif\r\nContent-ID: <x>\r\n\r\n"),
        ((4, 2, 1), Kind.ALL, b"four.two.one"),
        ((4, 2, 2, 1), Kind.ALL, b"four.two.two.one"),
        ((4, 2, 2, 2), Kind.ALL, b"four.two.two.two"),
        ((3,), Kind.HEADER, b"Subject: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n"),
        ((4, 2), Kind.HEADER, b"Subject: four.two\r\nContent-Type: multipart/mixed; boundary=D\r\n\r\n"),
        ((3,), Kind.MIME, b"Content-Type: message/rfc822\r\n\r\n"),
        ((), Kind.ALL, PREFIX + RFC),
        ((), Kind.HEADER, PREFIX + RFC[: RFC.index(b"--A")]),
        ((), Kind.TEXT, RFC[RFC.index(b"--A") :]),
        ((), Kind.MIME, None),
        ((1,), Kind.HEADER, None),
        ((1,), Kind.TEXT, None),
        ((1, 1), Kind.ALL, None),
        ((5,), Kind.ALL, None),
        ((0,), Kind.ALL, None),
        ((4, 2, 3), Kind.ALL, None),
    ],
)
@pytest.mark.parametrize("stored", [False, True])
def test_the_example_of_the_rfc(
    path: tuple[int, ...], kind: Kind, expected: bytes | None, stored: bool
) -> None:
    tree = scan(RFC)
    if stored:
        tree = Scan.unpack(tree.pack())
    assert answer(tree, RFC, Section(path, kind)) == expected


def test_text_of_an_inner_message() -> None:
    got = answer(scan(RFC), RFC, Section((3,), Kind.TEXT))
    assert got is not None
    assert got.startswith(b"--B\r\n") and got.endswith(b"--B--")


def test_a_message_that_is_not_multipart_is_its_own_part_one() -> None:
    data = b"Subject: x\r\n\r\nbody"
    tree = scan(data)
    assert answer(tree, data, Section((1,))) == b"body"
    assert answer(tree, data, Section((1,), Kind.MIME)) == PREFIX + b"Subject: x\r\n\r\n"
    assert answer(tree, data, Section((1, 1))) is None
    assert answer(tree, data, Section((2,))) is None


def test_a_message_that_is_a_message() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody"
    tree = scan(data)
    assert answer(tree, data, Section((1,), Kind.HEADER)) == b"Subject: in\r\n\r\n"
    assert answer(tree, data, Section((1, 1))) == b"body"
    assert answer(tree, data, Section((1, 1, 1))) is None


@pytest.mark.parametrize(
    ("fields", "kind", "expected"),
    [
        ((b"SUBJECT", b"x"), Kind.FIELDS, b"Subject: top\r\n\r\n"),
        ((b"return-path", b"to"), Kind.FIELDS, b"Return-Path: <x@y>\r\nTo: a@b\r\n\r\n"),
        ((b"nothing",), Kind.FIELDS, b"\r\n"),
        ((b"to", b"content-type"), Kind.FIELDS_NOT, b"Return-Path: <x@y>\r\nSubject: top\r\n\r\n"),
    ],
)
def test_header_fields(fields: tuple[bytes, ...], kind: Kind, expected: bytes) -> None:
    assert answer(scan(RFC), RFC, Section((), kind, fields)) == expected


def test_header_fields_of_a_part_leave_the_prefix_out() -> None:
    section = Section((3,), Kind.FIELDS, (b"Return-Path", b"Subject"))
    assert answer(scan(RFC), RFC, section) == b"Subject: three\r\n\r\n"


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([Kind.ALL, Kind.HEADER, Kind.TEXT]))
@settings(max_examples=200)
def test_partial_is_a_slice_of_the_whole(offset: int, count: int, kind: Kind) -> None:
    data = b"Subject: x\r\n\r\nbody of it"
    extent = resolve(scan(data), Section((), kind), PREFIX)
    assert extent is not None
    whole = extent.pick(data[extent.start : extent.stop])
    part = extent.partial(offset, count)
    assert part.prefix + data[part.start : part.stop] == whole[offset : offset + count]
    assert part.size == len(whole[offset : offset + count])
    assert window(whole, offset, count) == whole[offset : offset + count]


@given(st.binary(max_size=200))
def test_header_and_text_partition_the_message(tail: bytes) -> None:
    data = b"A: b\r\n" + tail
    tree = scan(data)
    head = answer(tree, data, Section((), Kind.HEADER))
    text = answer(tree, data, Section((), Kind.TEXT))
    assert head is not None and text is not None
    assert head + text == PREFIX + data
