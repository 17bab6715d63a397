"""Rows of lists of hosts, and the questions they are asked (RFC 5782)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from imsd.settings.unknowns import Dnsbl, HostList, question


@pytest.mark.parametrize(
    ("answers", "counted", "others"),
    [
        ((), ["127.0.0.2", "127.0.1.255"], ["127.255.255.254", "192.0.2.1", ""]),
        (("127.0.0.2", "127.0.1.*"), ["127.0.0.2", "127.0.1.9"], ["127.0.0.3", "127.0.2.9", "127.0.0.20"]),
        (("127.*.*.4",), ["127.9.9.4"], ["127.9.9.5", "127.255.255.4"]),
    ],
)
def test_answers_that_count(answers: tuple[str, ...], counted: list[str], others: list[str]) -> None:
    row = HostList(zone="List.Example.", answers=answers)
    assert row.zone == "list.example"
    assert [answer for answer in counted if not row.counts(answer)] == []
    assert [answer for answer in others if row.counts(answer)] == []


@pytest.mark.parametrize("answer", ["126.0.0.1", "127.0.0", "127.0.0.256", "127.0.0.x", "*.0.0.1"])
def test_what_is_no_answer_is_refused(answer: str) -> None:
    with pytest.raises(ValidationError):
        HostList(zone="x.example", answers=(answer,))


def test_a_list_stands_there_once() -> None:
    with pytest.raises(ValidationError):
        Dnsbl(lists=(HostList(zone="x.example"), HostList(zone="X.example")))


def test_questions() -> None:
    assert question("192.0.2.7", "list.example") == "7.2.0.192.list.example"
    assert question("2001:db8::1", "l.example") == (
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.l.example"
    )
