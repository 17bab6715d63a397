"""Messages in a simpler form: what changes, what must not, and that it comes out the same again."""

from __future__ import annotations

import binascii
import email
import email.policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.message import binhex
from protocols.message.flatten import Form, _wrapped, flatten, needed
from protocols.message.scan import scan

FORMS: tuple[Form, ...] = ("plain", "html", "both", "uuencode", "binhex")
HEADER = b"From: a@example.org\r\nSubject: =?utf-8?q?=C3=A4?=\r\nMIME-Version: 1.0\r\n"

PLAIN = HEADER + b"Content-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
HTML = (
    HEADER
    + b"Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<html><head><style>x</style></head><body><p>Gr=FC=DFe &amp; more</p>"
    b"<p>" + b"word " * 40 + b"</p></body></html>\r\n"
)
ALTERNATIVE = (
    HEADER + b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nthe plain\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<b>the html</b>\r\n--b--\r\n"
)
ATTACHED = (
    HEADER + b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
    b'--m\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nthe plain\r\n"
    b'--b\r\nContent-Type: multipart/related; boundary="r"\r\n\r\n'
    b'--r\r\nContent-Type: text/html\r\n\r\n<img src="cid:1">\r\n'
    b"--r\r\nContent-Type: image/png; name=p.png\r\nContent-ID: <1>\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--r--\r\n--b--\r\n"
    b"--m\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
    b"Content-Disposition: attachment; filename*=utf-8''../%C3%A4.bin\r\n\r\nAAECAwQF\r\n"
    b"--m--\r\n"
)
SIGNED = (
    HEADER + b'Content-Type: multipart/signed; boundary="s"; micalg=sha-256; protocol="x/y"\r\n\r\n'
    b"--s\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--s\r\nContent-Type: x/y\r\n\r\nz\r\n--s--\r\n"
)
EVERY = {"plain": PLAIN, "html": HTML, "alternative": ALTERNATIVE, "attached": ATTACHED, "signed": SIGNED}


def parsed(data: bytes) -> Any:
    return email.message_from_bytes(data, policy=email.policy.default)


def leaves(data: bytes) -> list[str]:
    return [part.get_content_type() for part in parsed(data).walk() if not part.is_multipart()]


@pytest.mark.parametrize(
    ("message", "form", "types"),
    [
        ("html", "plain", ["text/plain"]),
        ("html", "both", ["text/plain", "text/html"]),
        ("plain", "html", ["text/html"]),
        ("plain", "both", ["text/plain", "text/html"]),
        ("alternative", "plain", ["text/plain"]),
        ("alternative", "html", ["text/html"]),
        ("attached", "plain", ["text/plain", "application/octet-stream", "image/png"]),
        ("attached", "html", ["text/html", "image/png", "application/octet-stream"]),
        ("attached", "uuencode", ["text/plain"]),
        ("html", "binhex", ["text/plain"]),
    ],
)
def test_what_is_left(message: str, form: Form, types: list[str]) -> None:
    made = flatten(EVERY[message], form)
    assert leaves(made) == types
    whole = parsed(made)
    assert (whole["From"], whole["Subject"]) == ("a@example.org", "ä")
    assert len(whole.get_all("MIME-Version")) == len(whole.get_all("Content-Type")) == 1
    assert not [part.defects for part in whole.walk() if part.defects]


@pytest.mark.parametrize(
    ("message", "form"),
    [
        ("plain", "plain"), ("plain", "uuencode"), ("html", "html"), ("alternative", "both"),
        *(("signed", form) for form in FORMS),
    ],
)  # fmt: skip
def test_what_has_the_form_or_is_sealed_stays_as_it_is(message: str, form: Form) -> None:
    assert flatten(EVERY[message], form) == EVERY[message]
    assert not needed(scan(EVERY[message]), form)


def test_text_is_made_of_html_wrapped_in_the_wanted_charset() -> None:
    made = parsed(flatten(HTML, "plain", "ISO-8859-1"))
    assert made.get_content_charset() == "iso-8859-1"
    lines = made.get_content().splitlines()
    assert lines[0] == "Grüße & more"
    assert max(map(len, lines)) <= 72
    assert max(len(line) for line in parsed(flatten(HTML, "plain", wrap=0)).get_content().splitlines()) > 72
    # What the charset cannot hold.
    cyrillic = HEADER + "Content-Type: text/html; charset=utf-8\r\n\r\n<p>Привет</p>\r\n".encode()
    made = parsed(flatten(cyrillic, "plain", "ISO-8859-1"))
    assert (made.get_content_charset(), made.get_content().strip()) == ("utf-8", "Привет")


def test_attachments_in_the_text() -> None:
    body = flatten(ATTACHED, "uuencode").partition(b"\r\n\r\n")[2]
    assert body.startswith(b"the plain\r\n")
    lines = body.split(b"\r\n")
    start = lines.index(b"begin 644 _.bin")
    assert binascii.a2b_uu(lines[start + 1]) == bytes(range(6))
    assert lines[start + 2 : start + 4] == [b"`", b"end"]
    assert b"begin 644 p.png" in lines


@pytest.mark.parametrize("message", EVERY)
@pytest.mark.parametrize("form", FORMS)
def test_it_comes_out_the_same_every_time_and_once(message: str, form: Form) -> None:
    made = flatten(EVERY[message], form)
    assert flatten(EVERY[message], form) == made
    assert b"\n" not in made.replace(b"\r\n", b"")
    if form in ("plain", "html"):
        assert flatten(made, form) == made


def _related(mark: bytes, first: bytes) -> bytes:
    return (
        b'Content-Type: multipart/related; boundary="%b"\r\n\r\n--%b\r\n%b--%b\r\n'
        b"Content-Type: image/png; name=%b.png\r\n\r\npicture of %b\r\n--%b--\r\n"
    ) % (mark, mark, first, mark, mark, mark, mark)


def test_pictures_of_what_is_not_the_text_are_kept() -> None:
    pages = [_related(mark, b"Content-Type: text/html\r\n\r\n<p>page</p>\r\n") for mark in (b"one", b"two")]
    message = HEADER + b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n'
    message += b"".join(b"--m\r\n" + page for page in pages) + b"--m--\r\n"
    for form in ("plain", "both"):
        made = flatten(message, form)
        assert made.count(b"picture of one\r\n") == made.count(b"picture of two\r\n") == 1, form
    assert b"begin 644 two.png" in flatten(message, "uuencode")


def test_plain_text_among_the_pictures_is_left_out() -> None:
    inner = (
        b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n' + ALTERNATIVE.partition(b"\r\n\r\n")[2]
    )
    message = HEADER + _related(b"one", inner)
    made = flatten(message, "html")
    assert leaves(made) == ["text/html", "image/png"] and b"multipart/related" in made
    assert flatten(made, "html") == made


def test_what_stands_beside_the_html_and_its_pictures_leaves_once() -> None:
    page = b"--m\r\nContent-Type: text/html\r\n\r\n<p>page</p>\r\n"
    file = b"--m\r\nContent-Type: application/pdf\r\n\r\nPDF\r\n--m--\r\n"
    inner = b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n' + page + file
    for form in ("both", "plain"):
        made = flatten(HEADER + _related(b"one", inner), form)
        assert leaves(made).count("application/pdf") == leaves(made).count("image/png") == 1


def test_reports_are_for_programs_and_stay() -> None:
    report = ALTERNATIVE.replace(b"multipart/alternative", b"multipart/report; report-type=delivery-status")
    for form in FORMS:
        assert flatten(report, form) == report


@pytest.mark.parametrize("form", ["uuencode", "binhex"])
@pytest.mark.parametrize("word", ["word ", "word", "ä"])
def test_no_line_is_longer_than_servers_take(form: Form, word: str) -> None:
    text = (
        HEADER + b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>" + (word * 3000).encode() + b"</p>\r\n"
    )
    plain = text.replace(b"text/html", b'multipart/mixed; boundary="m"').replace(
        b"<p>", b"--m\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).replace(b"</p>", b"\r\n--m\r\nContent-Type: x/y\r\n\r\nz\r\n--m--")  # fmt: skip
    for message in (text, plain):
        made = flatten(message, form)
        assert made != message and max(map(len, made.split(b"\r\n"))) <= 998
        body = made.partition(b"\r\n\r\n")[2].decode().partition("begin")[0].partition("(This")[0]
        assert "".join(body.split()) == (word * 3000).replace(" ", "")


def test_one_long_line_takes_no_longer_than_many() -> None:
    """Each piece of a line was cut from a copy of the rest: minutes for the largest message."""
    line = _Counted("word " * 2000)
    _wrapped(line, 72)
    assert _Counted.copied < 2 * len(line)


class _Counted(str):
    """Counts the characters that are copied out of it."""

    copied = 0

    def split(self, *_: Any) -> list[str]:  # type: ignore[override]
        return [self]

    def __getitem__(self, at: Any) -> str:
        made = _Counted(str.__getitem__(self, at))
        _Counted.copied += len(made)
        return made

    def lstrip(self, *_: Any) -> str:
        return _Counted(str.lstrip(self))


def test_a_number_that_no_character_has_is_no_end_of_reading() -> None:
    html = HEADER + b"Content-Type: text/html\r\n\r\n<p>&#" + b"1" * 5000 + b"; x &amp; y</p>\r\n"
    assert "x & y" in parsed(flatten(html, "plain")).get_content()
    assert "<p>" not in parsed(flatten(html, "plain")).get_content()


@given(st.binary(max_size=400), st.sampled_from(FORMS))
def test_anything_can_be_asked_for(data: bytes, form: Form) -> None:
    assert isinstance(flatten(HEADER + b"Content-Type: text/html\r\n" + data, form), bytes)


def _unhqx(text: bytes) -> tuple[str, bytes]:
    digits = b"".join(text.split(b":")[1].split())
    values = [binhex._ALPHABET.index(bytes([digit])) for digit in digits]
    bits = "".join(f"{value:06b}" for value in values)
    packed = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))
    out = bytearray()
    at = 0
    while at < len(packed):
        if packed[at] == 0x90:
            count = packed[at + 1]
            out += b"\x90" if not count else out[-1:] * (count - 1)
            at += 2
        else:
            out.append(packed[at])
            at += 1
    size = out[0]
    name = bytes(out[1 : 1 + size]).decode("mac-roman")
    at = 1 + size + 1 + 4 + 4 + 2
    length = int.from_bytes(out[at : at + 4], "big")
    header_end = at + 8
    assert int.from_bytes(out[header_end : header_end + 2], "big") == binascii.crc_hqx(
        bytes(out[:header_end]), 0
    )
    data = bytes(out[header_end + 2 : header_end + 2 + length])
    end = header_end + 2 + length
    assert int.from_bytes(out[end : end + 2], "big") == binascii.crc_hqx(data, 0)
    return name, data


@given(
    st.binary(max_size=300)
    | st.builds(lambda octet, count: octet * count, st.binary(min_size=1, max_size=2), st.integers(0, 600))
)
def test_binhex_is_undone_to_what_it_was(data: bytes) -> None:
    assert _unhqx(binhex.encode("name.bin", data)) == ("name.bin", data)
