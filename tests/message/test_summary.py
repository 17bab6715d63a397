# ruff: noqa: E501
"""ENVELOPE, BODY, BODYSTRUCTURE, preview: the stored wire forms."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.message import compose
from protocols.message.envelope import envelope
from protocols.message.scan import SCAN_VERSION, Scan, scan
from protocols.message.structure import body, bodystructure
from protocols.message.summary import Summarizer, canonical, summarize
from protocols.message.wire import nstring, string


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"", b'""'),
        (b"plain", b'"plain"'),
        (b'a "b" \\c', b'"a \\"b\\" \\\\c"'),
        (b"tab\there", b'"tab\there"'),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"nul\0", b'"nul"'),
        ("ü".encode(), b'"=?UTF-8?B?w7w=?="'),
        (b"\xfc", b'"=?UTF-8?B?w7w=?="'),
    ],
)
def test_strings(value: bytes, wire: bytes) -> None:
    assert string(value) == wire


def test_utf8_strings() -> None:
    assert string("ü".encode(), utf8=True) == '"ü"'.encode()
    assert string(b"\xfc", utf8=True) == '"ü"'.encode()
    assert nstring(None) == b"NIL"


ENVELOPE = (
    b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nSubject: IMAP4rev2 WG mtg summary and minutes\r\n"
    b"From: Terry Gray <gray@cac.washington.example>\r\nTo: imap@cac.washington.example\r\n"
    b'cc: minutes@CNRI.Reston.VA.US, "John Klensin" <KLENSIN@MIT.EXAMPLE>\r\n'
    b"Message-Id: <B27397-0100000@cac.washington.example>\r\n\r\n"
)


def test_the_envelope_of_rfc_9051_8() -> None:
    assert envelope(ENVELOPE) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.example")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.example")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.example")) '
        b'((NIL NIL "imap" "cac.washington.example")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EXAMPLE")) '
        b'NIL NIL "<B27397-0100000@cac.washington.example>")'
    )


@pytest.mark.parametrize(
    ("header", "piece"),
    [
        (b"To: A: x@y, z@w;\r\n", b'((NIL NIL "A" NIL)(NIL NIL "x" "y")(NIL NIL "z" "w")(NIL NIL NIL NIL))'),
        (b"To: Local Only\r\n", b'((NIL NIL "Local Only" ""))'),
        (b"From: a@b\r\nSender:\r\n", b'((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b"))'),
        (b"From: <@r:a@b>\r\n", b'((NIL "@r" "a" "b"))'),
        (b"Subject:\r\n", b'(NIL "" NIL'),
        (
            "From: Jörg <j@bücher.example>\r\n".encode(),
            b'(("=?UTF-8?B?SsO2cmc=?=" NIL "j" "xn--bcher-kva.example"))',
        ),
        (
            "From: jörg@b.test\r\n".encode(),
            b'(("=?UTF-8?B?asO2cmdAYi50ZXN0?=" NIL "unknown" "invalid.address"))',
        ),
    ],
)
def test_envelopes(header: bytes, piece: bytes) -> None:
    assert piece in envelope(header + b"\r\n")


def test_an_utf8_envelope_says_it_as_it_is() -> None:
    assert '(("Jörg" NIL "jörg" "bücher.example"))'.encode() in envelope(
        "From: Jörg <jörg@bücher.example>\r\n\r\n".encode(), utf8=True
    )


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("text", "plain", "extended"),
    [
        (
            "Subject: x\n\none\ntwo\n",
            b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 10 2)',
            b'("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 10 2 NIL NIL NIL NIL)',
        ),
        (
            "Content-Type: image/png; name=x\nContent-ID: <i@d>\nContent-Description: pic\nContent-MD5: abc==\n"
            "Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=x\n"
            "Content-Language: de, en\nContent-Location: http://a.test/\n b\n\nAAAA",
            b'("IMAGE" "PNG" ("NAME" "x") "<i@d>" "pic" "BASE64" 4)',
            b'("IMAGE" "PNG" ("NAME" "x") "<i@d>" "pic" "BASE64" 4 "abc==" ("ATTACHMENT" ("FILENAME" "x")) '
            b'("de" "en") "http://a.test/b")',
        ),
        (
            "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: message/rfc822\n\n"
            "Subject: in\n\nbody\n--b--\n",
            b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2 0)("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 19 '
            b'(NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 4 0) 2) '
            b'"MIXED")',
            b'(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 2 0 NIL NIL NIL NIL)("MESSAGE" "RFC822" NIL NIL NIL '
            b'"7BIT" 19 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" '
            b'4 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) "MIXED" ("BOUNDARY" "b") NIL NIL NIL)',
        ),
    ],
)
def test_structures(text: str, plain: bytes, extended: bytes) -> None:
    root = scan(crlf(text)).root
    assert (body(root), bodystructure(root)) == (plain, extended)


def test_a_global_message_has_a_structure_in_rev2_only() -> None:
    root = scan(crlf("Content-Type: message/global\n\nSubject: ü\n\nx")).root
    assert body(root) == b'("MESSAGE" "GLOBAL" NIL NIL NIL "7BIT" 16)'
    assert body(root, utf8=True, rev2=True).startswith(
        '("MESSAGE" "GLOBAL" NIL NIL NIL "7BIT" 16 (NIL "ü" '.encode()
    )


def test_raw_messages_are_rendered_from_the_stored_tree() -> None:
    data = crlf(
        'Subject: ü\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: a/b; name="ü"\n\nx\n--b--'
    )
    made = summarize(data)
    assert made.raw
    again = Scan.unpack(made.packed)
    assert body(again.root) == made.body and bodystructure(again.root) == made.bodystructure
    assert '"ü"'.encode() in bodystructure(again.root, utf8=True)
    assert envelope(again.root.header) == made.envelope


def test_summary_values() -> None:
    data = crlf(
        "From: =?utf-8?Q?J=C3=B6rg?= <J.X@Example.TEST>\nTo: Team: Bob@b.test;\nCc: c@d\nSubject: =?utf-8?Q?=C3=BC?=\n"
        "Date: Mon, 23 Nov 2026 18:00:00 +0100\nMessage-ID: <1@x> (comment)\nIn-Reply-To: <0@x>\n"
        "References: <a@x>\n <b@x>\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n"
        "<style>p{}</style><p>Hello&nbsp;<b>you</b></p>\n--b\nContent-Disposition: attachment\n\nx\n--b--\n"
    )
    made = summarize(data)
    assert (made.sender, made.sender_name, made.to, made.to_name, made.cc) == (
        b"j.x@example.test",
        "Jörg",
        b"bob@b.test",
        "Team",
        b"c@d",
    )
    assert (made.subject, made.message_id, made.references) == ("ü", b"<1@x>", (b"<a@x>", b"<b@x>"))
    assert (made.date, made.date_offset, made.attachments) == (1795453200_000000, 60, 1)
    assert (made.preview, made.scan_version) == ("Hello you", SCAN_VERSION)
    assert made.header_size == data.index(b"\r\n\r\n") + 4


@pytest.mark.parametrize(
    ("data", "preview"),
    [
        (b"", ""),
        (b"\r\n" + b"word " * 100, ("word " * 40).strip()),
        (b"\r\n  a \r\n\t b\x07\r\n", "a b"),
        (b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "ü".encode() * 1000, "ü" * 200),
        ("Content-Type: text/plain; charset=utf-8\r\n\r\nno \u202erlo".encode(), "no rlo"),
        (b"Content-Type: image/png\r\n\r\nxx", ""),
        (
            b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>h\r\n"
            b"--b\r\n\r\np\r\n--b--",
            "p",
        ),
    ],
)
def test_previews(data: bytes, preview: str) -> None:
    assert summarize(data).preview == preview


@given(st.binary(max_size=300), st.integers(1, 50))
@settings(deadline=None)
def test_a_summary_in_pieces_is_the_same(tail: bytes, step: int) -> None:
    data = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" + tail
    summarizer = Summarizer()
    for at in range(0, len(data), step):
        summarizer.feed(data[at : at + step])
    assert summarizer.finish() == summarize(data) == summarize(memoryview(data))


@given(st.binary(max_size=300))
def test_garbage_headers_never_raise_and_stay_ascii(data: bytes) -> None:
    made = summarize(b"From: " + data + b"\r\nTo: " + data + b"\r\n\r\n")
    assert made.envelope.isascii() and made.bodystructure.isascii()
    envelope(b"From: " + data, utf8=True).decode("utf-8")


def test_canonical_addresses() -> None:
    assert canonical(b"A.B", b"EXAMPLE.test") == b"a.b@example.test"
    assert canonical("Ä".encode(), "Bücher.test".encode()) == "ä@xn--bcher-kva.test".encode()
    assert canonical(b"local", None) == b"local"


# Composing --------------------------------------------------------------------------------


def test_composed_messages_are_read_back() -> None:
    text = compose.text("Grüße an alle,\nund eine sehr lange Zeile: " + "wort " * 40 + "\n.\nFrom here\n")
    status = compose.entity("message/delivery-status", b"Reporting-MTA: dns; x\r\n")
    inner = compose.entity("message/rfc822", b"Subject: in\r\n\r\nbody\r\n")
    parts = [text, status, inner]
    boundary = compose.boundary_for(parts, "token")
    report = compose.multipart(
        "report", parts, boundary, parameters=compose.parameter("report-type", "delivery-status")
    )
    data = compose.message(
        [
            compose.raw_field("From", compose.mailbox("postmaster@example.test", "Mail Delivery, Ältere")),
            compose.field("Subject", "Nicht zugestellt: " + ("größere " * 20).strip()),
            compose.raw_field("Message-ID", compose.message_id("example.test", "1")),
        ],
        report,
    )
    made = summarize(data)
    assert made.subject == "Nicht zugestellt: " + ("größere " * 20).strip()
    assert (made.sender, made.sender_name) == (b"postmaster@example.test", "Mail Delivery, Ältere")
    root = scan(data).root
    assert [part.content.subtype for part in root.children] == [b"PLAIN", b"DELIVERY-STATUS", b"RFC822"]
    assert root.content.parameter(b"REPORT-TYPE") == b"delivery-status"
    assert made.preview.startswith("Grüße an alle, und eine sehr lange Zeile: wort")
    assert all(len(line) <= 78 for line in data.split(b"\r\n"))
    assert b"\n" not in data.replace(b"\r\n", b"")


@given(st.text(max_size=80), st.text(max_size=80))
def test_nothing_escapes_from_composed_fields(name: str, value: str) -> None:
    data = compose.message(
        [
            compose.field("Subject", value),
            compose.raw_field("To", compose.mailbox("a@b.test", name)),
        ],
        compose.text(value),
    )
    header = data[: scan(data).header_size]
    assert header.count(b"\r\n\r\n") == 1
    names = [line.split(b":")[0] for line in header.split(b"\r\n") if line and line[:1] not in b" \t"]
    assert names == [b"Subject", b"To", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"]
