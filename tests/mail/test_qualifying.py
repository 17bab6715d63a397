"""Names without a domain in the header of what programs of this machine write."""

from __future__ import annotations

import time

import pytest

from imsd.mail.qualifying import LONGEST, qualified


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (b"From: root (Cron Daemon)", b"From: root@a.test (Cron Daemon)"),
        (b"To: root", b"To: root@a.test"),
        (
            b"To: root, u@b.test,\r\n <w>, x y <bob>",
            b"To: root@a.test, u@b.test,\r\n <w@a.test>, x y <bob@a.test>",
        ),
        (b'From: "A, B" <root>', b'From: "A, B" <root@a.test>'),
        (b"From: =?utf-8?q?J=C3=B6rg?= <j>", b"From: =?utf-8?q?J=C3=B6rg?= <j@a.test>"),
    ],
)
def test_they_are_of_the_first_domain(field: bytes, wanted: bytes) -> None:
    assert (
        qualified(b"%b\r\nSubject: root\r\n\r\n" % field, "a.test") == b"%b\r\nSubject: root\r\n\r\n" % wanted
    )


@pytest.mark.parametrize(
    "field",
    [
        *(
            b"From: <>",
            b"From: A B",
            b"To: undisclosed-recipients:;",
            b"To: a: b, c;",
            b"To: <root",
            b"To: root>",
        ),
        *(b"Cc:", b'To: "a" b', b"Subject: root", b"To: a@b.test", b"To: " + b"a," * LONGEST),
    ],
)
def test_what_is_not_plainly_one_stays(field: bytes) -> None:
    header = b"%b\r\n\r\n" % field
    assert qualified(header, "a.test") == header


def test_blanks_cost_no_time() -> None:
    """They were divided between two places in every way: a header of 250 KB held everybody up for minutes."""
    header = (b"To:" + b" " * (LONGEST - 10) + b"!\r\n") * 30 + b"To:" + b" " * 100_000 + b"!\r\n\r\n"
    began = time.process_time()
    assert qualified(header, "a.test") == header
    assert time.process_time() - began < 1
