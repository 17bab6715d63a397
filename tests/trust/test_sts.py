"""MTA-STS records and policies (RFC 8461 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.trust.sts import LONGEST, BadPolicy, Policy, parse_policy, record_id
from imsd.trust.tlsa import Tlsa, usable


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["other", "v=STSv1 ; id = 7 ; x=y"], "7"),
        (["v=STSv1; id=1;", "v=STSv1; id=2;"], None),
        (["v=STSv2; id=1;"], None),
        (["v=STSv1; x=1;"], None),
        (["v=STSv1; id=not valid;"], None),
        (["v=STSv1; id=" + "a" * 33], None),
        ([], None),
    ],
)
def test_records(texts: list[str], found: str | None) -> None:
    assert record_id(texts) == found


def test_a_policy() -> None:
    text = "version: STSv1\r\nmode: enforce\nmx: mail.a.test\r\nmx: *.B.test\nmax_age: 604800\n"
    text += "x-more: 1\nmode: none\n"
    policy = parse_policy(text)
    assert policy == Policy("enforce", ("mail.a.test", "*.b.test"), 604_800)
    for host, allowed in {
        "mail.a.test": True, "MAIL.A.test.": True, "x.b.test": True, "b.test": False,
        "y.x.b.test": False, "a.test": False,
    }.items():  # fmt: skip
        assert policy.allows(host) is allowed
    assert parse_policy("version: STSv1\nmode: none\nmax_age: 9999999999").max_age == LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mode: enforce\nmx: a.test\nmax_age: 1",
        "version: STSv1\nmode: force\nmx: a.test\nmax_age: 1",
        "version: STSv1\nmode: enforce\nmax_age: 1",
        "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: soon",
        "version: STSv1\nmode: enforce\nmx: a.test",
        "version: STSv1\nmode: enforce\nmx: a..test\nmax_age: 1",
        "version: STSv1\nmode: enforce\nmx\nmax_age: 1",
        "version: STSv1\nmode: enforce\n" + "mx: a.test\n" * 101 + "max_age: 1",
    ],
)
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(BadPolicy):
        parse_policy(text)


@given(st.text())
def test_garbage_is_bad_and_no_more(text: str) -> None:
    record_id([text])
    with pytest.raises(BadPolicy):
        parse_policy(text)


def test_which_tlsa_records_are_of_use() -> None:
    good = [Tlsa(3, 1, 1, b"x" * 32), Tlsa(2, 0, 2, b"x" * 64), Tlsa(3, 0, 0, b"der")]
    bad = [
        Tlsa(1, 1, 1, b"x" * 32),
        Tlsa(3, 2, 1, b"x" * 32),
        Tlsa(3, 1, 3, b"x"),
        Tlsa(3, 1, 1, b"x"),
        Tlsa(3, 0, 0, b""),
    ]
    assert usable([*bad, *good]) == tuple(good)
