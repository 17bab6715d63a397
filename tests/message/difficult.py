"""Difficult messages: pieces that break parsers, put together by a builder that has no chance in it.

`messages()` gives name and octets. Names are family-number; a family is one kind of trouble.
"""

# ruff: noqa: E501 - a message on a line is easier to read than one on three

from __future__ import annotations

import base64
import itertools
import quopri
from collections.abc import Iterator

CRLF = b"\r\n"

TYPES = [
    b"text/plain", b"TEXT/Plain; charset=utf-8", b'text/plain; charset="us-ascii"; format=flowed',
    b"text / plain ; charset = x-unknown", b"text/plain (comment (nested) \\) ); charset=iso-8859-1",
    b"text/html;charset=windows-1252", b'application/pdf; name="a; b=c.pdf"', b"image/png; name=plain.png",
    b'image/png; name="quo\\"te\\\\d.png"', b"text/plain; charset=a; charset=b; CHARSET=c",
    b"text/plain; name*=utf-8''%C3%BC%20x.txt",
    b'text/plain;\r\n name*0="long ";\r\n name*1="name";\r\n name*2=".txt"',
    b"text/plain;\r\n name*0*=utf-8'de'%C3%BC;\r\n name*1=plain;\r\n name*2*=%20end",
    b'text/plain; name*1="second"; name*0="first"', b'text/plain; name*0="a"; name*2="gap"',
    b"text/plain; x=1;; y=2;", b"text/plain; charset=", b"text", b"/", b"text/", b"", b"nonsense; charset=utf-8",
    b'"text"/plain', b"application/octet-stream; padding=4; type=tar", b"model/x.y-z+json; v=1",
    b"message/external-body; access-type=anon-ftp; site=x.test", b"message/delivery-status",
    b"message/partial; id=x; number=1; total=2", b"text/calendar; method=REQUEST; charset=UTF-8",
    b"text/plain; name=\"\"", b"text/plain;\r\n\tcharset=\r\n\tutf-8",
]  # fmt: skip

ENCODINGS = [
    None, b"7bit", b"8BIT", b"BINARY", b"Base64", b"quoted-printable", b" quoted-printable ", b"x-own",
    b"base64 (comment)", b'"base64"', b"(comment) 7bit", b"", b"base64\r\n ",
]  # fmt: skip

DISPOSITIONS = [
    b"attachment", b"inline; filename=x", b'ATTACHMENT; filename="a\\"b"; size=3',
    b"attachment; filename*=iso-8859-1''%FC", b"attachment;\r\n filename*0=a;\r\n filename*1=b",
    b"; filename=x", b"", b"form-data; name=field", b'attachment; creation-date="Mon, 1 Jan 2024 00:00:00 +0000"',
]  # fmt: skip

ADDRESSES = [
    b"a@b.test", b'"Last, First" <lf@b.test>, c@c.test', b"Joe Q. Public <joe@x.test>",
    b"Group: a@b.test, C <c@d.test>;", b"undisclosed-recipients:;", b"A:;, b@c.test, D: e@f.test;",
    b"x@y.test (Comment Name)", b"<only@angle.test>", b"=?utf-8?Q?J=C3=B6rg?= <j@b.test>",
    b'"quoted \\" mark" <q@b.test>', b"a@[192.0.2.1]", b"one@a.test,\r\n two@b.test,\r\n\tthree@c.test",
    b"<@relay.test,@other.test:user@host.test>", b"Name <@relay.test:user@host.test>", b",,a@b.test,,",
    b'"spaced local"@x.test', b"a . b @ c . test", b"", b"   ", b"name only", b"a@b.test, a@b.test",
    b"(before) a@b.test", b"a@b.test (one) (two)", b'""@x.test', b"x@y.test (nested (comment))",
    b"Very long " * 30 + b"<l@x.test>", b"=?utf-8?B?w7w=?= =?utf-8?B?w7w=?= <u@x.test>",
]  # fmt: skip

SUBJECTS = [
    b"plain", b"", b" ", b"=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", b"folded\r\n subject\r\n\twith tabs", b'quo"te and \\',
    b"=?unknown?Q?x?= =?utf-8?X?y?= =?utf-8?Q?broken", b"x" * 5000, b"trailing   ", b"\r\n late",
    b"a\r\n \r\n b", b"{5}", b"(NIL)", b"NIL", b"per%cent", b"=?utf-8?q??=", b"tab\tin",
]  # fmt: skip

HEADERS = [
    b"Date: Mon, 23 Nov 2026 18:08:58 +0000", b"Date: garbage", b"Date:", b"Message-ID: <1@x.test>",
    b"Message-Id:<2@x.test>\r\nMessage-ID: <3@x.test>", b"In-Reply-To: <0@x.test>\r\n <00@x.test>",
    b"Subject : blank before the colon", b"X-No-Value:", b"no colon here", b" leading blank", b": no name",
    b"X-Long: " + b"y" * 70_000, b"Sender: s@x.test\r\nReply-To: r@x.test", b"Sender:\r\nReply-To: ",
    b"To: a@x.test\r\nTo: b@x.test", b"From: a@x.test\r\nFrom: b@x.test", b"X-\x7f: del", b"X-A: a\tb\x01c",
    b"Content-ID: <c@x>\r\nContent-Description: d\r\n e\r\nContent-MD5: AAAA==",
    b"Content-Language: de, en (English), fr\r\nContent-Location: http://x.test/\r\n a b",
    b"Content-Language: de\r\nContent-Base: x",
]  # fmt: skip

BOUNDARIES = [
    b"B",
    b'"=_x"',
    b'"a b"',
    b'"with spaces  "',
    b"'quote'",
    b"x" * 70,
    b"x" * 300,
    b'"(=:?)"',
    b"--B",
]


def bare(boundary: bytes) -> bytes:
    return boundary.strip(b'"').rstrip()


def encoded(text: bytes, encoding: bytes | None) -> bytes:
    name = (encoding or b"").strip().lower()
    if b"base64" in name:
        return base64.encodebytes(text).replace(b"\n", CRLF)
    return quopri.encodestring(text).replace(b"\n", CRLF) if name == b"quoted-printable" else text


def part(number: int, kind: bytes | None = None) -> bytes:
    """A part; different ones for different numbers."""
    encoding = ENCODINGS[number % len(ENCODINGS)]
    fields = [b"Content-Type: " + (TYPES[number % len(TYPES)] if kind is None else kind)]
    if encoding is not None:
        fields.append(b"Content-Transfer-Encoding: " + encoding)
    if number % 3 == 0:
        fields.append(b"Content-Disposition: " + DISPOSITIONS[number % len(DISPOSITIONS)])
    text = b"Part %d, caf\xc3\xa9 = x  \r\nsecond line\r\n" % number * (number % 4)
    return CRLF.join(fields) + CRLF + CRLF + encoded(text, encoding)


def multipart(
    parts: list[bytes], boundary: bytes = b"B", subtype: bytes = b"mixed", rest: bytes = b""
) -> bytes:
    mark = bare(boundary)
    head = b"Content-Type: multipart/%b; boundary=%b%b\r\n\r\npreamble\r\n" % (subtype, boundary, rest)
    return (
        head + b"".join(b"--%b\r\n%b\r\n" % (mark, one) for one in parts) + b"--%b--\r\nepilogue\r\n" % mark
    )


def envelopes() -> Iterator[tuple[str, bytes]]:
    every = itertools.cycle(ADDRESSES)
    for number, (address, subject) in enumerate(itertools.product(ADDRESSES, SUBJECTS[:6])):
        other = next(every)
        head = b"From: %b\r\nTo: %b\r\nCc: %b\r\nSubject: %b\r\n" % (address, other, next(every), subject)
        yield f"envelope-{number}", head + HEADERS[number % len(HEADERS)] + b"\r\n\r\nbody\r\n"
    for number, (subject, field) in enumerate(zip(itertools.cycle(SUBJECTS), HEADERS * 2, strict=False)):
        yield f"field-{number}", b"Subject: %b\r\n%b\r\nFrom: f@x.test\r\n\r\nbody" % (subject, field)


def leaves() -> Iterator[tuple[str, bytes]]:
    for number, (kind, encoding) in enumerate(itertools.product(TYPES, ENCODINGS[:6])):
        head = b"Content-Type: %b\r\n" % kind
        if encoding is not None:
            head += b"Content-Transfer-Encoding: %b\r\n" % encoding
        yield f"leaf-{number}", head + CRLF + encoded(b"caf\xc3\xa9 \xff\x80 = \r\nline\r\n" * 3, encoding)
    for number, disposition in enumerate(DISPOSITIONS):
        yield f"disposition-{number}", b"Content-Disposition: %b\r\n\r\nx\r\n" % disposition


def trees() -> Iterator[tuple[str, bytes]]:
    for number, boundary in enumerate(BOUNDARIES):
        yield f"boundary-{number}", multipart([part(number), part(number + 1)], boundary)
    for number in range(40):
        inner = multipart([part(number), part(number + 7)], b"I%d" % number, b"alternative")
        yield f"nested-{number}", multipart([inner, part(number + 3), part(number + 5)])
        message = b"From: i@x.test\r\nSubject: inner\r\n" + part(number + 1)
        yield f"rfc822-{number}", multipart([b"Content-Type: message/rfc822\r\n\r\n" + message, part(number)])
    for number in range(12):
        digest = [
            b"\r\nSubject: %d\r\n\r\none\r\n" % number,
            part(number),
            b"X: y\r\n\r\nSubject: 2\r\n\r\ntwo",
        ]
        yield f"digest-{number}", multipart(digest[: 1 + number % 3], b"D", b"digest")
    for encoding in (b"base64", b"quoted-printable", b"8bit", b"binary"):
        head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: %b\r\n\r\n" % encoding
        yield f"encoded-message-{encoding.decode()}", head + encoded(b"Subject: x\r\n\r\nbody\r\n", encoding)


def broken() -> Iterator[tuple[str, bytes]]:
    whole = multipart([part(1), multipart([part(2), part(3)], b"BB", b"alternative"), part(4)])
    for number, size in enumerate(range(20, len(whole), len(whole) // 40)):
        yield f"truncated-{number}", whole[:size]
    texts = {
        "no-boundary": b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\none\r\n--x--\r\n",
        "empty-boundary": b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\n\r\none\r\n----\r\n',
        "wrong-boundary": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
        "two-boundaries": b"Content-Type: multipart/mixed; boundary=a; boundary=b\r\n\r\n--b\r\n\r\n1\r\n--a\r\n\r\n2\r\n--a--",
        "unclosed": b"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\none\r\n--q\r\n\r\ntwo\r\n",
        "inner-unclosed": b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\nContent-Type: multipart/mixed; boundary=i"
        b"\r\n\r\n--i\r\n\r\nplain\r\n--o\r\n\r\nlast\r\n--o--\r\n",
        "closed-first": b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o--\r\n\r\nx\r\n--o\r\n\r\ny\r\n",
        "closed-twice": b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nx\r\n--o--\r\n--o\r\n\r\ny\r\n--o--\r\n",
        "prefix": b"Content-Type: multipart/mixed; boundary=p\r\n\r\n--p\r\n\r\n--px\r\n--p-\r\none\r\n--p--x\r\n--p--\r\n",
        "prefix-of-outer": b"Content-Type: multipart/mixed; boundary=p\r\n\r\n--p\r\nContent-Type: multipart/mixed; boundary=pp"
        b"\r\n\r\n--pp\r\n\r\none\r\n--pp--\r\n--p--\r\n",
        "dashes": b"Content-Type: multipart/mixed; boundary=a--\r\n\r\n--a--\r\n\r\none\r\n--a----\r\n",
        "white-space": b"Content-Type: multipart/mixed; boundary=s\r\n\r\n--s \t\r\n\r\none\r\n--s--  \r\n",
        "adjacent": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a\r\n\r\n--a\r\n\r\n\r\n--a\r\nX: y\r\n--a--",
        "empty-parts": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--a\r\n\r\n--a--\r\n",
        "header-only": b"Subject: no empty line\r\nTo: a@b.test",
        "header-only-lf": b"Subject: no empty line\r\nTo: a@b.test\r\n",
        "nothing": b"", "one-line-end": b"\r\n", "two-line-ends": b"\r\n\r\n", "only-body": b"\r\nbody\r\n",
        "lf": b"\n", "cr": b"\r", "dot": b".\r\n", "colon": b":\r\n\r\nx",
        "nul": b"Subject: a\0b\r\nX\0Y: z\r\n\r\nbo\0dy\r\n", "bare-cr": b"Subject: a\rb\r\n\r\nx\ry\r\n",
        "raw-8-bit": b"Content-Type: application/octet-stream\r\n\r\n" + bytes(range(256)) * 4,
        "base64-garbage": b"Content-Transfer-Encoding: base64\r\n\r\nQUJD!!=RE==\r\nRUY\r\n====R0hJ\r\nSg",
        "qp-garbage": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=4=G1==41=\r\n=C3=\r\n=BC  \r\n=\r\n=4",
        "type-in-body": b"Subject: x\r\n\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\n\r\nx\r\n--z--\r\n",
        "two-types": b"Content-Type: text/html\r\nContent-Type: image/png\r\n\r\nx\r\n",
    }  # fmt: skip
    yield from texts.items()


def large() -> Iterator[tuple[str, bytes]]:
    yield "many-parts", multipart([b"\r\n%d" % number for number in range(10_000)])
    deep = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(300)
    )
    yield "many-levels", deep + b"\r\nend" + b"".join(b"\r\n--b%d--" % n for n in reversed(range(300)))
    yield "many-messages", b"Content-Type: message/rfc822\r\n\r\n" * 300 + b"Subject: end\r\n\r\nend"
    yield "many-fields", b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\nbody"
    yield (
        "many-parameters",
        b"Content-Type: text/plain" + b"".join(b"; p%d=v" % n for n in range(90)) + b"\r\n\r\nx",
    )


def messages() -> list[tuple[str, bytes]]:
    made = [*envelopes(), *leaves(), *trees(), *broken(), *large()]
    # The same with LF alone, as files have them.
    made += [(f"lf-{name}", data.replace(CRLF, b"\n")) for name, data in [*trees(), *broken()]]
    return made
