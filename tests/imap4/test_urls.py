"""IMAP URLs of messages (RFC 5092)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import BadSyntax
from protocols.imap4 import urls
from protocols.imap4.urls import MessageUrl
from protocols.message.sections import Kind, Section

GOOD = [
    (b"/INBOX/;UID=3", None, MessageUrl("INBOX", 3)),
    (b"/inbox;uidvalidity=9/;uid=3", None, MessageUrl("INBOX", 3, 9)),
    (
        b"/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.2.MIME",
        None,
        MessageUrl("Drafts", 20, 385759045, Section((1, 2), Kind.MIME)),
    ),
    (
        b"/a%2Fb/%C3%A9%3B/;UID=1/;SECTION=HEADER.FIELDS%20(From%20To)",
        None,
        MessageUrl("a/b/\u00e9;", 1, 0, Section((), Kind.FIELDS, (b"From", b"To"))),
    ),
    (b"/INBOX/;UID=3/;PARTIAL=0.1024", None, MessageUrl("INBOX", 3, partial=(0, 1024))),
    (b"/INBOX/;UID=3/;SECTION=1/;PARTIAL=7", None, MessageUrl("INBOX", 3, 0, Section((1,)), (7, 1 << 62))),
    # Relative to the selected mailbox (RFC 3986 5.2), and to the server where none is.
    (b";UID=3/;SECTION=TEXT", "Work/x", MessageUrl("Work/x", 3, 0, Section((), Kind.TEXT))),
    (b"y/;UID=3", "Work/x", MessageUrl("Work/y", 3)),
    (b"./y/;UID=3", "Work/x", MessageUrl("Work/y", 3)),
    (b"../y/;UID=3", "Work/x", MessageUrl("y", 3)),
    (b"Drafts/;UID=3", None, MessageUrl("Drafts", 3)),
]

BAD = [
    b"", b"/", b"/INBOX", b"/INBOX?subject", b"/INBOX/;UID=0", b"/INBOX/;UID=4294967296", b"/INBOX;UID=1",
    b"//host/INBOX/;UID=1", b"imap://alice@host/INBOX/;UID=1", b"http://host/", b";UID=3",
    b"/INBOX/;UID=1/;SECTION=", b"/INBOX/;UID=1/;SECTION=MIME", b"/INBOX/;UID=1/;SECTION=1]x",
    b"/INBOX/;UID=1/;PARTIAL=1.0", b"/INBOX/;UID=1/;PARTIAL=", b"/IN BOX/;UID=1", b"/%ff/;UID=1",
    b"/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20()", b"/\xc3\xa9/;UID=1", b"/" + b"a" * 5000 + b"/;UID=1",
    b"/INBOX/;UID=1;URLAUTH=anonymous",
]  # fmt: skip


@pytest.mark.parametrize(("url", "selected", "target"), GOOD, ids=lambda value: str(value)[:40])
def test_a_url_names_octets(url: bytes, selected: str | None, target: MessageUrl) -> None:
    assert urls.message(url, selected) == target


@pytest.mark.parametrize("url", BAD, ids=lambda url: repr(url[:40]))
def test_what_names_no_message_is_refused(url: bytes) -> None:
    with pytest.raises(BadSyntax):
        urls.message(url)


@given(st.binary() | st.text("/;UID=1SECTION.PARTIAL%20").map(str.encode), st.none() | st.text(min_size=1))
def test_garbage_raises_bad_syntax_only(url: bytes, selected: str | None) -> None:
    for parse in (
        lambda: urls.message(url, selected),
        lambda: urls.authorized(b"imap://a@b/" + url + b";URLAUTH=user+a", False),
    ):
        try:
            parse()
        except BadSyntax:
            pass


@given(st.binary())
def test_a_url_in_a_code_is_one_bracketed_word(url: bytes) -> None:
    shown = urls.shown(url)
    assert shown.isascii() and shown.decode().isprintable()
    assert b"]" not in shown and b'"' not in shown[1:-1]
