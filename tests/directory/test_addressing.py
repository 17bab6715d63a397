"""Generated and given proxy addresses (ims_spec 4.2, 4.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.directory.addressing import Naming, Proxy, generate, generate_x400, local_part, ordered
from imsd.directory.canonical import canonical_address, canonical_local, quoted_local
from imsd.errors import AttributeOrValueExists, ConstraintViolation, InvalidSyntax
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
    with pytest.raises(ConstraintViolation):
        generate("%d@example.test", Naming("李雷", "李雷"), free)


def test_a_number_is_appended_while_the_address_is_taken() -> None:
    taken = {"ann@example.test", "ann2@example.test"}
    assert generate("@example.test", Naming("Ann"), taken.__contains__).value == "Ann3@example.test"


def test_an_x400_address_is_text() -> None:
    made = generate_x400("c=US;a= ;p=Org;o=Site;", MARK)
    assert str(made) == "X400:c=US;a= ;p=Org;o=Site;s=Clark;g=Mark;"


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
    made = local_part(user_format, Naming(alias, display))
    assert ".." not in made and not made.startswith(".") and not made.endswith(".")
