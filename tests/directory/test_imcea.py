"""Addresses of any type inside Internet addresses (ims_spec 4.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsd.directory.imcea import Foreign, decode, distinguished_name, encode, site_of

VECTORS = [
    ("SMTP", "swadmin@corporate.com", "IMCEASMTP-swadmin+40corporate+2Ecom"),
    ("EX", "/O=ORG/OU=SITE/CN=RECIPIENTS/CN=ALIAS", "IMCEAEX-_O=ORG_OU=SITE_CN=RECIPIENTS_CN=ALIAS"),
    ("X400", "c=US;a= ;p=Org;o=Site;s=Clark;g=Mark;",
     "IMCEAX400-c=US+3Ba=+20+3Bp=Org+3Bo=Site+3Bs=Clark+3Bg=Mark+3B"),
    ("MS", "NETWORK/POSTOFFICE/USER", "IMCEAMS-NETWORK_POSTOFFICE_USER"),
    ("CCMAIL", "Mark Clark at SALES", "IMCEACCMAIL-Mark+20Clark+20at+20SALES"),
    ("FAX", "a_b-c", "IMCEAFAX-a+5Fb-c"),
    ("SMTP", "grüße@x.org", "IMCEASMTP-gr+C3+BC+C3+9Fe+40x+2Eorg"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "local"), VECTORS)
def test_vectors(kind: str, value: str, local: str) -> None:
    assert encode(Foreign(kind, value)) == local
    assert decode(local) == Foreign(kind, value)


def test_the_prefix_and_hexadecimal_digits_are_read_without_case() -> None:
    assert decode("imceasmtp-swadmin+40corporate+2ecom") == Foreign("SMTP", "swadmin@corporate.com")


def test_a_dot_that_was_not_encoded_is_a_dot() -> None:
    assert decode("IMCEASMTP-a+40b.org") == Foreign("SMTP", "a@b.org")


@pytest.mark.parametrize(
    "local",
    ["", "IMCEA", "IMCEA-x", "IMCEASMTP", "IMCEASMTP-", "IMCEASMTP-a+4", "IMCEASMTP-a+GG", "IMCEASMTP-a b",
     "IMCEASMTP-a+0Db", "IMCEASMTP-a+00", "IMCEASMTP-+FF", "xIMCEASMTP-a", "IMCEASMTP-" + "a" * 2000],
)  # fmt: skip
def test_what_holds_no_address(local: str) -> None:
    assert decode(local) is None


@given(
    st.from_regex(r"[A-Z][A-Z0-9]{0,10}", fullmatch=True),
    st.text(st.characters(categories=("L", "N", "P", "S"), include_characters=" "), min_size=1, max_size=60),
)
def test_decoding_undoes_encoding(kind: str, value: str) -> None:
    local = encode(Foreign(kind, value))
    assert local.isascii()
    assert decode(local) == Foreign(kind, value)


@given(st.text(max_size=80))
def test_any_text_decodes_or_does_not(text: str) -> None:
    decode(text)
    decode(f"IMCEASMTP-{text}")


def test_names_of_the_directory() -> None:
    value = "/o=Example/ou=Main/cn=Recipients/cn=Clark, Mark"
    assert distinguished_name(value) == r"cn=Clark\, Mark,cn=Recipients,ou=Main,o=Example"
    assert site_of(value) == ("example", "main")
    assert site_of("/o=Example") is None
    assert [distinguished_name(text) for text in ("", "x", "/o", "/=x", "/o=")] == [None] * 5
