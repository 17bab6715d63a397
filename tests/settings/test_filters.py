"""Rows of the message filter (ims_spec 3.4.4), and the originators they fit."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from imsd.settings.filters import Filter, SenderTable, normal_sender

PEER = "192.0.2.7"


@pytest.mark.parametrize(
    ("row", "fits", "others"),
    [
        ("user@example.org", ["user@example.org", "USER@Example.ORG", "user@example.org."],
         ["user@sub.example.org", "other@example.org", "user@example.com", "auser@example.org", ""]),
        ("user", ["user@example.org", "User@x", "user@[192.0.2.1]"], ["user2@example.org", "x@user", ""]),
        ("@example.org", ["a@example.org", "b@deep.sub.EXAMPLE.org"],
         ["a@notexample.org", "a@org", "example.org@x", ""]),
        ("#@example.org", ["a@example.org"], ["a@sub.example.org"]),
        ("#example.org", ["a@example.org"], ["a@sub.example.org"]),
        ("user@[192.0.2.9]", ["user@[192.0.2.9]"], ["other@[192.0.2.9]", "user@example.org"]),
        ("user@[192.0.2.7]", ["user@[192.0.2.7]", "user@anywhere"], ["other@anywhere"]),
        ("@[192.0.2.7]", ["any@where", "a@[192.0.2.7]"], []),
        ("@[192.0.2.9]", ["a@[192.0.2.9]"], ["any@where", "a@[192.0.2.99]"]),
        ('"odd user"@example.org', ['"odd user"@example.org'], ["user@example.org"]),
        ("@bücher.example", ["a@xn--bcher-kva.example", "a@bücher.example"], ["a@bucher.example"]),
        (".", [], ["a@b", ""]),
    ],
)  # fmt: skip
def test_row_fits_these_originators_and_no_others(row: str, fits: list[str], others: list[str]) -> None:
    page = Filter(senders=(row,))
    assert [address for address in fits if not page.table.match(address, PEER)] == []
    assert [address for address in others if page.table.match(address, PEER)] == []
    assert SenderTable(page.senders).nobody == (row == ".")


def test_peer_by_ipv6() -> None:
    page = Filter(senders=("@[IPv6:2001:DB8:0::1]",))
    assert page.table.match("a@b", "2001:db8::1") == "@[ipv6:2001:db8::1]"
    assert not page.table.match("a@b", "2001:db8::2")
    assert not page.table.match("a@b", "")


@pytest.mark.parametrize(
    "row", ["", "#", "@", "a b@c", "#@[192.0.2.1]", "@[192.0.2]", "a@b@", "@-.x", "a@b..c"]
)
def test_what_is_no_row_is_refused(row: str) -> None:
    with pytest.raises(ValidationError):
        Filter(senders=(row,))


def test_rows_are_stored_in_one_form() -> None:
    assert [normal_sender(row) for row in (" User@Example.ORG. ", "#Example.org", "@X.", "USER", ".")] == [
        "user@example.org", "#@example.org", "@x", "user", ".",
    ]  # fmt: skip
