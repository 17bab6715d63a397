"""The cursor's productions: bytes to values, and what is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.imap4 import keys, responses
from protocols.imap4.commands import searchkeys
from protocols.imap4.commands.content import Form, Item
from protocols.imap4.commands.fetch import Fetch
from protocols.imap4.commands.listing import List
from protocols.imap4.commands.store import Store
from protocols.imap4.dialect import Dialect
from protocols.imap4.grammar import Announced, Cursor, announced_at_end
from protocols.imap4.responses import No
from protocols.imap4.sets import SequenceSet
from protocols.imap4.values import FlagChange
from protocols.imap4.verbs import VERBS
from protocols.message.sections import Kind, Section

REV2 = Dialect(rev2=True, utf8=True)


@pytest.mark.parametrize(
    ("taker", "wire", "value", "rest"),
    [
        ("atom", b"INBOX rest", b"INBOX", b" rest"),
        ("atom", b"a]b", b"a", b"]b"),
        ("astring", b"a]b c", b"a]b", b" c"),
        ("astring", b'"two words" x', b"two words", b" x"),
        ("astring", rb'"a\"b\\c"', rb'a"b\c', b""),
        ("astring", b'""', b"", b""),
        ("astring", '"ž"'.encode(), "ž".encode(), b""),
        ("nstring", b"NIL)", None, b")"),
        ("nstring", b'"NIL"', b"NIL", b""),
        ("number", b"4294967295", 4294967295, b""),
        ("tag", b"a.1[x] ", b"a.1[x]", b" "),
        ("flag", b"\\SEEN)", b"\\Seen", b")"),
        ("flag", b"$Forwarded", b"$Forwarded", b""),
        ("flag_list", b"()", (), b""),
        ("flag_list", b"(\\Seen a \\seen)", (b"\\Seen", b"a"), b""),
        ("mailbox", b"inbox", "INBOX", b""),
        ("mailbox", b'"InBoX/Sub"', "INBOX/Sub", b""),
        ("mailbox", b"inboxes", "inboxes", b""),
        ("mailbox", b"&ZeVnLIqe-", "日本語", b""),
        ("mailbox", '"日本語"'.encode(), "日本語", b""),
        ("list_mailbox", b"%/*x ", "%/*x", b" "),
        ("date", b"1-Feb-1994", date(1994, 2, 1), b""),
        ("date", b'"29-fEB-2000" ', date(2000, 2, 29), b" "),
        ("date_time", b'"17-Jul-1996 02:44:25 -0700"', 837596665_000_000, b""),
        ("date_time", b'" 1-Jan-1970 00:00:00 +0000"', 0, b""),
        ("sequence_set", b"1", SequenceSet(((1, 1),)), b""),
        ("sequence_set", b"2,4:7,9,12:* x", SequenceSet(((2, 2), (4, 7), (9, 9), (12, 0))), b" x"),
        ("sequence_set", b"*", SequenceSet(((0, 0),)), b""),
        ("sequence_set", b"*:4", SequenceSet(((0, 4),)), b""),
        ("sequence_set", b"$ x", SequenceSet((), saved=True), b" x"),
    ],
)
def test_takes(taker: str, wire: bytes, value: object, rest: bytes) -> None:
    cursor = Cursor(wire)
    assert getattr(cursor, taker)() == value
    assert wire[cursor.position :] == rest


@pytest.mark.parametrize(
    ("taker", "wire"),
    [
        ("atom", b""),
        ("atom", b"(x"),
        ("atom", "é".encode()),
        ("astring", b'"open'),
        ("astring", rb'"bad \x"'),
        ("astring", b'"\xff\xfe"'),
        ("astring", b"{5}"),
        ("astring", b"{5}abcde"),
        ("astring", b"%"),
        ("number", b"4294967296"),
        ("number", b"-1"),
        ("number", b"1" * 30),
        ("flag", b"\\Recent"),
        ("flag", b"\\"),
        ("flag", b"x" * 101),
        ("flag_list", b"(a  b)"),
        ("flag_list", b"(a"),
        ("flag_list", b"(a )"),
        ("mailbox", b"&Jjo!"),
        ("mailbox", b"&AGE-"),
        ("mailbox", b"&2AA-"),
        ("mailbox", b'"\xff"'),
        ("mailbox", b"x" * 1001),
        ("date", b"30-Feb-1994"),
        ("date", b"1-Foo-1994"),
        ("date", b'"1-Feb-1994'),
        ("date_time", b'"17-Jul-1996 25:44:25 -0700"'),
        ("date_time", b'"31-Dec-9999 23:59:59 -0100"'),
        ("date_time", b'" 1-Jan-0001 00:00:00 +0100"'),
        ("date_time", b'"17-Jul-1996 02:44:25"'),
        ("sequence_set", b"0"),
        ("sequence_set", b"1:0"),
        ("sequence_set", b"01"),
        ("sequence_set", b"1,"),
        ("sequence_set", b",1"),
        ("sequence_set", b"1:2:3"),
        ("sequence_set", b"4294967296"),
        ("sequence_set", b"1," * 20_000 + b"1"),
        ("message_literal", b"{3}"),
    ],
)
def test_refuses(taker: str, wire: bytes) -> None:
    cursor = Cursor(wire)
    with pytest.raises(BadSyntax):
        getattr(cursor, taker)()


def test_a_literal_stands_where_it_was_announced_and_nowhere_else() -> None:
    cursor = Cursor(b"{3} {3+}x", literals={3: b"a\r\n", 8: b"(b)"})
    assert cursor.astring() == b"a\r\n"
    cursor.space()
    assert cursor.astring() == b"(b)"
    assert cursor.atom() == b"x"
    with pytest.raises(BadSyntax):
        Cursor(b"{3} x", literals={5: b"abc"}).astring()


@pytest.mark.parametrize(
    ("line", "announced"),
    [
        (b"a LOGIN {5}", Announced(5, True, False)),
        (b"a LOGIN {0+}", Announced(0, False, False)),
        (b"a APPEND x ~{5}", Announced(5, True, True)),
        (b"a APPEND x ~{5+}", Announced(5, False, True)),
        (b"{18446744073709551615}", Announced(18446744073709551615, True, False)),
        (b"a {5", None),
        (b"a {-5}", None),
        (b"a {+}", None),
        (b"a {5} ", None),
        (b"a {" + b"1" * 40 + b"}", None),
        (b"}", None),
    ],
)
def test_announcements(line: bytes, announced: Announced | None) -> None:
    assert announced_at_end(line) == announced


def fetched(text: bytes, uid: bool = False) -> Any:
    return Fetch.parse(Cursor(b" " + text), uid)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (b"1 FLAGS", (b"FLAGS",)),
        (b"1 (flags uid flags)", (b"FLAGS", b"UID")),
        (b"1 fast", (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE")),
        (b"1 BODY", (b"BODY",)),
        (b"1 BODYSTRUCTURE", (b"BODYSTRUCTURE",)),
        (b"1 BODY[]", (Item(b"BODY[]", Section()),)),
        (b"1 BODY.PEEK[]<0.10>", (Item(b"BODY[]<0>", Section(), Form.BODY, (0, 10), True),)),
        (b"1 body[1.2.header]", (Item(b"BODY[1.2.HEADER]", Section((1, 2), Kind.HEADER)),)),
        (b"1 BODY[3.MIME]", (Item(b"BODY[3.MIME]", Section((3,), Kind.MIME)),)),
        (
            b'1 BODY[HEADER.FIELDS.NOT (To "From")]',
            (Item(b"BODY[HEADER.FIELDS.NOT (To From)]", Section((), Kind.FIELDS_NOT, (b"To", b"From"))),),
        ),
        (b"1 BINARY.SIZE[1]", (Item(b"BINARY.SIZE[1]", Section((1,)), Form.SIZE, None, True),)),
        (b"1 (BINARY.PEEK[1]<5.6>)", (Item(b"BINARY[1]<5>", Section((1,)), Form.BINARY, (5, 6), True),)),
        (b"1 RFC822.TEXT", (Item(b"RFC822.TEXT", Section((), Kind.TEXT)),)),
        (b"1 FLAGS (CHANGEDSINCE 7)", (b"FLAGS", b"MODSEQ")),
    ],
)
def test_fetch_items(text: bytes, items: tuple[object, ...]) -> None:
    assert fetched(text).items == items


@pytest.mark.parametrize(
    "text",
    [
        b"1", b"1 ", b"1 ()", b"1 (FAST)", b"1 BODY[", b"1 BODY[MIME]", b"1 BODY[HEADER.FIELDS ()]",
        b"1 BODY[0]", b"1 BODY[1.]", b"1 BODY[]<1>", b"1 BODY[]<1.0>", b"1 BINARY[HEADER]",
        b"1 BODYSTRUCTURE[]", b"1 FLAGS (NOSUCH 1)", b"1 " + b"(" * 100_000, b"1 BODY[" + b"1." * 50_000,
    ],
)  # fmt: skip
def test_fetch_refuses(text: bytes) -> None:
    cursor = Cursor(b" " + text)
    with pytest.raises(BadSyntax):
        Fetch.parse(cursor, False)
        cursor.end()


def searched(text: bytes, charset: str = "utf-8") -> keys.Key:
    return searchkeys.parse(Cursor(text), charset)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", keys.All()),
        (b"UNSEEN", keys.Flag(b"\\Seen", False)),
        (b"NEW", keys.And((keys.Recent(), keys.Flag(b"\\Seen", False)))),
        (b"keyword $X", keys.Flag(b"$X")),
        (b"1:3", keys.Numbers(SequenceSet(((1, 3),)))),
        (b"UID *", keys.Numbers(SequenceSet(((0, 0),), uid=True))),
        (b"NOT NOT ALL", keys.Not(keys.Not(keys.All()))),
        (b"OR SEEN NOT DRAFT", keys.Or(keys.Flag(b"\\Seen"), keys.Not(keys.Flag(b"\\Draft")))),
        (b"OR (SEEN ALL) ALL 5", keys.And((
            keys.Or(keys.And((keys.Flag(b"\\Seen"), keys.All())), keys.All()),
            keys.Numbers(SequenceSet(((5, 5),))),
        ))),
        (b"((ALL))", keys.All()),
        (b'HEADER X-Y ""', keys.Header("x-y", "")),
        (b'FROM "Sm\xc3\xadth"', keys.Header("from", "Smíth")),
        (b"SENTSINCE 1-Feb-1994", keys.Sent(keys.When.SINCE, date(1994, 2, 1))),
        (b"LARGER 9223372036854775807", keys.Larger(2**63 - 1)),
        (b'MODSEQ "/flags/\\\\seen" priv 5', keys.ModSeqAtLeast(5)),
    ],
)  # fmt: skip
def test_search_keys(text: bytes, key: keys.Key) -> None:
    assert searched(text) == key


@pytest.mark.parametrize(
    "text",
    [
        b"", b"NOT", b"NOT ", b"OR ALL", b"(ALL", b"ALL)", b"()", b"ALL  ALL", b"FROM", b"LARGER x",
        b"NOSUCH", b'FROM "\xff"', b"KEYWORD \\Foo", b"(" * 60 + b"ALL" + b")" * 60, b"NOT " * 60 + b"ALL",
        b"OR " * 100_000, b"ALL " * 3000 + b"ALL", b"TEXT " + b"x" * 5000, b"(" * 100_000,
    ],
)  # fmt: skip
def test_search_refuses(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        searched(text)


def test_search_text_is_decoded_from_the_charset() -> None:
    cursor = Cursor(b"TEXT {1}", literals={8: b"\xe9"})
    assert searchkeys.parse(cursor, "latin-1") == keys.Text("é")
    assert searchkeys.charset_named(b"ISO-8859-1")
    for bad in (b"base64", b"nosuch", b"../x", b"", b"zip"):
        with pytest.raises(No):
            searchkeys.charset_named(bad)


@pytest.mark.parametrize(
    ("text", "store"),
    [
        (b"1 +FLAGS (\\Seen)", Store(SequenceSet(((1, 1),)), FlagChange.ADD, (b"\\Seen",), False)),
        (b"1 -flags.silent a b", Store(SequenceSet(((1, 1),)), FlagChange.REMOVE, (b"a", b"b"), True)),
        (b"1 FLAGS ()", Store(SequenceSet(((1, 1),)), FlagChange.REPLACE, (), False)),
        (
            b"1 (UNCHANGEDSINCE 0) FLAGS x",
            Store(SequenceSet(((1, 1),)), FlagChange.REPLACE, (b"x",), False, 0),
        ),
    ],
)
def test_store(text: bytes, store: Store) -> None:
    assert Store.parse(Cursor(b" " + text), False) == store


def test_list_options() -> None:
    parsed = List.parse(Cursor(b' (SUBSCRIBED) "" (a %) RETURN (CHILDREN STATUS (MESSAGES))'), False)
    assert parsed == List(
        "", ("a", "%"), frozenset({b"SUBSCRIBED"}), frozenset({b"CHILDREN"}), (b"MESSAGES",), True
    )


@given(st.sampled_from(sorted(VERBS)), st.binary(max_size=200), st.booleans())
def test_garbage_raises_only_bad_syntax(name: bytes, text: bytes, rev2: bool) -> None:
    cursor = Cursor(b" " + text, dialect=REV2 if rev2 else Dialect())
    try:
        VERBS[name].command.parse(cursor, VERBS[name].uid)
    except (BadSyntax, No):
        pass


TOKENS = [
    b" ", b"(", b")", b"1", b"*", b":", b",", b"$", b"BODY", b"[", b"]", b"<0.1>", b"HEADER.FIELDS", b"NOT",
    b"OR", b"ALL", b"FROM", b'"x"', b"RETURN", b"SAVE", b"CHARSET", b"utf-8", b"UID", b"\\Seen", b"{3}", b".",
    b"FLAGS", b"MODSEQ", b"1-Feb-1994", b"&-", b"&", b"%", b"INBOX", b"~", b"STATUS", b"MESSAGES", b"NIL",
]  # fmt: skip


@given(st.sampled_from(sorted(VERBS)), st.lists(st.sampled_from(TOKENS), max_size=30))
def test_likely_garbage_raises_only_bad_syntax(name: bytes, tokens: list[bytes]) -> None:
    cursor = Cursor(b"".join(tokens), literals={3: b"abc"})
    try:
        VERBS[name].command.parse(cursor, VERBS[name].uid)
    except (BadSyntax, No):
        pass


@given(st.binary(max_size=50).filter(lambda text: b"\0" not in text), st.booleans())
def test_an_encoded_astring_parses_back(text: bytes, utf8: bool) -> None:
    wire = responses.astring(text, utf8)
    head, _, rest = wire.partition(b"\r\n")
    if head.endswith(b"}") and rest:
        assert Cursor(head, literals={len(head): rest}).astring() == text
    elif utf8 and not text.isascii():
        pass  # the caller hands over valid UTF-8
    else:
        assert Cursor(wire).astring() == text


@pytest.mark.parametrize(
    ("wire", "ranges"),
    [
        (b"1,3,5", ((1, 1), (3, 3), (5, 5))),
        (b"4294967295,1", ((4294967295, 4294967295), (1, 1))),
        (b"1,2:3", ((1, 1), (2, 3))),
        (b"1,02", None),
        (b"1,,2", None),
        (b"1,2,", None),
        (b"1,4294967296", None),
        (b"1" * 60_000, None),
        (b"1," + b"9" * 60_000, None),
        (b",".join([b"7"] * 20_001), None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_lists_of_numbers_are_sets(wire: bytes, ranges: object) -> None:
    if ranges is None:
        with pytest.raises(BadSyntax):
            Cursor(wire).sequence_set()
    else:
        assert Cursor(wire).sequence_set().ranges == ranges
