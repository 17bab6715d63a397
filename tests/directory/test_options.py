"""Attributes in languages (RFC 3866), certificates under their transfer name (RFC 4522, RFC 4523)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from imsd.directory import ldif
from imsd.directory.access import ANONYMOUS, SERVER
from imsd.directory.changes import Change, Modification
from imsd.directory.directory import Directory
from imsd.errors import AttributeOrValueExists, ConstraintViolation, InvalidSyntax, ObjectClassViolation
from imsd.store.ids import EntryId
from protocols.ldap.messages import Scope
from tests.directory.support import as_elsewhere, configure, found, open_directory
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"
ANN = f"cn=ann,{RECIPIENTS}"
BEN = f"cn=ben,{RECIPIENTS}"

Change3 = tuple[str, str, list[str | bytes]]


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    run(directory.add_user("ann@example.test", name="Ann Lee"))
    run(directory.add_user("ben@example.test", name="Ben Roe"))
    yield directory
    run(database.close())


def change(directory: Directory, name: str, *changes: Change3) -> None:
    modifications = [
        Modification(
            Change[how.upper()],
            attribute,
            tuple(value if isinstance(value, bytes) else value.encode() for value in values),
        )
        for how, attribute, values in changes
    ]
    run(directory.modify_entry(name, modifications, SERVER))


def shown(directory: Directory, *attributes: str, name: str = ANN) -> dict[str, list[str]]:
    return next(iter(found(directory, "(objectClass=*)", *attributes, base=name, scope=Scope.BASE).values()))


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize(
    ("text", "matches"),
    [
        # RFC 3866 2.2: with the type or a subtype, and each of the options asked for
        ("(name;lang-en-US=Billy Ray)", True),
        ("(cn;lang-en-us=billy ray)", True),
        ("(cn;LANG-EN-US=billy*)", True),
        ("(sn;lang-en-GB;lang-en-US=Billy Ray)", True),
        ("(sn;lang-en-US=Billy Ray)", True),
        ("(name;lang-en=Billy Ray)", False),
        ("(cn;lang-en-GB=Billy Ray)", False),
        ("(name;lang-en-US=Ann Lee)", False),
        ("(name=Billy Ray)", True),
        ("(cn=Billy Ray)", True),
        ("(cn;lang-en-US=*)", True),
        ("(cn;lang-fr=*)", False),
        ("(!(cn;lang-fr=*))", True),
        ("(&(cn=ann lee)(!(cn;x-foobar=ann lee)))", False),
        ("(cn;binary=Billy Ray)", False),
        # RFC 3866 3.1: ranges
        ("(name;lang-en-=Billy Ray)", True),
        ("(name;lang-=Billy Ray)", True),
        ("(name;lang-en-us-=Billy Ray)", True),
        ("(name;lang-de-=Billy Ray)", False),
        ("(name;lang-=Ann Lee)", False),
        ("(cn;lang-en-:caseExactMatch:=Billy Ray)", True),
        ("(cn;lang-en-:caseExactMatch:=billy ray)", False),
    ],
)
def test_a_filter_asks_for_a_language(directory: Directory, text: str, matches: bool, planned: bool) -> None:
    change(
        directory, ANN,
        ("add", "cn;lang-en-US", ["Billy Ray"]),
        ("add", "sn;lang-en-US;lang-en-GB", ["Billy Ray"]),
    )  # fmt: skip
    assert (ANN in found(directory, f"(&(uid=ann){text})", "1.1", planned=planned)) is matches
    if text.startswith(("(name", "(cn")):
        assert (ANN in found(directory, text, "1.1", planned=planned)) is matches


def test_what_is_asked_for_says_in_which_language(directory: Directory) -> None:
    """RFC 3866 2.3."""
    change(
        directory, ANN,
        ("replace", "description", ["software products"]),
        ("add", "description;lang-en", ["software products"]),
        ("add", "DESCRIPTION;lang-DE", ["Softwareprodukte"]),
        ("add", "displayName;lang-ja", ["アン"]),
    )  # fmt: skip
    every = {"description", "description;lang-en", "description;lang-de"}
    assert set(shown(directory, "description")) == every
    assert set(shown(directory, "description;lang-de")) == {"description;lang-de"}
    assert set(shown(directory, "description;lang-")) == every - {"description"}
    assert set(shown(directory, "description;lang-d", "description;lang-en")) == {"description;lang-en"}
    assert set(shown(directory, "name;lang-de", "displayName;lang-ja")) == {"displayName;lang-ja"}
    assert every | {"displayName;lang-ja"} <= set(shown(directory, "*"))
    assert shown(directory, "displayName")["displayName"] == ["Ann Lee"]
    assert set(found(directory, "(displayName=アン)", "1.1")) == {ANN}
    exported = run(ldif.page(directory, run(directory.cache.locate(RECIPIENTS))[0], EntryId(0))).text
    assert b"description;lang-de: Softwareprodukte\n" in exported
    assert exported.count(b"Softwareprodukte") == 1


def test_each_language_is_an_attribute_of_its_own(directory: Directory) -> None:
    change(directory, ANN, ("add", "title;lang-de", ["Leiterin"]), ("add", "title;lang-fr", ["Leiterin"]))
    with pytest.raises(AttributeOrValueExists):
        change(directory, ANN, ("add", "title;lang-de", ["leiterin"]))
    change(directory, ANN, ("delete", "title;lang-de", []))
    assert shown(directory, "title") == {"title;lang-fr": ["Leiterin"]}
    # SINGLE-VALUE holds for each.
    change(directory, ANN, ("add", "Company", ["a"]), ("add", "Extension-Attribute-1;lang-de", ["x"]))
    with pytest.raises(ConstraintViolation):
        change(directory, ANN, ("add", "Extension-Attribute-1;lang-de", ["y"]))
    with pytest.raises(ObjectClassViolation):
        change(directory, ANN, ("add", "organizationName;lang-de", ["x"]), ("add", "dc;lang-de", ["x"]))
    with pytest.raises(ConstraintViolation):
        tags = [f"info;lang-x-{number}" for number in range(201)]
        change(directory, ANN, *(("add", tag, ["x"]) for tag in tags))


def test_a_language_hides_nothing_less(directory: Directory) -> None:
    """Who may not read an attribute may not read it in any language."""
    configure(directory, ldap__attributes='{"title": "administrator"}')
    change(directory, ANN, ("add", "title;lang-de", ["Leiterin"]))
    for text in ("(title=Leiterin)", "(title;lang-de=*)", "(title;lang-=Leiterin)", "(!(title;lang-de=x))"):
        assert ANN not in found(directory, text, "1.1", asking=ANONYMOUS)
    answer = found(directory, "(uid=ann)", "*", "title;lang-de", "name;lang-", asking=ANONYMOUS)
    assert not [name for name in answer[ANN] if "title" in name.lower()]


def certificate(serial: int, issuer: str) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ex, Inc."),
            x509.NameAttribute(NameOID.COMMON_NAME, issuer),
        ]
    )
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), serial, now, now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def signed_data(*certificates: bytes) -> bytes:
    loaded = [x509.load_der_x509_certificate(each) for each in certificates]
    return pkcs7.serialize_certificates(loaded, serialization.Encoding.DER)


@pytest.mark.parametrize(
    ("asserted", "matches"),
    [
        ('{ serialNumber 42, issuer rdnSequence:"CN=Test CA,O=Ex\\\\2C Inc." }', True),
        ('{serialNumber 42,issuer rdnSequence:"cn=test  ca,o=ex\\\\2c inc."}', True),
        ('{ issuer rdnSequence:"cn=Test CA,o=Ex\\\\2c Inc.", serialNumber 42 }', True),
        ("42$cn=Test CA,o=Ex\\\\2c Inc.", True),
        ("43$cn=Test CA,o=Ex\\\\2c Inc.", False),
        ("42$cn=Other,o=Ex\\\\2c Inc.", False),
        ("42", False),
        ("{ serialNumber 42 }", False),
    ],
)
def test_a_certificate_is_found_by_serial_number_and_issuer(
    directory: Directory, asserted: str, matches: bool
) -> None:
    """RFC 4523 2.4."""
    der = certificate(42, "Test CA")
    change(directory, ANN, ("add", "userCertificate;binary", [der]))
    as_elsewhere(directory, BEN, "userCertificate;binary", b"0\x80 no certificate")
    value = asserted.replace("(", "\\28").replace(")", "\\29").replace("\\\\", "\\5c")
    for name in ("userCertificate", "userCertificate;binary", "userCertificate:certificateExactMatch:"):
        assert set(found(directory, f"({name}={value})", "1.1")) == ({ANN} if matches else set())


def test_a_certificate_of_another_version_stops_nobody_s_search(directory: Directory) -> None:
    der = certificate(42, "Test CA")
    assert der.count(b"\xa0\x03\x02\x01\x02") == 1
    other = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x09")
    as_elsewhere(directory, ANN, "userCertificate", other)
    change(directory, BEN, ("add", "userCertificate", [der]))
    assert set(found(directory, "(userCertificate=42$cn=Test CA,o=Ex\\5c2C Inc.)", "1.1")) == {BEN}


def test_certificates_are_named_as_octets(directory: Directory) -> None:
    """RFC 4523 2.1, RFC 2798 2.8: S/MIME clients ask for either name, and get this one."""
    der = certificate(7, "CA")
    smime = signed_data(der)
    change(directory, ANN, ("add", "userCertificate", [der]), ("add", "userSMIMECertificate;binary", [smime]))
    for asked in ("userCertificate", "userCertificate;binary", "2.5.4.36;BINARY"):
        assert set(shown(directory, asked)) == {"userCertificate;binary"}
    assert set(shown(directory, "userSMIMECertificate")) == {"userSMIMECertificate;binary"}
    exact = "".join(f"\\{octet:02x}" for octet in der)
    assert set(found(directory, f"(userCertificate;binary={exact})", "1.1")) == {ANN}
    assert set(found(directory, "(mail=ann@example.test)", "userCertificate;binary")[ANN]) == {
        "userCertificate;binary"
    }
    with pytest.raises(AttributeOrValueExists):
        change(directory, ANN, ("add", "userCertificate", [der]))
    change(directory, ANN, ("delete", "userCertificate;binary", [der]))
    assert shown(directory, "userCertificate") == {}


def test_what_is_no_certificate_is_not_taken_for_one(directory: Directory) -> None:
    """RFC 4523 2.1, RFC 2798 2.8; what was read in from elsewhere hinders no other change."""
    der, other = certificate(7, "CA"), certificate(8, "CA")
    smime = signed_data(der)
    pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    for attribute, good, bad in (
        ("userCertificate", der, [b"", b"0\x00", b"octets", der[:-1], der + b"\0", pem, smime]),
        ("userSMIMECertificate", smime, [b"", b"0\x00", b"octets", smime[:-40], der, pem]),
    ):
        change(directory, ANN, ("replace", attribute, [good]))
        for value in bad:
            for how in ("add", "replace"):
                with pytest.raises(InvalidSyntax):
                    change(directory, ANN, (how, f"{attribute};binary", [value]))
        assert len(shown(directory, attribute)[f"{attribute};binary"]) == 1
        with pytest.raises(InvalidSyntax):
            run(directory.add_entry(f"cn=new,{RECIPIENTS}", [
                ("objectClass", [b"inetOrgPerson"]), ("sn", [b"New"]), (attribute, [b"octets"]),
            ], SERVER))  # fmt: skip
    as_elsewhere(directory, BEN, "userCertificate", b"octets")
    change(directory, BEN, ("add", "info", ["x"]), ("add", "userCertificate", [other]))
    assert len(shown(directory, "userCertificate", name=BEN)["userCertificate;binary"]) == 2
    with pytest.raises(InvalidSyntax):
        change(directory, BEN, ("add", "userCertificate", ["other octets"]))
