# ruff: noqa: E501
"""More than a hundred difficult messages, made from pieces that break parsers."""

import base64
import itertools


def _crlf(text: str, charset: str = "utf-8") -> bytes:
    return text.replace("\n", "\r\n").encode(charset)


SUBJECTS = (
    "plain",
    "=?utf-8?Q?Gr=C3=BC=C3=9Fe?=",
    "=?iso-8859-1?Q?a?= =?iso-8859-1?Q?b?=",
    "=?utf-8?B?5pel5pys?= tail",
    "folded\n subject\n\twith tabs",
    "=?windows-1252?Q?=80_100?=",
    "",
    "=?koi8-r?B?8NLJ18XU?=",
    "Re: [list] =?utf-8?q?=5Bx=5D?=",
)
ADDRESSES = (
    "a@b.test",
    '"Last, First" <lf@b.test>, second@c.test',
    "Joe Q. Public <joe@x.test>",
    "Group: a@b.test, c@d.test;",
    "undisclosed-recipients:;",
    "x@y.test (Comment Name)",
    "<only@angle.test>",
    "=?utf-8?Q?J=C3=B6rg?= <j@b.test>",
    '"quoted \\" mark" <q@b.test>',
    "a@[192.0.2.1]",
    "one@a.test,\n two@b.test,\n\tthree@c.test",
)
DATES = (
    "Mon, 23 Nov 2026 18:08:58 +0000",
    "23 Nov 2026 18:08 -0500",
    "Mon, 23 Nov 98 18:08:58 GMT",
    "Mon, 23 Nov 2026 18:08:58 +0100 (CET)",
    "Monday, 23 November 2026 18:08:58 EST",
    "garbage",
    "Mon Nov 23 18:08:58 2026",
    "Mon,23 Nov 2026 18:08:58 -0330",
)
BODIES = {
    "text": "\nHello\n",
    "no-newline": "\nHello",
    "empty": "\n",
    "headers-only": "",
    "qp": "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\na=FC=\nb =\n",
    "base64": "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    + base64.encodebytes("Grüße\n".encode() * 30).decode(),
    "mixed": 'Content-Type: multipart/mixed; boundary="=_x"\n\npre\n--=_x\n\none\n--=_x\nContent-Type: image/png; name="a b.png"\n'
    "Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename*=utf-8''%C3%BC.png\n\nAAAA\n--=_x--\nepilogue\n",
    "unclosed": "Content-Type: multipart/mixed; boundary=q\n\n--q\n\none\n--q\nContent-Type: text/html\n\n<p>two\n",
    "nested": "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=oi\n\n"
    "--oi\n\nplain\n--oi\nContent-Type: text/html\n\n<p>\n--oi--\n\n--o\n\nlast\n--o--\n",
    "inner-unclosed": "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/alternative; boundary=i\n\n"
    "--i\n\nplain\n--o\n\nlast\n--o--\n",
    "rfc822": "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: message/rfc822\n\nSubject: inner\n\nbody\n--o--\n",
    "digest": "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: 1\n\none\n--d\n\nSubject: 2\n\ntwo\n--d--\n",
    "report": "Content-Type: multipart/report; report-type=delivery-status; boundary=r\n\n--r\n\ntext\n--r\n"
    "Content-Type: text/rfc822-headers\n\nSubject: x\n--r--\n",
    "preamble-only": "Content-Type: multipart/mixed; boundary=zz\n\nno delimiter here\n",
    "no-boundary": "Content-Type: multipart/mixed\n\n--x\n\none\n--x--\n",
    "bad-type": "Content-Type: nonsense\n\nbody\n",
    "comment-type": "Content-Type: text/plain (a comment); charset=us-ascii\n\nbody\n",
    "folded-type": 'Content-Type: multipart/mixed;\n\tboundary="f f"\n\n--f f\n\none\n--f f--\n',
    "space-delimiter": "Content-Type: multipart/mixed; boundary=s\n\n--s \t\n\none\n--s--  \n",
    "prefix-boundary": "Content-Type: multipart/mixed; boundary=p\n\n--p\n\n--px\none\n--p--\n",
    "adjacent": "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n--a\n\ntwo\n--a--\n",
    "content-8bit": "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nGrüße\n",
}  # fmt: skip


def messages() -> list[tuple[str, bytes]]:
    """Name and octets; every body with several headers, every header value with some body."""
    made: list[tuple[str, bytes]] = []
    heads = itertools.cycle(itertools.product(SUBJECTS, ADDRESSES, DATES))
    skip = 37  # prime to the number of combinations, so that all values come round
    for name, body in BODIES.items():
        for number in range(7):
            for _ in range(skip):
                subject, address, date = next(heads)
            head = f"From: {address}\nTo: {address}\nSubject: {subject}\nDate: {date}\nMIME-Version: 1.0\n"
            made.append((f"{name}-{number}", _crlf(head + body)))
    return made
