"""Messages made to be slow cost a bounded time: each is far below what an unbounded one would take."""

import time

import pytest

from protocols.message.summary import summarize

SIZE = 256 * 1024


def field(name: str, unit: str, before: str = "") -> bytes:
    unit_octets = unit.encode()
    return f"{name}: {before}".encode() + unit_octets * (SIZE // len(unit_octets)) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        field("To", "a@b,"),
        field("To", "a "),
        field("To", "a."),
        field("To", "a:b@c;"),
        field("To", "(x)"),
        field("To", "("),
        field("To", "<a>"),
        field("To", '"a" '),
        field("To", "@a,", "<"),
        field("To", "a:", "@ "),
        field("To", '"a,'),
        field("To", "ü <ü@ü.test>,"),
        field("Subject", "=?utf-8?q?x?= "),
        field("Subject", "\r\n x"),
        field("Content-Type", ";a=b", "a/b"),
        field("Content-Type", '\\"', 'a/b; x="'),
        field("Content-Type", "(", "("),
        field("Content-Language", "a,"),
        field("References", "<"),
        field("References", "<a@b> "),
        field("Date", "("),
        b"A: b\r\n" * (SIZE // 6) + b"\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n\r\n" * 20_000,
        b"Content-Type: multipart/digest; boundary=a\r\n\r\n" + b"--a\r\n\r\nFrom: a@b\r\n\r\nx\r\n" * 10_000,
        b"Content-Type: text/html\r\n\r\n" + b"<!--" * 50_000,
        b"Content-Type: text/html\r\n\r\n" + b"<style " * 50_000,
        b"Content-Type: text/html\r\n\r\n" + b"&" * 200_000,
    ],
    ids=lambda data: data[:24].decode("latin-1").strip(),
)
def test_summaries_of_hostile_messages(data: bytes) -> None:
    started = time.process_time()
    made = summarize(data)
    # On an idle machine these take 1 to 60 ms; what is quadratic takes minutes.
    assert time.process_time() - started < 2
    assert made.size == len(data)
    assert len(made.packed) < 1 << 20
