"""Internationalized headers in ASCII: a table, garbage, and what the standard library reads."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.pop3.surrogate import surrogate
from tests.pop3.fakes import FakeDoor, Talk


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Subject: plain\r\n\r\n", "Subject: plain\r\n\r\n"),
        ("X: ü\r\nTo: a@b\r\n", "X: =?UTF-8?B?w7w=?=\r\nTo: a@b\r\n"),
        ("From: Jörg <j@x.test>\r\n\r\n", "From: =?UTF-8?B?SsO2cmc=?= <j@x.test>\r\n\r\n"),
        ("To: a@bücher.test\r\n\r\n", "To: <a@xn--bcher-kva.test>\r\n\r\n"),
        ("Message-ID: <ü@x>\r\nA: b\r\n\r\n", "A: b\r\n\r\n"),
        ("no fiéld\r\nA: b\r\n\r\n", "no fi?ld\r\nA: b\r\n\r\n"),
        (
            'Content-Type: text/plain; name="ü.txt"; charset=utf-8\r\n\r\n',
            "Content-Type: text/plain; name*=UTF-8''%C3%BC.txt; charset=utf-8\r\n\r\n",
        ),
    ],
)
def test_surrogates(header: str, expected: str) -> None:
    assert surrogate(header.encode()) == expected.encode("ascii")


def test_addresses_without_an_ascii_form_cannot_be_answered() -> None:
    made = surrogate("From: Jörg <jörg@x.test>, b@x.test\r\n\r\n".encode())
    read = email.message_from_bytes(made, policy=email.policy.default)["From"]
    assert [address.addr_spec for address in read.addresses] == ["b@x.test"]
    assert read.groups[0].display_name == "Jörg jörg@x.test"


def test_the_standard_library_reads_it() -> None:
    made = surrogate("Subject: ein sehr langer Betreff mit Grüßen {}\r\n\r\n".format("ä" * 200).encode())
    assert made.isascii() and max(map(len, made.split(b"\r\n"))) < 100
    read = email.message_from_bytes(made, policy=email.policy.default)
    assert read["Subject"] == "ein sehr langer Betreff mit Grüßen " + "ä" * 200


@given(st.text(max_size=200), st.sampled_from(["", "Subject: ", "From: ", "Content-Type: a/b; x=", "é: "]))
@settings(deadline=None)
def test_garbage_becomes_ascii(text: str, name: str) -> None:
    header = (name + text).encode("utf-8", "replace") + b"\r\n\r\n"
    made = surrogate(header)
    assert made.isascii()
    assert made.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("piece", [1, 3, 10, 1000])
def test_sizes_and_pieces(piece: int) -> None:
    message = "Subject: ü\r\nFrom: a@b\r\n\r\nbödy\r\n".encode()
    talk = Talk(FakeDoor([message]))
    talk.door.piece = piece
    talk.login()
    first, _, rest = talk.say(b"RETR 1").partition(b"\r\n")
    content = rest.removesuffix(b".\r\n")
    assert first == b"+OK %d octets" % len(content)
    assert content == b"Subject: =?UTF-8?B?w7w=?=\r\nFrom: a@b\r\n\r\nb\xc3\xb6dy\r\n"
