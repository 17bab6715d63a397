"""LDIF, cut and read (RFC 2849)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldaptor.protocols.ldap.ldif import asLDIF

from protocols.errors import BadSyntax
from protocols.ldap import ldif
from protocols.ldap.ldif import Add, Content, Delete, Modify, Rename


def read(text: bytes) -> ldif.Record:
    (chunk,) = ldif.chunks(text.splitlines(keepends=True))
    return ldif.record(chunk.text)


# The examples of RFC 2849 are of these forms.
RECORDS = [
    (
        b"version: 1\ndn: cn=a,o=b\nobjectclass: top\nobjectclass: person\nsn: x\n"
        b"telephonenumber: +1 408 555 1212\n",
        Content("cn=a,o=b", (("objectclass", (b"top", b"person")), ("sn", (b"x",)),
                             ("telephonenumber", (b"+1 408 555 1212",)))),
    ),
    (
        b"dn: cn=a,\n  o=b\r\ndescription:Some\r\n  words\r\n  , folded\r\n",
        Content("cn=a, o=b", (("description", (b"Some words , folded",)),)),
    ),
    (
        b"# a comment\n# and one\n  folded\ndn:: b3U95Za25qWt6YOo\n"
        b"ou;lang-ja:: 5Za25qWt6YOo\nou;lang-en:  Sales \n",
        Content("ou=\u55b6\u696d\u90e8", (("ou;lang-ja", ("\u55b6\u696d\u90e8".encode(),)),
                                         ("ou;lang-en", (b"Sales ",)))),
    ),
    (b"dn: cn=a\ncontrol: 1.2.3 false\nchangetype: delete\n", Delete("cn=a")),
    (b"dn: cn=a\nchangetype: add\nsn: x\nSN: y\n", Add("cn=a", (("sn", (b"x", b"y")),))),
    (b"dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\ndeleteoldrdn: 1\n", Rename("cn=a", "cn=b", True, None)),
    (
        b"dn: cn=a\nchangetype: moddn\nnewrdn: cn=b\ndeleteoldrdn: 0\nnewsuperior: o=c\n",
        Rename("cn=a", "cn=b", False, "o=c"),
    ),
    (
        b"dn: cn=a\nchangetype: modify\nadd: sn\nsn: x\n-\ndelete: description\n-\nreplace: l\nl: y\n"
        b"l: z\n-\ndelete: title\ntitle: t\n",
        Modify("cn=a", (("add", "sn", (b"x",)), ("delete", "description", ()), ("replace", "l", (b"y", b"z")),
                        ("delete", "title", (b"t",)))),
    ),
    (b"dn:\nobjectclass: top\n", Content("", (("objectclass", (b"top",)),))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), RECORDS)
def test_records(text: bytes, wanted: ldif.Record) -> None:
    assert read(text) == wanted


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"cn: first\ndn: cn=a\n", 1),
        (b"version: 2\ndn: cn=a\ncn: x\n", 1),
        (b"dn: cn=a\n", 1),
        (b"dn: cn=a\nnonsense\n", 2),
        (b"dn: cn=a\ncn:< file:///etc/passwd\n", 2),
        (b"dn: cn=a\ncn:: ?\n", 2),
        (b"dn: \xff\ncn: x\n", 1),
        (b"dn: cn=a\nchangetype: destroy\n", 2),
        (b"dn: cn=a\nchangetype: delete\ncn: x\n", 3),
        (b"dn: cn=a\nchangetype: modify\n", 2),
        (b"dn: cn=a\nchangetype: modify\nadd: cn\nsn: x\n", 4),
        (b"dn: cn=a\nchangetype: modify\nput: cn\n", 3),
        (b"dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\n", 2),
        (b"dn: cn=a\ncontrol: 1.2.3 true\nchangetype: delete\n", 2),
        (b"dn: cn=a\ncn: x\n-\n", 3),
        (b" cn: x\n", 1),
    ],
)
def test_what_is_none_is_said_with_its_line(text: bytes, line: int) -> None:
    with pytest.raises(BadSyntax) as caught:
        read(text)
    assert caught.value.position == line


def test_records_are_cut_with_their_places() -> None:
    text = b"version: 1\n\n# alone\n\ndn: cn=a\ncn: a\n\n\r\ndn: cn=b\r\ncn: b\r\n\r\n# last\ndn: cn=c\ncn: c"
    cut = list(ldif.chunks(text.splitlines(keepends=True)))
    assert [chunk.line for chunk in cut] == [5, 9, 12]
    assert [text[chunk.start :][: len(chunk.text)] for chunk in cut] == [chunk.text for chunk in cut]
    assert [ldif.record(chunk.text).dn for chunk in cut] == ["cn=a", "cn=b", "cn=c"]


@pytest.mark.parametrize("head", [b"version: 1\n", b"", b"# what\n"])
def test_the_byte_order_mark_of_an_editor_is_no_part_of_the_first_record(head: bytes) -> None:
    text = b"\xef\xbb\xbf" + head + b"dn: cn=a\ncn: a\n\ndn: cn=b\ncn: b\n"
    cut = list(ldif.chunks(text.splitlines(keepends=True)))
    assert [ldif.record(chunk.text).dn for chunk in cut] == ["cn=a", "cn=b"]
    assert [text[chunk.start :][: len(chunk.text)] for chunk in cut] == [chunk.text for chunk in cut]


def test_comments_may_stand_before_the_version() -> None:
    text = b"# what\n  this is\n#\nversion: 1\ndn: cn=a\ncn: a\n"
    (chunk,) = ldif.chunks(text.splitlines(keepends=True))
    assert (chunk.line, text[chunk.start :]) == (5, chunk.text)
    assert ldif.record(chunk.text).dn == "cn=a"


def test_a_record_without_end_is_cut_short_and_refused() -> None:
    lines = [b"dn: cn=a\n", *[b"cn: " + b"x" * 1_000_000 + b"\n"] * 20]
    (chunk,) = ldif.chunks(lines)
    assert len(chunk.text) == ldif.MAX_RECORD + 1
    with pytest.raises(BadSyntax):
        ldif.record(chunk.text)


values = st.lists(st.binary(min_size=1, max_size=120), min_size=1, max_size=3, unique=True)


@given(st.dictionaries(st.sampled_from(["cn", "sn", "description", "x-y"]), values, min_size=1))
def test_what_ldaptor_and_we_write_is_read_back(attributes: dict[str, list[bytes]]) -> None:
    wanted = Content("cn=a,o=b", tuple((name, tuple(each)) for name, each in attributes.items()))
    theirs: bytes = asLDIF(b"cn=a,o=b", [(name.encode(), each) for name, each in attributes.items()])
    ours = ldif.line("dn", b"cn=a,o=b") + b"".join(
        ldif.line(name, value) for name, each in attributes.items() for value in each
    )
    assert read(theirs) == wanted
    assert read(ours) == wanted
    assert all(len(line) <= 76 for line in ours.splitlines())
