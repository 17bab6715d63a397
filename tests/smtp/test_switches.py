"""What a site switches on and off in SMTP: extensions, AUTH, VRFY, EXPN, limits, lenience, solicitations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.smtp.grammar import Cursor, parse_forward_path, parse_reverse_path
from protocols.smtp.interfaces import Limits, Role
from protocols.smtp.solicitation import in_header, parse_solicit, refusal, together, unwanted
from tests.smtp.fakes import FakeDoor, Talk

LOGIN = b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"


def talk(role: Role = Role.MX, **limits: Any) -> Talk:
    return Talk(FakeDoor(role, Limits(**limits)), host="127.0.0.1")


def offered(one: Talk) -> list[str]:
    lines = one.say(b"EHLO c.example\r\n").decode().splitlines()
    return [line[4:] for line in lines[1:]]


def test_banner() -> None:
    assert talk().greeting == b"220 mx.example.test ESMTP ready\r\n"
    assert talk(banner="ESMTP No UBE").greeting == b"220 mx.example.test ESMTP No UBE\r\n"


def test_port_25_without_extensions() -> None:
    one = talk(esmtp=False)
    assert one.greeting == b"220 mx.example.test SMTP ready\r\n"
    assert offered(one) == []
    submission = talk(Role.SUBMISSION, esmtp=False)
    assert b"ESMTP" in submission.greeting
    assert "PIPELINING" in offered(submission)


def test_port_25_without_auth() -> None:
    one = talk(auth=False)
    assert not [word for word in offered(one) if word.startswith("AUTH")]
    assert one.say(LOGIN).startswith(b"502 5.5.1 ")
    submission = talk(Role.SUBMISSION, auth=False)
    assert [word for word in offered(submission) if word.startswith("AUTH")]
    assert submission.say(LOGIN).startswith(b"235 ")


# LIMITS (RFC 9422)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, "LIMITS MAILMAX=1000 RCPTMAX=1000"),
        ({"transactions": 2, "recipients": 3, "domains": 2}, "LIMITS MAILMAX=2 RCPTMAX=3 RCPTDOMAINMAX=2"),
    ],
)
def test_limits_are_announced(limits: dict[str, int], said: str) -> None:
    assert said in offered(talk(**limits))


def test_limits_are_what_is_enforced() -> None:
    one = talk(transactions=2, recipients=3, domains=2)
    one.say(b"EHLO c.example\r\nMAIL FROM:<>\r\n")
    assert one.say(b"RCPT TO:<a@one.test>\r\n").startswith(b"250 ")
    assert one.say(b"RCPT TO:<a@two.test>\r\n").startswith(b"250 ")
    assert one.say(b"RCPT TO:<a@three.test>\r\n") == b"452 4.5.3 Too many domains among the recipients\r\n"
    assert one.say(b"RCPT TO:<b@TWO.test>\r\n").startswith(b"250 ")
    assert one.say(b"RCPT TO:<c@two.test>\r\n").startswith(b"452 4.5.3 ")
    one.say(b"RSET\r\n")
    assert one.say(b"MAIL FROM:<>\r\n").startswith(b"250 ")
    assert one.say(b"RCPT TO:<a@three.test>\r\nRSET\r\n").startswith(b"250 ")
    assert one.say(b"MAIL FROM:<>\r\n").startswith(b"421 4.7.0 ")
    assert one.closed


# VRFY, EXPN


@pytest.mark.parametrize(
    ("verb", "whom", "before", "after"),
    [
        (b"VRFY", "off", b"252 2.1.5 ", b"252 2.1.5 "),
        (b"VRFY", "authenticated", b"252 2.1.5 ", b"250 2.1.5 <b@example.test>"),
        (b"VRFY", "on", b"250 2.1.5 <b@example.test>", b"250 2.1.5 <b@example.test>"),
        (b"EXPN", "off", b"502 5.5.1 ", b"502 5.5.1 "),
        (
            b"EXPN",
            "authenticated",
            b"530 5.7.0 ",
            b"250-2.1.5 <b@example.test>\r\n250 2.1.5 <c@",
        ),
        (b"EXPN", "on", b"250-2.1.5 <b@", b"250-2.1.5 <b@"),
    ],
)
def test_whom_they_tell(verb: bytes, whom: str, before: bytes, after: bytes) -> None:
    one = talk(**{verb.decode().lower(): whom})
    assert (verb.decode() in offered(one)) == (whom != "off")
    assert one.say(verb + b" list\r\n").startswith(before)
    one.say(LOGIN)
    assert one.say(verb + b" list\r\n").startswith(after)
    assert one.say(verb + b"\r\n").startswith(b"501 5.5.4 ")


@pytest.mark.parametrize("verb", [b"VRFY", b"EXPN"])
def test_guessing_is_counted(verb: bytes) -> None:
    one = talk(vrfy="on", expn="on", refused=3)
    for _ in range(3):
        assert one.say(verb + b" unknown\r\n").startswith(b"550 5.1.1 ")
    assert one.say(verb + b" unknown\r\n").endswith(b"421 4.7.0 Too many bad commands\r\n")
    assert one.closed


# Malformed addresses (ims_spec 5.1)

MALFORMED = [
    (b"a@b.example", "a@b.example"),
    (b"< a@b.example >", "a@b.example"),
    (b"<a b@b.example>", '"a b"@b.example'),
    (b"<a..b@b.example>", '"a..b"@b.example'),
    (b"<.a.@b.example>", '".a."@b.example'),
    (b"<a,b=c@b.example>", '"a,b=c"@b.example'),
    (b"<@x.example:a b@b.example>", '"a b"@b.example'),
    (b'<"a@b.example>', "a@b.example"),
]
NOBODY = [
    b"",
    b"<>x",
    b"a",
    b"<a@>",
    b"<@b.example>",
    b"<a@b..example>",
    b"<a@b c>",
    b"<a\x01@b.example>",
    b"<a@b@c.example>",
]


@pytest.mark.parametrize(("text", "address"), MALFORMED)
def test_malformed_addresses_are_taken_where_the_site_wants_it(text: bytes, address: str) -> None:
    with pytest.raises(BadSyntax):
        parse_reverse_path(Cursor(text))
    for parse in (parse_reverse_path, parse_forward_path):
        assert str(parse(Cursor(text, 0, True))) == address
    one = talk(lenient=True)
    one.say(b"EHLO c.example\r\n")
    assert one.say(b"MAIL FROM: " + text + b" SIZE=10\r\n").startswith(b"250 ")
    assert talk().say(b"EHLO c\r\nMAIL FROM: " + text + b"\r\n").endswith(b"\r\n")


@pytest.mark.parametrize("text", NOBODY)
def test_what_names_nobody_is_refused_all_the_same(text: bytes) -> None:
    one = talk(lenient=True)
    one.say(b"EHLO c.example\r\nMAIL FROM:<>\r\n")
    assert one.say(b"RCPT TO:" + text + b"\r\n").startswith(b"501 5.")


@given(st.binary(max_size=80))
def test_lenience_raises_one_error(text: bytes) -> None:
    try:
        parse_forward_path(Cursor(text, 0, True))
    except BadSyntax:
        pass


# NO-SOLICITING (RFC 3865)


def test_solicitations_that_are_not_wanted() -> None:
    one = talk(no_soliciting=("net.example:ADV", "org.example:ADLT"))
    assert "NO-SOLICITING net.example:ADV,org.example:ADLT" in offered(one)
    assert one.say(b"MAIL FROM:<> SOLICIT=com.example:OK,NET.example:adv\r\n").startswith(
        b"550 5.7.1 SOLICIT=NET.example:adv Solicitations"  # RFC 3865 2.4
    )
    assert one.say(b"MAIL FROM:<> SOLICIT=com.example:OK\r\n").startswith(b"250 ")
    assert one.say(b"RSET\r\nMAIL FROM:<> SOLICIT=1x\r\n").endswith(
        b"501 5.5.4 Syntax error: SOLICIT: keywords expected\r\n"
    )
    assert talk().say(b"EHLO c\r\nMAIL FROM:<> SOLICIT=a\r\n").rpartition(b"\r\n555")[2]


def test_solicitation_fields() -> None:
    header = b"From: a@b\r\nSolicitation: net.example:ADV,\r\n org.example:ADLT\r\nX-Solicitation: no\r\n\r\n"
    assert in_header(header) == ["net.example:ADV", "org.example:ADLT"]
    assert unwanted(in_header(header), ["ORG.example:adlt"])
    assert not unwanted(in_header(header), ["no"])
    assert together(("a:B", "c", "A:b")) == ("a:B", "c")
    assert len(",".join(together(f"k{number:04}" for number in range(1_000)))) <= 1_000
    assert parse_solicit(b"a:B,c.d_E") == ("a:B", "c.d_E")
    for bad in (b"a" * 1_001, b"c.d/E", b"a,", b""):
        with pytest.raises(BadSyntax):
            parse_solicit(bad)


def test_what_is_said_of_solicitations_fits_into_a_reply() -> None:
    words = [f"net.example:{'A' * 50}{number}" for number in range(30)]
    assert refusal(words).startswith(f"SOLICIT={words[0]},{words[1]},{words[2]} ")
    assert len(refusal(["a" * 999])) < 1_100
