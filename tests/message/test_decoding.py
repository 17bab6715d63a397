"""Transfer encodings and text, whole and in pieces."""

import base64
import binascii
import quopri

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.message import text, transfer
from protocols.message.scan import Part, scan


@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        (b"7BIT", b"as it is\r\n", b"as it is\r\n"),
        (b"BASE64", b"SGVsbG8=\r\n", b"Hello"),
        (b"BASE64", b"SGVs\r\nbG8", b"Hello"),
        (b"BASE64", b"SGVs!bG8==", b"Hello"),
        (b"BASE64", b"SGVsbG8=SGVsbG8=", b"HelloHello"),
        (b"BASE64", b"S", b""),
        (b"BASE64", b"====", b""),
        (b"QUOTED-PRINTABLE", b"a=3Db=\r\nc", b"a=bc"),
        (b"QUOTED-PRINTABLE", b"trailing  \r\nx =\r\ny\t", b"trailing\r\nx y\t"),
        (b"QUOTED-PRINTABLE", b"=ZZ =", b"=ZZ "),
        (b"X-UUENCODE", b"begin 644 x\r\n#0V%T\r\n`\r\nend\r\n", b"Cat"),
        (b"X-UUENCODE", b"no begin\r\n#0V%T\r\n", b""),
    ],
)
def test_decode(encoding: bytes, data: bytes, expected: bytes) -> None:
    assert transfer.decode(data, encoding) == expected


def test_unknown_encoding_is_refused() -> None:
    assert not transfer.known(b"X-NONE")
    with pytest.raises(transfer.UnknownEncoding):
        transfer.decode(b"", b"X-NONE")


ENCODINGS = st.sampled_from([b"7BIT", b"BASE64", b"QUOTED-PRINTABLE", b"X-UUENCODE"])
NOISE = st.lists(
    st.sampled_from(
        [b"=", b"=\r\n", b" ", b"\r\n", b"\n", b"SGVs", b"=41", b"begin 644 x\r\n", b"#0V%T\r\n", b"end\r\n"]
    )
    | st.binary(max_size=5),
    max_size=40,
).map(b"".join)


@given(ENCODINGS, NOISE, st.lists(st.integers(0, 300), max_size=10))
@settings(max_examples=300)
def test_any_split_decodes_the_same(encoding: bytes, data: bytes, cuts: list[int]) -> None:
    decoder = transfer.decoder(encoding)
    pieces = []
    previous = 0
    for cut in [*sorted(c for c in cuts if c < len(data)), len(data)]:
        pieces.append(decoder.feed(data[previous:cut]))
        previous = cut
    pieces.append(decoder.finish())
    assert b"".join(pieces) == transfer.decode(data, encoding)


@given(st.binary(max_size=300))
def test_what_the_standard_library_encodes(data: bytes) -> None:
    assert transfer.decode(base64.encodebytes(data), b"BASE64") == data
    quoted = quopri.encodestring(data, quotetabs=True)
    # It writes all line ends as the first one is.
    assert transfer.decode(quoted, b"QUOTED-PRINTABLE") == quopri.decodestring(quoted)
    if data.count(b"\r\n") in (0, data.count(b"\n")):
        assert transfer.decode(quoted, b"QUOTED-PRINTABLE") == data
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    assert transfer.decode(b"begin 644 x\n" + lines + b"`\nend\n", b"X-UUENCODE") == data


def test_long_lines_of_quoted_printable_do_not_pile_up() -> None:
    decoder = transfer.decoder(b"QUOTED-PRINTABLE")
    out = b"".join(decoder.feed(b"=41" * 1000) for _ in range(20)) + decoder.finish()
    assert out == b"A" * 20_000


def part(header: bytes) -> Part:
    return scan(header + b"\r\n\r\n").root


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        (b"A: b", b"plain", "plain"),
        (b"Content-Type: text/plain; charset=iso-8859-1", b"\xfc", "ü"),
        (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64", b"w7w=", "ü"),
        (b"Content-Type: text/plain; charset=x-what", b"\xc3\xbc", "ü"),
        (b"Content-Type: text/html", b"<p>a &amp; b</p><!-- no --><style>x{}</style>c", "\na & b\n  c"),
        (b"Content-Type: text/html", b"a <script>if (a<b) x()</script> b", "a   b"),
        (b"Content-Type: text/html", b"1 < 2 and <unclosed", "1 < 2 and "),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-none", b"raw", "raw"),
    ],
)
def test_text_of_a_part(header: bytes, body: bytes, expected: str) -> None:
    assert text.part_text(part(header), body) == expected


@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "word ", "<b", ">", "&amp;", "&", "<style>", "</style>", "ü", "<!-- ", "-->"]
        ),
        max_size=30,
    ).map("".join),
    st.integers(1, 9),
)
def test_html_in_pieces_is_html_whole(source: str, step: int) -> None:
    data = source.encode()
    root = part(b"Content-Type: text/html; charset=utf-8")
    decoder = text.TextDecoder(root)
    pieces = [decoder.feed(data[at : at + step]) for at in range(0, len(data), step)]
    assert "".join(pieces) + decoder.finish() == text.part_text(root, data)


@given(st.binary(max_size=200), st.sampled_from([b"utf-7", b"iso-2022-jp", b"utf-16", b"hz", b"big5", b""]))
def test_garbage_text_never_raises(data: bytes, charset: bytes) -> None:
    text.part_text(part(b"Content-Type: text/html; charset=" + charset), data)
