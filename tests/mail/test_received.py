"""Trace lines, hops and priority."""

from __future__ import annotations

import pytest

from imsd.mail.received import hops, literal, noted, priority, protocol_word, received_line
from protocols.smtp.interfaces import Client


def client(hello: str = "c.example", peer: str = "192.0.2.1", cipher: str = "", **more: object) -> Client:
    values: dict[str, object] = {"esmtp": True, "loopback": False, "encrypted": bool(cipher), **more}
    return Client(hello=hello, peer=peer, cipher=cipher, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("who", "smtputf8", "word"),
    [
        (client(esmtp=False), False, "SMTP"),
        (client(), False, "ESMTP"),
        (client(cipher="TLSv1.3 X"), False, "ESMTPS"),
        (client(identity=1), False, "ESMTPA"),
        (client(cipher="TLSv1.3 X", identity=1), False, "ESMTPSA"),
        (client(), True, "UTF8SMTP"),
        (client(cipher="TLSv1.3 X", identity=1), True, "UTF8SMTPSA"),
    ],
)
def test_word_after_with(who: Client, smtputf8: bool, word: str) -> None:
    assert protocol_word(who, smtputf8) == word


def test_line() -> None:
    who = client("[192.0.2.1]", "2001:db8::1", "TLSv1.3 TLS_AES_256_GCM_SHA384")
    assert received_line(who, "mx.example.test", "ESMTPS", "ID7", "a@example.test", 0) == (
        b"Received: from [192.0.2.1] ([IPv6:2001:db8::1])\r\n"
        b"\tby mx.example.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384) id ID7\r\n"
        b"\tfor <a@example.test>;\r\n\tThu, 01 Jan 1970 00:00:00 +0000\r\n"
    )


def test_what_was_asked_of_a_message_is_in_the_line() -> None:
    asked = received_line(client(), "mx", "ESMTP", "I", "", 0, "", -4, ("net.example:ADV", "org.example:B"))
    assert asked.splitlines()[1:-1] == [
        b"\tby mx with ESMTP",
        b"\t(SOLICIT=net.example:ADV,org.example:B)",  # RFC 3865 2.6
        b"\t id I",
        b"\tpriority -4;",  # RFC 6710 7
    ]
    many = received_line(client(), "mx", "ESMTP", "I", "", 0, "", None, ("a" * 500, "b" * 498))
    assert b"(SOLICIT=" + b"a" * 500 + b")" in many
    assert max(map(len, many.splitlines())) < 998


@pytest.mark.parametrize("hello", ["a b", "x\r\nEvil: y", "ä.example", "(c", "x" * 10 + "."])
def test_strange_names_do_not_get_into_the_line(hello: str) -> None:
    assert received_line(client(hello), "mx", "ESMTP", "I", "", 0).startswith(b"Received: from unknown (")


def test_literals() -> None:
    assert literal("192.0.2.1") == "[192.0.2.1]"
    assert literal("fe80::1%eth0") == "[IPv6:fe80::1]"
    assert literal("") == "localhost"


def test_only_fields_are_hops() -> None:
    header = (
        b"Received: a\r\n\tReceived: folded\r\nX-Received: no\r\nRECEIVED : b\r\nSubject: Received: c\r\n\r\n"
    )
    assert hops(header) == 2


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Subject: Importance: high\r\n\r\n", 0),
        (b"Importance: High\r\n\r\n", 1),
        (b"X-Priority: 1 (Highest)\r\n\r\n", 1),
        (b"X-Priority: 3\r\n\r\n", 0),
        (b"A: b\r\nPriority: non-urgent\r\n\r\n", -1),
        (b"X-Priority: 5\r\n\r\n", -1),
    ],
)
def test_priority(header: bytes, found: int) -> None:
    assert priority(header) == found


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (b"From: a@example\r\nSubject: Received: x\r\n\r\n", []),
        (
            b"Received: a\r\nReturn-Path: <>\r\nRECEIVED : b\r\n\r\n",
            [b"received", b"return-path", b"received"],
        ),
        (b"X-Received: a\r\nX:\r\n received: folded\r\n\r\n", []),
        (b"Subject: x\r\nMT-Priority: 3\r\nImportance: high\r\n\r\n", [b"mt-priority", b"importance"]),
        (b"Return-Receipt-To: a@example\r\nX-Priority\t: 1\r\n", [b"return-receipt-to", b"x-priority"]),
        (b"Solicitation: com.example:ADV\r\nTLS-Required: No\r\n", [b"solicitation", b"tls-required"]),
        (b"X-MSMail-Priority: high\r\nPriority: urgent\r\n", [b"x-msmail-priority", b"priority"]),
    ],
)
def test_fields_that_mean_something_are_found_at_once(header: bytes, names: list[bytes]) -> None:
    assert noted(header) == names
