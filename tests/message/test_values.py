"""Words, charsets, addresses, dates, parameters: tables, and garbage."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.message import charsets, dates, domains, headers, mime, words
from protocols.message.addresses import MAX_ADDRESSES, Address, Group, mailboxes, parse

# Headers --------------------------------------------------------------------------------


def test_fields_by_offset() -> None:
    header = b"Subject: one\r\n two\r\nX-Odd : 3\r\nnot a field\r\nTo:\r\n\r\n"
    found = headers.fields(header)
    assert [(f.name, f.text) for f in found] == [(b"Subject", b"one two"), (b"X-Odd", b"3"), (b"To", b"")]
    assert header[found[0].start : found[0].stop] == b"Subject: one\r\n two\r\n"
    assert headers.get(header, b"SUBJECT") == b"one two"
    assert headers.get(header, b"Cc") is None
    assert headers.every(b"A: 1\r\na: 2\r\n\r\n", b"A") == [b"1", b"2"]


@given(
    st.lists(
        st.sampled_from(
            [b"To: a\r\n", b"to : b\r\n", b" more\r\n", b"X-To: c\r\n", b"junk\r\n", b"A+: d\n", b"a+:\r\n"]
        )
    ),
    st.sets(st.sampled_from([b"To", b"A+", b"Cc", b"junk"])),
)
def test_fields_of_a_long_header_are_selected_like_those_of_a_short_one(
    lines: list[bytes], names: set[bytes]
) -> None:
    header = b"".join(lines)
    more = b"X-Long: " + b"y" * headers.LONG + b"\r\n"
    assert headers.select(more + header, names) == headers.select(b"X-Long: y\r\n" + header, names)


def test_repeated_recipient_fields_are_one_list() -> None:
    assert mailboxes(headers.first(b"To: a@b\r\nto: c@d\r\n\r\n")[b"to"]) == [
        Address(None, None, b"a", b"b"),
        Address(None, None, b"c", b"d"),
    ]


@given(st.binary(max_size=200), st.lists(st.sampled_from([b"a", b"subject"]), max_size=2))
def test_select_and_its_complement_have_every_field(data: bytes, names: list[bytes]) -> None:
    header = b"A: 1\r\nSubject: x\r\n" + data
    chosen = headers.select(header, names)
    others = headers.select(header, names, exclude=True)
    assert chosen.endswith(b"\r\n") and others.endswith(b"\r\n")
    assert len(headers.fields(chosen)) + len(headers.fields(others)) == len(headers.fields(header))


# Words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?ISO-8859-1?Q?a?=", "a"),
        # RFC 2047 8
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  \r\n =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
        # RFC 2231 5: language
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # A character cut in two by a careless sender
        (b"=?utf-8?B?w5w=?= =?utf-8?Q?b=C3?= =?utf-8?Q?=A4r?=", "Übär"),
        # Broken base64, unknown charset, unknown encoding, no end
        (b"=?utf-8?B?SGFsbG8?=", "Hallo"),
        (b"=?x-nothing?Q?abc?=", "abc"),
        (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        (b"=?utf-8?Q?abc", "=?utf-8?Q?abc"),
        (b"=?utf-8?Q?a b?= c", "a b c"),
        ("roh ü".encode(), "roh ü"),
        ("roh ü".encode("latin-1"), "roh ü"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?gb2312?B?1tDOxA==?=", "中文"),
        (b"=?utf-8?Q?a=0D=0Ab?=", "ab"),
    ],
)
def test_encoded_words(value: bytes, text: str) -> None:
    assert words.decode(value) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), max_size=200))
def test_decode_of_encode_is_identity(text: str) -> None:
    encoded = words.encode(text)
    assert encoded.isascii()
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n") if b"=?" in line)
    assert words.decode(encoded) == text


@given(st.binary(max_size=200))
def test_garbage_words_never_raise(data: bytes) -> None:
    words.decode(data)
    words.decode(b"=?utf-8?B?" + data + b"?=")
    words.decode(b"=?" + data + b"?Q?=41?=")


def test_charsets() -> None:
    assert charsets.known("UTF-8") and charsets.known("Windows-1251") and charsets.known("us-ascii")
    assert not charsets.known("x-none") and not charsets.known("unicode_escape")
    assert not charsets.known("base64") and not charsets.known("rot13") and not charsets.known("idna")
    assert charsets.decode(b"\xfc", "us-ascii") == "ü"
    assert charsets.decode(b"\x80", "iso-8859-1") == "€"


@given(
    st.binary(max_size=60), st.text(max_size=20) | st.sampled_from(["utf-7", "utf-16", "iso-2022-kr", "hz"])
)
def test_any_octets_in_any_charset_are_some_text(data: bytes, charset: str) -> None:
    assert isinstance(charsets.decode(data, charset), str)


# Parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (b"; charset=utf-8", b"CHARSET", "utf-8"),
        (b'; name="a \\"b\\".txt"', b"NAME", 'a "b".txt'),
        (b"; name=a (comment) ; x=y", b"NAME", "a"),
        (b"; filename*=utf-8''n%C3%A4me.txt", b"FILENAME", "näme.txt"),
        (b"; filename*0=first; filename*1=second", b"FILENAME", "firstsecond"),
        (b"; filename*1=second; filename*0=first", b"FILENAME", "firstsecond"),
        # RFC 2231 4.1
        (
            b"; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20;"
            b' title*2="isn\'t it!"',
            b"TITLE",
            "This is even more ***fun*** isn't it!",
        ),
        (b'; name="=?utf-8?Q?n=C3=A4me?="', b"NAME", "näme"),
        (b'; name="unclosed', b"NAME", "unclosed"),
        (b"; name=", b"NAME", ""),
        (b"; a=1; a=2", b"A", "1"),
        (b"; name*1=only", b"NAME", None),
        (b"; x=\r\n y", b"X", "y"),
    ],
)
def test_parameters(value: bytes, name: bytes, text: str | None) -> None:
    assert words.parameter(mime.parameters(value), name) == text


@given(st.binary(max_size=120))
def test_garbage_content_fields_never_raise(data: bytes) -> None:
    fields = {b"content-type": data, b"content-disposition": data, b"content-language": data}
    content = mime.describe(fields | {b"content-transfer-encoding": data, b"content-location": data})
    assert content.type.isascii() and content.subtype.isascii()
    words.parameter(mime.parameters(b";" + data), b"A")
    words.extended(data)


# Addresses ------------------------------------------------------------------------------


def A(mailbox: bytes, host: bytes | None, name: bytes | None = None, route: bytes | None = None) -> Address:
    return Address(name, route, mailbox, host)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b"a@b", [A(b"a", b"b")]),
        (b"<a@b>", [A(b"a", b"b")]),
        (b"Name <a@b>", [A(b"a", b"b", b"Name")]),
        (b'"Last, First" <a@b>, c@d', [A(b"a", b"b", b"Last, First"), A(b"c", b"d")]),
        (b"a@b (Name)", [A(b"a", b"b", b"Name")]),
        (b"(before) a@b", [A(b"a", b"b", b"before")]),
        # RFC 5322 A.1.2
        (
            b'"Joe Q. Public" <john.q.public@example.com>, Mary Smith <mary@x.test>, jdoe@example.org, '
            b'Who? <one@y.test>, <boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
            [
                A(b"john.q.public", b"example.com", b"Joe Q. Public"),
                A(b"mary", b"x.test", b"Mary Smith"),
                A(b"jdoe", b"example.org"),
                A(b"one", b"y.test", b"Who?"),
                A(b"boss", b"nil.test"),
                A(b"sysservices", b"example.net", b'Giant; "Big" Box'),
            ],
        ),
        # RFC 5322 A.1.3
        (
            b"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            [
                Group(
                    b"A Group",
                    (
                        A(b"c", b"a.test", b"Ed Jones"),
                        A(b"joe", b"where.test"),
                        A(b"jdoe", b"one.test", b"John"),
                    ),
                )
            ],
        ),
        (b"Undisclosed recipients:;", [Group(b"Undisclosed recipients", ())]),
        # RFC 5322 A.5
        (
            b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [A(b"pete", b"silly.test", b"Pete")],
        ),
        (
            b"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
            [Group(b"Hidden recipients", ())],
        ),
        # RFC 5322 A.6.1
        (
            b"Joe Q. Public <john.q.public@example.com>",
            [A(b"john.q.public", b"example.com", b"Joe Q. Public")],
        ),
        (
            b"Mary Smith <@node.test,@nodeB.test:mary@example.net>, , jdoe@test  . example",
            [
                A(b"mary", b"example.net", b"Mary Smith", b"@node.test,@nodeB.test"),
                A(b"jdoe", b"test.example"),
            ],
        ),
        (b"john . public @ example . test", [A(b"john.public", b"example.test")]),
        (b'"quoted local"@b', [A(b"quoted local", b"b")]),
        (b"a@[192.0.2.1]", [A(b"a", b"[192.0.2.1]")]),
        (b"Name <a@[IPv6:2001:db8::1]>", [A(b"a", b"[IPv6:2001:db8::1]", b"Name")]),
        (b"just words here", [A(b"just words here", None)]),
        (b"<>", []),
        (b"MAILER-DAEMON", [A(b"MAILER-DAEMON", None)]),
        (b"Name <a@b", [A(b"a", b"b", b"Name")]),
        (b"a@b;c@d", [A(b"a", b"b"), A(b"c", b"d")]),
        ("Jörg <jörg@müller.test>".encode(), [A("jörg".encode(), "müller.test".encode(), "Jörg".encode())]),
        (b"=?utf-8?Q?J=C3=B6rg?= <j@b>", [A(b"j", b"b", b"=?utf-8?Q?J=C3=B6rg?=")]),
        (b'"unclosed <a@b>', [A(b"unclosed <a@b>", None)]),
        (b"a@b@c", [A(b"a@b", b"c")]),
        (b"Name\r\n <a@b>,\r\n\tc@d", [A(b"a", b"b", b"Name"), A(b"c", b"d")]),
    ],
)
def test_addresses(value: bytes, expected: list[object]) -> None:
    assert parse(value) == expected


@given(st.binary(max_size=200) | st.text(alphabet='ab@<>,;:()[]"\\. \r\n', max_size=60).map(str.encode))
def test_garbage_addresses_never_raise(data: bytes) -> None:
    for address in mailboxes(data):
        assert isinstance(address.spec, bytes) and isinstance(address.display, str)


def test_deep_and_long_lists_are_bounded() -> None:
    assert mailboxes(b"(" * 1_000 + b"x" + b")" * 1_000 + b" a@b")[-1].spec == b"a@b"
    assert parse(b"(" * 100_000 + b"x" + b")" * 100_000 + b" a@b") == []
    assert len(parse(b"a@b," * 20_000)) == MAX_ADDRESSES
    assert parse(b"(odd) a@b, " + b"c@d, " * 50)[-1] == A(b"c", b"d")
    parse(b"<" * 50_000)
    parse(b"@a," * 50_000)


def test_spec_and_display() -> None:
    assert A(b"quoted local", b"b").spec == b'"quoted local"@b'
    assert A(b"a.b", b"c").spec == b"a.b@c"
    assert A(b"a", b"b", b"=?utf-8?Q?J=C3=B6rg?=").display == "Jörg"


def test_domains() -> None:
    assert domains.to_ascii("bücher.example".encode()) == b"xn--bcher-kva.example"
    assert domains.to_ascii(b"EXAMPLE.Test") == b"example.test"
    assert domains.to_ascii(b"\xff\xfe") is None
    assert domains.to_unicode(b"xn--bcher-kva.example") == "bücher.example"


# Dates ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T09:55:06-06:00"),
        (b"21 Nov 97 09:55:06 GMT", "1997-11-21T09:55:06+00:00"),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "1997-11-21T09:55:06-06:00"),
        (
            b"Thu,\r\n 13\r\n  Feb\r\n  1969\r\n  23:32\r\n  -0330 (Newfoundland Time)",
            "1969-02-13T23:32:00-03:30",
        ),
        (b"Mon, 23 Nov 2026 18:08 +0100", "2026-11-23T18:08:00+01:00"),
        (b"23 Nov 2026 18:08:58", "2026-11-23T18:08:58+00:00"),
        (b"Monday, 23 November 2026 18:08:58 PST", "2026-11-23T18:08:58-08:00"),
        (b"Mon Nov 23 18:08:58 2026", "2026-11-23T18:08:58+00:00"),
        (b"Mon Nov 23 18:08:58 EST 2026", "2026-11-23T18:08:58-05:00"),
        (b"2026-11-23T18:08:58Z", "2026-11-23T18:08:58+00:00"),
        (b"2026-11-23 18:08:58.123 +02:00", "2026-11-23T18:08:58+02:00"),
        (b"23-Nov-2026 18:08:58 -0000", "2026-11-23T18:08:58+00:00"),
        (b"1 Jan 100 00:00:00 +0000", "2000-01-01T00:00:00+00:00"),
        (b"31 Dec 2016 23:59:60 +0000", "2016-12-31T23:59:59+00:00"),
        (b"Mon, 23 Nov 2026 6:08:58 PM +0000", "2026-11-23T18:08:58+00:00"),
        (b"Mon, 23 Nov 2026 18:08:58 GMT+0100", "2026-11-23T18:08:58+01:00"),
        (b"30 Feb 2026 00:00:00 +0000", None),
        (b"yesterday", None),
        (b"", None),
        (b"1 Jan 99999 00:00:00 +0000", None),
    ],
)
def test_dates(value: bytes, expected: str | None) -> None:
    moment = dates.parse(value)
    assert (None if moment is None else moment.isoformat()) == expected


def test_date_formatted() -> None:
    assert dates.format(0) == b"Thu, 01 Jan 1970 00:00:00 +0000"
    assert dates.format(1795456797, 60) == b"Mon, 23 Nov 2026 18:59:57 +0100"
    assert dates.format(1795456797, -210).endswith(b" -0330")


@given(st.integers(0, 4_000_000_000), st.integers(-1439, 1439))
def test_parse_of_format_is_identity(seconds: int, offset: int) -> None:
    moment = dates.parse(dates.format(seconds, offset))
    assert moment is not None
    assert dates.microseconds(moment) == seconds * 1_000_000
    assert moment.astimezone(UTC).timestamp() == seconds


@given(st.binary(max_size=80) | st.text(alphabet="0123456789 :+-,JanFeb", max_size=40).map(str.encode))
def test_garbage_dates_never_raise(data: bytes) -> None:
    dates.parse(data)
