"""The one rule of every domain list (ims_spec 3.11.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.settings.domains import DomainTable, normal_pattern, once_each

FIRST = DomainTable([("ms.com", "host1.ms.com"), ("#ms.com", "<inbound>"), ("x.ms.com", "<inbound>")])
SECOND = DomainTable(
    [
        ("#sample.microsoft.com", "<inbound>"),
        ("dallas.sample.microsoft.com", "<inbound>"),
        ("chicago.sample.microsoft.com", "other host"),
    ]
)


@pytest.mark.parametrize(
    ("domain", "wanted"),
    [
        ("ms.com", "<inbound>"),
        ("sales.ms.com", "host1.ms.com"),
        ("x.ms.com", "<inbound>"),
        ("pms.com", None),
        ("abc.x.ms.com", "<inbound>"),
        ("MS.COM", "<inbound>"),
        ("Sales.Ms.Com.", "host1.ms.com"),
    ],
)
def test_first_truth_table(domain: str, wanted: str | None) -> None:
    assert FIRST.find(domain) == wanted


@pytest.mark.parametrize(
    ("domain", "wanted"),
    [
        ("sample.microsoft.com", "<inbound>"),
        ("seattle.sample.microsoft.com", None),
        ("dallas.sample.microsoft.com", "<inbound>"),
        ("plano.dallas.sample.microsoft.com", "<inbound>"),
        ("chicago.sample.microsoft.com", "other host"),
    ],
)
def test_second_truth_table(domain: str, wanted: str | None) -> None:
    assert SECOND.find(domain) == wanted


def test_labels_are_compared_whole() -> None:
    table = DomainTable([("sea.com", 1)])
    assert [table.find(name) for name in ("sea.com", "x.sea.com", "chelsea.com", "sea.com.org")] == [
        *(1, 1, None, None),
    ]


def test_the_most_specific_wins_whatever_the_order() -> None:
    rows = [("*", 0), ("com", 1), ("sea.com", 2), ("*.sea.com", 3), ("#x.sea.com", 4), ("x.sea.com", 5)]
    for given_rows in (rows, rows[::-1]):
        table = DomainTable(given_rows)
        assert table.find("x.sea.com") == 4
        assert table.find("y.x.sea.com") == 5
        assert table.find("y.sea.com") == 3
        assert table.find("sea.com") == 2
        assert table.find("other.com") == 1
        assert table.find("example.org") == 0
        assert list(table.matches("x.sea.com")) == [
            "#x.sea.com",
            "x.sea.com",
            "*.sea.com",
            "sea.com",
            "com",
            "*",
        ]


def test_address_literals_equal_themselves() -> None:
    table = DomainTable([("[192.0.2.1]", 4), ("[IPv6:2001:db8:0::1]", 6), ("2.1", 9)])
    assert table.find("[192.0.2.1]") == 4
    assert table.find("[IPV6:2001:DB8::1]") == 6
    assert table.find("[192.0.2.2]") is None


def test_an_international_name_has_two_spellings() -> None:
    table = DomainTable([("bücher.example", 1)])
    assert table.find("xn--bcher-kva.example") == 1
    assert table.find("shop.BÜCHER.example") == 1


@pytest.mark.parametrize(
    "text",
    ["", "#", "*.", "a..b", "-a.com", "a b.com", "*sea.com", "#[192.0.2.1]", "[x]", "@sea.com", "x" * 64],
)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|stands alone"):
        normal_pattern(text)


def test_a_list_names_a_pattern_once() -> None:
    once_each(["a.com", "#a.com", "*.a.com"])
    with pytest.raises(ValueError, match="twice"):
        once_each(["a.com", "b.com", "a.com"])


_NAMES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join)


@given(st.lists(_NAMES, max_size=6), _NAMES)
def test_suffixes_agree_with_the_obvious_way(rows: list[str], domain: str) -> None:
    fitting = [row for row in rows if f".{domain}".endswith(f".{row}")]
    wanted = max(fitting, key=len) if fitting else None
    assert DomainTable((row, row) for row in rows).find(domain) == wanted


@given(st.text(max_size=30))
def test_any_text_is_a_domain_or_fits_nothing(text: str) -> None:
    table = DomainTable([("example.org", 1)])
    assert table.find(text) in (None, 1)
