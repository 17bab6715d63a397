"""SMTP on standard input and output (imsd-sendmail -bs)."""

from __future__ import annotations

from io import BytesIO

import pytest

from imsd.ctl.standalone import LONGEST, MOST, Standalone
from imsd.mail.pickup import parse


def converse(*lines: str, fails: bool = False) -> tuple[list[str], list[bytes]]:
    """What is said to these lines after the greeting, and the files that were dropped."""
    dropped: list[bytes] = []

    def drop(data: bytes) -> None:
        if fails:
            raise OSError("disk full")
        dropped.append(data)

    sink = BytesIO()
    Standalone(
        BytesIO("".join(f"{line}\n" for line in lines).encode()), sink, "mx.test", b"Received: x\n", drop
    ).run()
    greeting, *replies = sink.getvalue().decode().split("\r\n")
    assert greeting == "220 mx.test ESMTP ready" and replies.pop() == ""
    return replies, dropped


BEGIN = ("HELO me", "MAIL FROM:<a@x.test>", "RCPT TO:<b@y.test>")


def test_a_message_becomes_a_file() -> None:
    replies, dropped = converse(
        "EHLO me", "mail from:<a@x.test> RET=HDRS ENVID=q+2B1 BODY=8BITMIME SIZE=10",
        "RCPT TO:<b@y.test> NOTIFY=NEVER ORCPT=rfc822;c@z.test", "RCPT TO:<d@y.test>",
        "DATA", "Subject: hi", "X-Receiver: <no@y.test>", "", "..dot", ".", "NOOP", "QUIT", "NOOP",
    )  # fmt: skip
    codes = [int(reply[:3]) for reply in replies if reply[3:4] == " "]
    assert codes == [250, 250, 250, 250, 354, 250, 250, 221]
    (data,) = dropped
    found = parse(data)
    assert (found.reverse_path, found.ret, found.envid) == ("a@x.test", "HDRS", "q+1")
    assert [str(path) for path in found.recipients] == ["b@y.test", "d@y.test"]
    assert found.said[0].notify == ("NEVER",) and found.said[0].orcpt == "c@z.test"
    assert found.content == b"Received: x\r\nSubject: hi\r\nX-Receiver: <no@y.test>\r\n\r\n.dot\r\n"


def test_names_without_a_domain_and_text_without_a_header() -> None:
    _, (data, empty) = converse(
        "HELO me", "MAIL FROM:<root>", "RCPT TO:<Ann> NOTIFY=NEVER", "RCPT TO:<postmaster>",
        "DATA", "disk full", "..", ".",
        "MAIL FROM:<root>", "RCPT TO:<ann>", "DATA", "", "x", ".",
    )  # fmt: skip
    found = parse(data, "example.test")
    assert found.reverse_path == "root@example.test" and found.bare == set(found.recipients)
    assert [str(path) for path in found.recipients] == ["Ann@example.test", "postmaster@example.test"]
    assert found.content == b"Received: x\r\n\r\ndisk full\r\n.\r\n"
    assert parse(empty, "example.test").content == b"Received: x\r\n\r\nx\r\n"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("MAIL FROM:<a@x.test>",), "503"),
        (("HELO me", "RCPT TO:<b@y.test>"), "503"),
        (("HELO me", "DATA"), "503"),
        ((*BEGIN[:2], "DATA"), "503"),
        ((*BEGIN, "MAIL FROM:<>"), "503"),
        ((*BEGIN, "RSET", "DATA"), "503"),
        ((*BEGIN, "RCPT TO:<b@y.test> NOTIFY=NEVER,DELAY"), "501"),
        ((*BEGIN, "RCPT TO:<b"), "501"),
        ((*BEGIN, "RCPT b@y.test"), "501"),
        (("HELO me", "MAIL FROM:<a@x.test> HOLDFOR=9"), "555"),
        (("HELO me", "MAIL FROM:<a@x.test> BODY=BINARYMIME"), "555"),
        (("EHLO",), "501"),
        (("STARTTLS",), "500"),
        (("NOOP " + "x" * 3 * LONGEST,), "500"),
        ((*BEGIN, *["RCPT TO:<b@y.test>"] * MOST), "452"),
    ],
)  # fmt: skip
def test_what_is_refused(lines: tuple[str, ...], code: str) -> None:
    replies, dropped = converse(*lines)
    assert replies[-1].startswith(code) and not dropped


def test_what_is_not_acknowledged_is_no_message() -> None:
    assert converse(*BEGIN, "DATA", "Subject: cut") == (converse(*BEGIN, "DATA", "x")[0], [])
    replies, dropped = converse(*BEGIN, "DATA", "Subject: x", "", ".", fails=True)
    assert replies[-1].startswith("451") and not dropped
