"""ACL and METADATA commands: tables of bytes to values and back to BAD."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.imap4 import responses
from protocols.imap4.commands.acl import DeleteAcl, ListRights, SetAcl
from protocols.imap4.commands.metadata import INFINITY, GetMetadata, SetMetadata
from protocols.imap4.dialect import PLAIN
from protocols.imap4.grammar import Cursor


def parsed(command, text):
    cursor = Cursor(text)
    value = command.parse(cursor, False)
    cursor.end()
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b" INBOX fred lrs", SetAcl("INBOX", "fred", "lrs", "")),
        (b' INBOX "Fred Nobody" +cd', SetAcl("INBOX", "Fred Nobody", "kxte", "+")),
        (b" INBOX -$team -c", SetAcl("INBOX", "-$team", "kx", "-")),
        (b' INBOX anyone ""', SetAcl("INBOX", "anyone", "", "")),
        (b' INBOX "\xe2\x85\xa8" l', SetAcl("INBOX", "IX", "l", "")),  # SASLprep
    ],
)
def test_setacl(text, value):
    assert parsed(SetAcl, text) == value


@pytest.mark.parametrize(
    "text",
    [
        b" INBOX fred lQ",
        b" INBOX fred lrz",
        b" INBOX fred l+r",
        b' INBOX "" l',
        b" INBOX - l",
        b" INBOX fred",
        b' INBOX "\xc2\xad" l',
        b' INBOX "\xc2\x85" l',
        b" INBOX " + b"x" * 600 + b" l",
    ],
)
def test_what_is_no_setacl(text):
    with pytest.raises(BadSyntax):
        parsed(SetAcl, text)


def test_identifiers_alone():
    assert parsed(DeleteAcl, b" a b") == DeleteAcl("a", "b")
    assert parsed(ListRights, b' "a b" -c') == ListRights("a b", "-c")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b' "" /shared/Comment', GetMetadata("", ("/shared/comment",))),
        (b" INBOX (/shared/a /private/b)", GetMetadata("INBOX", ("/shared/a", "/private/b"))),
        (b" INBOX /shared/a /private/b", GetMetadata("INBOX", ("/shared/a", "/private/b"))),
        (b" (DEPTH infinity) INBOX /shared", GetMetadata("INBOX", ("/shared",), INFINITY)),
        (b" INBOX (maxsize 9 depth 1) (/shared/a)", GetMetadata("INBOX", ("/shared/a",), 1, 9)),
    ],
)
def test_getmetadata(text, value):
    assert parsed(GetMetadata, text) == value


@pytest.mark.parametrize(
    "text",
    [
        b" INBOX",
        b" INBOX ()",
        b" INBOX (/other/a)",
        b" INBOX /shared/",
        b" INBOX /shared//a",
        b' INBOX "/shared/*"',
        b' INBOX "/shared/%"',
        b' INBOX "/shared/\xc3\xa9"',
        b" INBOX (DEPTH 2) /shared/a",
        b" INBOX /shared/" + b"a" * 300,
        b" INBOX (" + b" ".join(b"/shared/%d" % n for n in range(101)) + b")",
    ],
)
def test_what_is_no_getmetadata(text):
    with pytest.raises(BadSyntax):
        parsed(GetMetadata, text)


def test_setmetadata():
    assert parsed(SetMetadata, b' a (/shared/b NIL /private/C "x")').values == (
        ("/shared/b", None),
        ("/private/c", b"x"),
    )
    for text in (b" a ()", b" a /shared/b x", b" a (/shared NIL)", b" a (/shared/vendor/x NIL)"):
        with pytest.raises(BadSyntax):
            parsed(SetMetadata, text)


@given(st.binary(max_size=200), st.booleans())
def test_values_survive_the_wire(value, utf8):
    """Whatever octets a value has, a client that reads the response gets them back."""
    line = responses._value(value, utf8)
    cut = line.find(b"}\r\n") if line[:1] in (b"{", b"~") else -1
    if cut >= 0:
        assert line[cut + 3 :] == value
    else:
        assert Cursor(line).string() == value
        assert utf8 or line.isascii()


@given(st.text(alphabet="lrswipkxtea", max_size=12))
def test_old_rights_are_told_with_their_members(held):
    shown = responses.rights(held.encode())
    assert (b"c" in shown) == bool({"k", "x"} & set(held))
    assert (b"d" in shown) == bool({"t", "e"} & set(held))
    assert responses.my_rights("a", held.encode(), PLAIN).startswith(b"* MYRIGHTS a ")
