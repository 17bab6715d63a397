"""Paths, parameters, addresses: octets to values and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.smtp.grammar import (
    BadPath,
    Cursor,
    Path,
    decode_xtext,
    encode_xtext,
    parse_address,
    parse_forward_path,
    parse_hello,
    parse_parameters,
    parse_reverse_path,
)
from protocols.smtp.parameters import MailParameters, RcptParameters


@pytest.mark.parametrize(
    ("wire", "local", "domain"),
    [
        (b"<a@b.example>", "a", "b.example"),
        (b"<a.b+c=d@b>", "a.b+c=d", "b"),
        (b'<"a b"@b.example>', "a b", "b.example"),
        (b'<"a\\"b\\\\"@b.example>', 'a"b\\', "b.example"),
        (b'<"a"@b.example>', "a", "b.example"),
        (b"<a@[192.0.2.1]>", "a", "[192.0.2.1]"),
        (b"<a@[IPv6:2001:db8::1]>", "a", "[IPv6:2001:db8::1]"),
        (b"<@x.example,@y.example:a@b.example>", "a", "b.example"),
        (b"<a@b.example.>", "a", "b.example"),
        (b"<a_b@under_score.example>", "a_b", "under_score.example"),
        ("<ä@bücher.example>".encode(), "ä", "bücher.example"),
        (b"<a!b%c@d>", "a!b%c", "d"),
        (b"<postmaster@x.example>", "postmaster", "x.example"),
        (b"<PostMaster>", "PostMaster", ""),
    ],
)
def test_forward_path(wire: bytes, local: str, domain: str) -> None:
    assert parse_forward_path(Cursor(wire)) == Path(local, domain)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"a@b",
        b"<a>",
        b"<@b>",
        b"<a@>",
        b"<a@@b>",
        b"<a b@c>",
        b"<a@b c>",
        b"<.a@b>",
        b"<a.@b>",
        b"<a..b@c>",
        b'<""@b>',
        b'<"a@b>',
        b"<a@[1.2.3]>",
        b"<a@[x]>",
        b"<a@-b.example>",
        b"<a@b..c>",
        b"<a@b",
        b"<a\x00@b>",
        b"<" + b"a" * 65 + b"@b>",
        b"<a@" + b"b." * 140 + b"c>",
        b"<\xff@b>",
        b"<a@[IPv6:zz]>",
    ],
)
def test_no_path(wire: bytes) -> None:
    with pytest.raises(BadPath):
        parse_forward_path(Cursor(wire))


def test_null_reverse_path() -> None:
    path = parse_reverse_path(Cursor(b"<>"))
    assert not path
    assert str(path) == ""


LOCALS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=16)


@given(LOCALS)
def test_what_is_written_is_read_again(local: str) -> None:
    if any(ord(c) > 0x7F for c in local) and any(c in local for c in "\u0085\u2028\u2029"):
        return
    path = Path(local, "example.test")
    assert parse_address(str(path).encode()) == path


@given(st.binary(max_size=80))
def test_garbage_raises_bad_syntax_only(data: bytes) -> None:
    for parse in (parse_forward_path, parse_reverse_path, parse_parameters):
        try:
            parse(Cursor(data))  # type: ignore[operator]
        except BadSyntax:
            pass
    for kind in (MailParameters, RcptParameters):
        try:
            kind.parse(parse_parameters(Cursor(b" " + data)))
        except BadSyntax:
            pass
    try:
        parse_hello(data)
    except BadSyntax:
        pass


@given(st.binary(max_size=60))
def test_xtext_comes_back(data: bytes) -> None:
    assert decode_xtext(encode_xtext(data)) == data


EVERYTHING = {"SIZE", "8BITMIME", "DSN", "AUTH", "SMTPUTF8", "BINARYMIME"}


@pytest.mark.parametrize(
    "parameters",
    [
        MailParameters(),
        MailParameters(size=10, body="8BITMIME", ret="FULL", envid="a b+c=", auth="a@b.example"),
        MailParameters(body="BINARYMIME", smtputf8=True, ret="HDRS", auth="<>"),
    ],
)
def test_mail_parameters_come_back(parameters: MailParameters) -> None:
    assert MailParameters.parse(parse_parameters(Cursor(parameters.encode(EVERYTHING)))) == parameters


@pytest.mark.parametrize(
    "parameters",
    [
        RcptParameters(),
        RcptParameters(("NEVER",)),
        RcptParameters(("SUCCESS", "FAILURE", "DELAY"), "rfc822", "a+b=c@example.test"),
        RcptParameters((), "utf-8", "bücher\\+=@example.test"),
    ],
)
def test_rcpt_parameters_come_back(parameters: RcptParameters) -> None:
    assert RcptParameters.parse(parse_parameters(Cursor(parameters.encode(EVERYTHING)))) == parameters


@pytest.mark.parametrize(
    "text",
    [
        b" SIZE",
        b" SIZE=x",
        b" SIZE=" + b"1" * 21,
        b" SIZE=1 SIZE=1",
        b" BODY=9BIT",
        b" RET=ALL",
        b" ENVID=",
        b" ENVID=a+zz",
        b" ENVID=" + b"x" * 101,
        b" AUTH=",
        b" =x",
        b" X=1",
        b" SIZE=1=2",
        b"SIZE=1",
        b" SMTPUTF8=1",
    ],
)
def test_bad_mail_parameters(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        MailParameters.parse(parse_parameters(Cursor(text)))


@pytest.mark.parametrize(
    "text",
    [
        b" NOTIFY=",
        b" NOTIFY=NEVER,DELAY",
        b" NOTIFY=SOME",
        b" ORCPT=a@b",
        b" ORCPT=rfc822;",
        b" ORCPT=rfc822;a+0ab",
        b" ORCPT=utf-8;\\x{D800}",
        b" ORCPT=utf-8;\\x{FFFFFF}",
        b" ORCPT=rfc822;a+0D+0Ab",
    ],
)
def test_bad_rcpt_parameters(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        RcptParameters.parse(parse_parameters(Cursor(text)))
