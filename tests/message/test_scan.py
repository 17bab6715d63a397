"""The scanner: part trees by offsets, whole and in pieces, within its limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.message import scan as scanning
from protocols.message.scan import LEAF, MESSAGE, MULTIPART, Scan, Scanner, StaleScan, scan


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


NESTED = crlf(
    """From: a@example.test
Content-Type: multipart/mixed; boundary="xx"

preamble
--xx

Hello
--xx
Content-Type: message/rfc822

Subject: in
Content-Type: multipart/alternative; boundary=xx-inner

--xx-inner
Content-Type: text/html

<b>x</b>

--xx-inner--

--xx--
epilogue
"""
)


def tree(result: Scan) -> list[tuple[object, ...]]:
    return [
        (
            p.kind,
            p.start,
            p.body,
            p.stop,
            p.lines,
            p.content.type,
            p.content.subtype,
            p.header,
            len(p.children),
        )
        for p in result.walk()
    ]


def bodies(data: bytes) -> list[bytes]:
    return [data[p.body : p.stop] for p in scan(data).leaves()]


def test_nested_message_by_offsets() -> None:
    result = scan(NESTED)
    assert [p.kind for p in result.walk()] == [MULTIPART, LEAF, MESSAGE, MULTIPART, LEAF]
    assert bodies(NESTED) == [b"Hello", b"<b>x</b>\r\n"]
    assert result.size == len(NESTED)
    assert result.lines == NESTED.count(b"\n")
    inner = result.root.children[1]
    assert inner.lines == NESTED[inner.body : inner.stop].count(b"\n")
    assert inner.children[0].start == inner.body


@pytest.mark.parametrize(
    ("data", "header", "body"),
    [
        (b"", 0, b""),
        (b"\r\n", 2, b""),
        (b"\n", 1, b""),
        (b"\r\nbody", 2, b"body"),
        (b"A: b", 4, b""),
        (b"A: b\r\n", 6, b""),
        (b"A: b\r\n\r\n", 8, b""),
        (b"A: b\r\n\r\nbody\r\n", 8, b"body\r\n"),
        (b"A: b\n\nbody\n", 6, b"body\n"),
        (b"no colon here\r\n\r\nbody", 17, b"body"),
    ],
)
def test_where_the_header_ends(data: bytes, header: int, body: bytes) -> None:
    result = scan(data)
    assert (result.header_size, data[result.root.body : result.root.stop]) == (header, body)


@pytest.mark.parametrize(
    ("text", "leaves"),
    [
        # A delimiter of the outer multipart ends the inner ones (RFC 2046 5.1.2).
        (
            "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n"
            "--b\n\none\n--a\n\ntwo\n--a--\n",
            [b"one", b"two"],
        ),
        # A boundary that begins another one does not end it.
        ("Content-Type: multipart/mixed; boundary=a\n\n--a\n\n--ab\n--a \t\n\nx\n--a--", [b"--ab", b"x"]),
        # No closing delimiter: the last part ends with the message.
        ("Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a\n\ntwo\n", [b"one", b"two\r\n"]),
        # The part ends inside its header block.
        ("Content-Type: multipart/mixed; boundary=a\n\n--a\nA: b\n--a\n\ntwo\n--a--\n", [b"", b"two"]),
        # Nothing between two delimiters.
        ("Content-Type: multipart/mixed; boundary=a\n\n--a\n--a\n\n--a--\n", [b"", b""]),
        # No delimiter at all: shown as text.
        ("Content-Type: multipart/mixed; boundary=a\n\nall text\n", [b"all text\r\n"]),
        # No boundary parameter: shown as text.
        ("Content-Type: multipart/mixed\n\n--a\n\nx\n--a--\n", [b"--a\r\n\r\nx\r\n--a--\r\n"]),
        # Two multiparts with one boundary: the inner one has it until it closes.
        (
            "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n"
            "--a\n\none\n--a--\n--a\n\ntwo\n--a--\n",
            [b"one", b"two"],
        ),
    ],
)
def test_delimiters(text: str, leaves: list[bytes]) -> None:
    assert bodies(crlf(text)) == leaves


def test_digest_parts_are_messages_by_default() -> None:
    data = crlf("Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\nbody\n--d--\n")
    part = scan(data).root.children[0]
    assert (part.kind, part.content.type, part.content.subtype) == (MESSAGE, b"MESSAGE", b"RFC822")
    assert data[part.children[0].body : part.children[0].stop] == b"body"


def test_encoded_message_is_a_leaf() -> None:
    data = crlf("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n")
    root = scan(data).root
    assert (root.kind, root.content.type, root.content.subtype) == (LEAF, b"APPLICATION", b"OCTET-STREAM")


def test_depth_is_bounded() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\n" * 1500 + b"Subject: deep\r\n\r\nend"
    result = scan(data)
    depth = 0
    part = result.root
    while part.children:
        part = part.children[0]
        depth += 1
    assert depth == scanning.MAX_DEPTH - 1
    nested = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1300)
    )
    assert sum(1 for _ in scan(nested).walk()) <= scanning.MAX_DEPTH


def test_parts_are_bounded() -> None:
    data = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\nx\r\n" * 12_000 + b"--a--\r\n"
    result = scan(data)
    assert len(result.root.children) == scanning.MAX_PARTS - 1
    assert result.root.stop == len(data)


def test_kept_headers_are_bounded_and_offsets_stay_right() -> None:
    data = b"X: " + b"y" * (scanning.MAX_HEADER + 1000) + b"\r\n\r\nbody"
    result = scan(data)
    assert data[result.root.body :] == b"body"
    assert len(result.root.header) == scanning.MAX_HEADER


def test_header_octets_above_127_and_global_messages_make_it_raw() -> None:
    assert scan("Subject: ü\r\n\r\n".encode()).raw
    assert scan(b"Content-Type: message/global\r\n\r\nA: b\r\n\r\n").raw
    assert not scan("Subject: u\r\n\r\nü".encode()).raw


LINES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"--a\r\n",
        b"--a--\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"--ab\r\n",
        b"--a",
        b"--",
        b"text\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n",
        b'Content-Type: multipart/digest;\r\n boundary="b"\r\n',
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: text/html; charset=utf-8\r\n",
        b"\r\n\r\n",
        b"\xff\x00: \xfe",
        b"Subject: x\r\n",
        b" folded\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
    ]
)
MESSAGES = st.lists(LINES, max_size=40).map(b"".join)


@given(MESSAGES, st.lists(st.integers(0, 600), max_size=30))
@settings(max_examples=400, deadline=None)
def test_any_split_gives_the_same_scan(data: bytes, cuts: list[int]) -> None:
    whole = scan(data)
    scanner = Scanner()
    previous = 0
    for cut in [*sorted(c for c in cuts if c < len(data)), len(data)]:
        scanner.feed(data[previous:cut])
        previous = cut
    pieces = scanner.finish()
    assert tree(pieces) == tree(whole)
    assert (pieces.size, pieces.lines, pieces.raw) == (whole.size, whole.lines, whole.raw)
    assert [s for _, s in pieces.samples] == [s for _, s in whole.samples]
    single = Scanner()
    for index in range(len(data)):
        single.feed(data[index : index + 1])
    assert tree(single.finish()) == tree(whole)
    assert tree(scan(memoryview(data))) == tree(whole)


@given(MESSAGES)
@settings(max_examples=300, deadline=None)
def test_parts_lie_inside_their_parents_in_order(data: bytes) -> None:
    result = scan(data)
    assert (result.root.start, result.root.stop) == (0, len(data))
    for part in result.walk():
        assert part.start <= part.body <= part.stop <= len(data)
        assert part.lines == data.count(b"\n", part.body, part.stop)
        assert data[part.start : part.body] == part.header
        previous = part.body
        for child in part.children:
            assert previous <= child.start and child.stop <= part.stop
            previous = child.stop


@given(st.binary(max_size=400))
def test_garbage_never_raises(data: bytes) -> None:
    scan(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + data)
    scan(data)


@given(MESSAGES)
@settings(deadline=None)
def test_unpack_of_pack_is_the_same_tree(data: bytes) -> None:
    whole = scan(data)
    again = Scan.unpack(whole.pack())

    def offsets(result: Scan) -> list[tuple[object, ...]]:
        return [
            (p.kind, p.start, p.body, p.stop, p.lines, p.content.type, p.content.subtype, p.content.encoding)
            for p in result.walk()
        ]

    assert offsets(again) == offsets(whole)
    assert (again.size, again.lines, again.raw) == (whole.size, whole.lines, whole.raw)
    if whole.raw:
        assert tree(again) == tree(whole)


@given(st.binary(max_size=200))
def test_damaged_packed_scans_are_stale(packed: bytes) -> None:
    for data in (packed, scan(NESTED).pack()[: len(packed)]):
        try:
            Scan.unpack(data)
        except StaleScan:
            pass
    with pytest.raises(StaleScan):
        Scan.unpack(b"\xff" + scan(NESTED).pack()[1:])


def test_many_false_delimiters_are_crossed_quickly() -> None:
    head = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    head += b"--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    data = head + b"--b\r\n\r\n" + b"\n--" * 100_000
    assert scan(data).root.stop == len(data)
