# ruff: noqa: E501
"""Content made 7bit decodes to what it was (RFC 6152 3)."""

from __future__ import annotations

import email
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsd.mail.downgrade import Base64, Quoted, Unconvertible, seven_bit
from protocols.message import transfer
from protocols.message.scan import scan
from tests.support.stores import run


def converted(data: bytes, piece: int = 7) -> bytes:
    async def read(start: int, length: int) -> bytes:
        return data[start : start + length]

    async def stream(start: int, stop: int) -> AsyncIterator[bytes]:
        for at in range(start, stop, piece):
            yield data[at : min(stop, at + piece)]

    async def all_of_it() -> bytes:
        return b"".join([each async for each in seven_bit(scan(data), read, stream)])

    return run(all_of_it())


MIXED = (
    "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "preamble\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n\r\n"
    "--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\nü\x00\r\n"
    "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Subject: in\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>ä\r\n"
    "--b\r\n\r\nuntouched = \r\n--b--\r\nend\r\n"
).encode()


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_every_part_is_what_it_was(piece: int) -> None:
    made = converted(MIXED, piece)
    assert made.isascii()
    before, after = email.message_from_bytes(MIXED), email.message_from_bytes(made)
    pairs = list(zip(before.walk(), after.walk(), strict=True))
    for old, new in pairs:
        assert old.get_content_type() == new.get_content_type()
        assert new["Content-Transfer-Encoding"] not in ("8bit", "binary")
        if not old.is_multipart():
            assert old.get_payload(decode=True) == new.get_payload(decode=True)
    assert [new["Content-Transfer-Encoding"] for _, new in pairs] == [
        "7bit",
        "quoted-printable",
        "base64",
        "7bit",
        "quoted-printable",
        None,
    ]


def test_what_is_not_eight_bit_is_not_touched() -> None:
    data = b"Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3D\r\n"
    assert converted(data) == data


@given(st.binary(max_size=300), st.integers(1, 50))
@settings(deadline=None)
def test_encoders_in_pieces_decode_to_the_same(data: bytes, piece: int) -> None:
    for encoder, encoding in ((Quoted(), b"QUOTED-PRINTABLE"), (Base64(), b"BASE64")):
        made = (
            b"".join(encoder.feed(data[at : at + piece]) for at in range(0, len(data), piece))
            + encoder.finish()
        )
        assert made.isascii()
        assert transfer.decode(made, encoding) == data
        assert all(len(line) <= 76 for line in made.split(b"\r\n"))


def test_endless_lines_are_not_held() -> None:
    encoder = Quoted()
    made = b"".join(encoder.feed(b"x" * 10_000) for _ in range(20))
    assert len(made) > 150_000
    assert transfer.decode(made + encoder.finish(), b"QUOTED-PRINTABLE") == b"x" * 200_000


def test_what_does_not_say_that_it_is_eight_bit_is_converted_too() -> None:
    made = converted("Received: by x\r\nFrom: a@b\r\n\r\nGrüße = alles\r\n".encode(), 3)
    assert made.startswith(b"Received: by x\r\nFrom: a@b\r\nMIME-Version: ")
    message = email.message_from_bytes(made)
    assert message.get_payload(decode=True) == "Grüße = alles\r\n".encode()
    assert message["MIME-Version"] == "1.0"
    assert message.get_content_charset() == "unknown-8bit"


def test_undeclared_parts_keep_their_type() -> None:
    data = (
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n<p>ä\r\n"
        "--b\r\n\r\nö\r\n--b\r\nContent-Type: image/png\r\n\r\nü\r\n--b\r\n\r\nplain\r\n--b--\r\n"
    ).encode()
    made = email.message_from_bytes(converted(data))
    parts = [part for part in made.walk() if not part.is_multipart()]
    assert [part.get_payload(decode=True) for part in parts] == [
        "<p>ä".encode(),
        "ö".encode(),
        "ü".encode(),
        b"plain",
    ]
    assert [part.get_content_type() for part in parts] == [
        "text/html",
        "text/plain",
        "image/png",
        "text/plain",
    ]
    assert [part["Content-Transfer-Encoding"] for part in parts] == [
        "quoted-printable",
        "quoted-printable",
        "base64",
        None,
    ]
    assert parts[0].get_content_charset() == "utf-8"


@pytest.mark.parametrize(
    "text",
    [
        "Subject: Grüße\r\n\r\nx\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\npräambel\r\n--b\r\n\r\nx\r\n--b--\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nno header: ü\r\n--b--\r\n",
        "Content-Transfer-Encoding: base64\r\n\r\nü\r\n",
    ],
)
def test_eight_bit_where_nothing_can_encode_it_is_not_given(text: str) -> None:
    with pytest.raises(Unconvertible):
        converted(text.encode())
