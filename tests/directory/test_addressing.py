"""Generated and given proxy addresses (ims_spec 4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.directory.addressing import (
    Naming,
    Proxy,
    generate,
    generate_ccmail,
    generate_ms,
    generate_x400,
    local_part,
    ordered,
)
from imsd.directory.canonical import canonical_address, canonical_local, quoted_local
from imsd.errors import AttributeOrValueExists, ConstraintViolation, InvalidSyntax
from imsd.settings.directory import Addressing
from imsd.store.entries import NameKind

MARK = Naming("markc", "Mark M. Clark", "Mark", "Clark", "M")


def free(address: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("template", "address"),
    [
        ("%d@microsoft.com", "MarkMClark@microsoft.com"),
        ("%r._%d@microsoft.com", "MarkM_Clark@microsoft.com"),
        ("%r..%d@microsoft.com", "MarkM.Clark@microsoft.com"),
        ("%g.%s@microsoft.com", "Mark.Clark@microsoft.com"),
        ("@microsoft.com", "markc@microsoft.com"),
        ("%1g%s@example.test", "MClark@example.test"),
        ("%r _%d@example.test", "Mark_M_Clark@example.test"),
        ("%raa%m%%@example.test", "mrkc%@example.test"),
        ("%i.%3s@EXAMPLE.test", "M.Cla@example.test"),
    ],
)
def test_the_documented_formats(template: str, address: str) -> None:
    assert generate(template, MARK, free) == Proxy("SMTP", address, True)


def test_letters_lose_their_marks_and_what_is_left_over_is_the_alias() -> None:
    assert local_part("%d", Naming("x", "Zoë Ångström")) == "ZoeAngstrom"
    assert generate("%d@example.test", Naming("ann.b", "李雷"), free).value == "ann.b@example.test"
    assert local_part("%g.%s", Naming("x", "", "Søren", "Müller-Groß")) == "Soren.Muller-Gross"
    assert local_part("%rüu%röo%rue%s", Naming("x", "", "", "Müöul")) == "Muoel"
    with pytest.raises(ConstraintViolation):
        generate("%d@example.test", Naming("李雷", "李雷"), free)


def test_a_number_is_appended_while_the_address_is_taken() -> None:
    taken = {"ann@example.test", "ann2@example.test"}
    assert generate("@example.test", Naming("Ann"), taken.__contains__).value == "Ann3@example.test"


@pytest.mark.parametrize(
    ("site", "naming", "address"),
    [
        ("c=US;a= ;p=Org;o=Site;", MARK, "c=US;a= ;p=Org;o=Site;s=Clark;g=Mark;"),
        ("c=US;a= ;p=Org;o=Site;g=%g;i=%i;s=%s", MARK, "c=US;a= ;p=Org;o=Site;g=Mark;i=M;s=Clark;"),
        ("c=US;a= ;cn=%d", MARK, "c=US;a= ;cn=Mark M. Clark;"),
        ("c=US;a= ;", Naming("zoe", "", "Zoë", "Müller-Groß"), "c=US;a= ;s=Muller-Gross;g=Zoe;"),
        ("c=US;a= ;", Naming("ivan", "", "Иван", "Петров"), "c=US;a= ;s=ivan;"),
        ("c=US;a= ;", Naming("x", "", "g" * 20, "s=;" * 30), f"c=US;a= ;s={'s' * 30};g={'g' * 16};"),
    ],
)
def test_an_x400_address_is_text(site: str, naming: Naming, address: str) -> None:
    assert str(generate_x400(site, naming, free)) == f"X400:{address}"


def test_every_type_is_numbered_while_it_is_taken() -> None:
    taken: set[str] = set()

    def one(site: str, make: Callable[..., Proxy | None], naming: Naming = MARK) -> str:
        made = make(site, naming, taken.__contains__)
        assert made is not None
        taken.add(made.name)
        return made.value

    x400 = "c=US;a= ;p=Org;o=Site;"
    assert [one(x400, generate_x400) for _ in range(2)] == [
        f"{x400}s=Clark;g=Mark;", f"{x400}s=Clark2;g=Mark;"
    ]  # fmt: skip
    long = Naming("a/b:c;defghijklmno", "Mark M. Clark")
    assert [one("ORG/PO", generate_ms, long) for _ in range(2)] == ["ORG/PO/abcdefghij", "ORG/PO/abcdefghi2"]
    assert [one("PO", generate_ccmail) for _ in range(2)] == ["markc at PO", "markc2 at PO"]
    assert one("at PO", generate_ccmail) == "markc3 at PO"
    assert one("%d at PO", generate_ccmail) == "Mark M. Clark at PO"
    assert one("ORG/PO/%1g%s", generate_ms) == "ORG/PO/MClark"
    nothing = Naming("李雷", "李雷")
    assert [make(site, nothing, free) for make, site in ((generate_x400, x400), (generate_ms, "ORG/PO"))] == [
        None, None
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("smtp", ["%m"]), ("smtp", ["%q@x.test"]), ("smtp", ["%m@bad domain"]), ("smtp", ["a b%m@x.test"]),
        ("smtp", ["%r. %d@x.test"]), ("smtp", ["%@x.test"]), ("smtp", ["@"]),
        ("x400", "garbage"), ("x400", "p=Org;o=Site;"), ("x400", "c=US;a= ;c=DE"), ("x400", "c=USA;a= ;"),
        ("x400", "c=US;a= ;s=%q;"), ("ms", "ORG"), ("ms", "ORG/"), ("ms", "NETWORK-TOO-LONG/PO"),
        ("ms", "ORG/PO/%x"), ("ms", "ORG/PO/a/b"), ("ccmail", "%q at PO"), ("ccmail", "p" * 21),
        ("ccmail", "PO@x"), ("domains", ["bad domain"]), ("domains", ["a@x.test"]), ("domains", ["*.x.test"]),
    ],
)  # fmt: skip
def test_formats_that_make_no_address_are_refused(field: str, wrong: object) -> None:
    with pytest.raises(ValueError, match=field):
        Addressing.model_validate({field: wrong})


def test_capitals_mark_the_primary_address() -> None:
    assert Proxy.parse("SMTP:Ann@EXAMPLE.test") == Proxy("SMTP", "Ann@example.test", True)
    assert str(Proxy.parse("smtp:ann@x.test")) == "smtp:ann@x.test"
    assert Proxy.parse("ms:ORG/PO/Ann").kind is NameKind.FOREIGN
    for wrong in ("ann@x.test", "SMTP:", "SMTP:ann", "SMTP:a@b..c", "T T:x"):
        with pytest.raises(InvalidSyntax):
            Proxy.parse(wrong)


def test_one_primary_of_each_type_and_nothing_twice() -> None:
    one, two = Proxy.parse("SMTP:a@x.test"), Proxy.parse("smtp:b@x.test")
    assert ordered([two, one]) == (one, two)
    with pytest.raises(ConstraintViolation):
        ordered([one, Proxy.parse("SMTP:c@x.test")])
    with pytest.raises(AttributeOrValueExists):
        ordered([one, Proxy.parse("smtp:A@X.test")])


def test_no_foreign_name_is_taken_for_an_address() -> None:
    assert Proxy.parse("CCMAIL:ann@x").name != canonical_address("ann@x")


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("Ann.Lee@Example.TEST", "ann.lee@example.test"),
        ('"Ann Lee"@example.test', "ann lee@example.test"),
        ('"ann"@example.test', "ann@example.test"),
        ('"a\\"b"@example.test', 'a"b@example.test'),
        ("ÅNGSTRÖM@BÜCHER.example.", "ångström@xn--bcher-kva.example"),
        ("A\u030angström@xn--BCHER-kva.example", "ångström@xn--bcher-kva.example"),
        ("STRASSE@x.test", "strasse@x.test"),
        ("straße@x.test", "strasse@x.test"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:DB8::1]", "ann@[ipv6:2001:db8::1]"),
    ],
)
def test_canonical_addresses(address: str, canonical: str) -> None:
    assert canonical_address(address) == canonical


@pytest.mark.parametrize(
    "wrong",
    ["", "ann", "@x.test", "ann@", "ann@-x.test", "a\nb@x.test", '"@x.test', "a@x y", "\ud800@x.test"],
)
def test_what_is_no_address(wrong: str) -> None:
    with pytest.raises(InvalidSyntax):
        canonical_address(wrong)


@given(st.text(max_size=70))
def test_a_canonical_local_part_is_its_own(local: str) -> None:
    try:
        made = canonical_local(local)
    except InvalidSyntax:
        return
    assert canonical_local(quoted_local(made)) == made


@given(st.text(min_size=1, max_size=30), st.sampled_from(["example.test", "BÜCHER.example", "[192.0.2.1]"]))
def test_case_makes_no_difference(local: str, domain: str) -> None:
    try:
        made = canonical_address(f"{quoted_local(local)}@{domain}")
    except InvalidSyntax:
        return
    assert canonical_address(f"{quoted_local(local.casefold())}@{domain.lower()}") == made


@given(st.text(max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_what_a_format_makes_is_an_address(user_format: str, display: str, alias: str) -> None:
    try:
        made = local_part(user_format, Naming(alias, display))
    except InvalidSyntax:
        return
    if made:
        assert quoted_local(made) == made and made.isascii()


@given(st.text("ab.", min_size=55, max_size=64), st.integers(0, 3))
def test_a_long_name_makes_an_address_too(given_name: str, others: int) -> None:
    naming = Naming("x", "", given_name, "y")
    taken = [True] * others
    made = generate("%r..%g.%s@example.test", naming, lambda _: bool(taken) and taken.pop())
    local = made.value.rpartition("@")[0]
    assert quoted_local(local) == local and canonical_address(made.value)
