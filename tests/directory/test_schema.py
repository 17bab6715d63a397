"""The schema, the files that show it, and values against their syntaxes."""

from __future__ import annotations

from pathlib import Path

import pytest

from imsd.directory import attributes, classes, schema, schemafile, subschema
from imsd.directory.attributes import Kept, Visible, Writer
from imsd.directory.bulk import Done
from imsd.directory.values import Contact, DistributionList, Local, PublicFolder
from imsd.errors import InvalidSyntax, ObjectClassViolation
from protocols.ldap.governing import DitContentRule, MatchingRuleUse
from protocols.ldap.schema import AttributeType, ObjectClass, Syntax
from tests.directory.support import found, open_directory, put_in
from tests.support.stores import StoreReactor, open_store, run

ETC = Path(__file__).parent.parent.parent / "etc"


def test_names_and_oids_are_given_once() -> None:
    oids = [each.type.oid for each in attributes.ALL] + [each.oid for each in classes.ALL]
    assert len(oids) == len(set(oids))
    names = [name.lower() for each in attributes.ALL for name in each.type.names]
    assert len(names) == len(set(names))
    names = [name.lower() for each in classes.ALL for name in each.names]
    assert len(names) == len(set(names))


def test_descriptions_can_be_read_back() -> None:
    for each in attributes.ALL:
        assert AttributeType.parse(str(each.type)) == each.type
    for one in classes.ALL:
        assert ObjectClass.parse(str(one)) == one
        schema.allowed(frozenset([one.name]))
    published = dict(subschema.subschema())
    assert all(published.values())
    for one in published["dITContentRules"]:
        assert str(DitContentRule.parse(one.decode())).encode() == one
    for use in published["matchingRuleUse"]:
        assert str(MatchingRuleUse.parse(use.decode())).encode() == use
    for text in published["ldapSyntaxes"]:
        assert Syntax.parse(text.decode()).description, text
    uses = {MatchingRuleUse.parse(use.decode()).names[0] for use in published["matchingRuleUse"]}
    for attribute in schema.SCHEMA.attributes:
        found = schema.SCHEMA.attribute(attribute.name)
        assert found and {found.equality, found.ordering, found.substrings} - {""} <= uses, attribute


def test_every_attribute_of_the_product_is_there() -> None:
    """The LDAP names of ims_spec 12.3, in any case."""
    names = """rdn cn name uid mail rfc822Mailbox textEncodedORAddress otherMailbox Proxy-Addresses info
        givenName sn initials generationQualifier personalTitle title Company department
        physicalDeliveryOfficeName manager Reports secretary postalAddress street l st postalCode co
        houseIdentifier telephoneNumber Telephone-Office2 Telephone-Number homephone Telephone-Home2 mobile
        pager facsimileTelephoneNumber Telephone-Assistant telexNumber teletexTerminalIdentifier
        internationalISDNNumber x121Address url LabeledURI language userCertificate User-Cert
        userSMIMECertificate employeeNumber employeeType Extension-Attribute-1 Extension-Attribute-15
        Hide-From-Address-Book Hide-DL-Membership member memberOf Owner Target-Address mailPreferenceOption
        MAPI-Recipient Internet-Encoding Protocol-Settings Home-MDB Home-MTA Assoc-NT-Account Alt-Recipient
        Deliver-And-Redirect Auth-Orig Unauth-Orig DL-Mem-Submit-Perms DL-Mem-Reject-Perms Public-Delegates
        Deliv-Cont-Length Incoming-Msg-Size-Limit Submission-Cont-Length MDB-Storage-Quota
        MDB-Over-Quota-Limit DXA-Task MDB-Use-Defaults AutoReply AutoReply-Message AutoReply-Subject
        Admin-Description Description Admin-Display-Name whenChanged whenCreated modifyTimestamp
        createTimestamp objectClass Voice-Mail-Speed Folder-Pathname Garbage-Coll-Period Security-Protocol"""
    assert [name for name in names.split() if schema.definition(name) is None] == []


def test_what_is_computed_is_nobodys_to_write_and_a_password_nobodys_to_read() -> None:
    for each in attributes.ALL:
        if each.kept in (Kept.COMPUTED, Kept.BACKLINK):
            assert each.writer is Writer.SYSTEM and each.type.no_user_modification, each.key
        assert (each.visible is Visible.NOBODY) == (each.kept is Kept.CREDENTIAL), each.key


def test_binary_is_for_octets_alone() -> None:
    assert schema.definition("userCertificate;binary") is schema.definition("USERCERTIFICATE")
    assert schema.definition("2.5.4.3") is schema.definition("commonName")
    for unknown in ("cn;binary", "cn;x-foobar", "userCertificate;x", "nonsense", ""):
        assert schema.definition(unknown) is None


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("cn", ["x", "Ångström", "x" * 256], ["", "\0", "x" * 257]),
        ("Deliv-Cont-Length", ["0", "-5", "99999999999"], ["", "1.0", "x", "007"]),
        ("AutoReply", ["TRUE", "FALSE"], ["yes", "1"]),
        ("dc", ["example"], ["bücher"]),
        ("c", ["DE", "us"], ["D_", "DEU", "D"]),
        (
            "preferredDeliveryMethod",
            ["any", "mhs $ telephone", "G3FAX$ia5"],
            ["", "pigeon", "any $", "any mhs"],
        ),
        ("x500UniqueIdentifier", ["'0101'B", "''B"], ["0101", "'2'B", ""]),
        ("aliasedObjectName", ["cn=x", ""], ["x"]),
        ("internationalISDNNumber", ["0 49"], ["+49"]),
        ("jpegPhoto", ["", "\x00\xff"], []),
        ("x121Address", ["12 34"], ["x"]),
        ("Home-MDB", ["any text"], [""]),
    ],
)
def test_values_have_the_syntax_of_their_attribute(name: str, good: list[str], bad: list[str]) -> None:
    wanted = schema.definition(name)
    assert wanted is not None
    for value in good:
        schema.check(wanted, value.encode())
    for value in bad:
        with pytest.raises(InvalidSyntax):
            schema.check(wanted, value.encode())
    if wanted.key == "cn":
        with pytest.raises(InvalidSyntax):
            schema.check(wanted, b"\xff")


def test_one_chain_of_structural_classes() -> None:
    assert schema.structural(frozenset(["top", "person", "inetOrgPerson"])) == "inetOrgPerson"
    for wrong in (["top"], ["inetOrgPerson", "groupOfNames"], ["Mailbox"], ["nonsense"]):
        with pytest.raises(ObjectClassViolation):
            schema.structural(frozenset(wrong))


def test_the_schema_file_is_up_to_date() -> None:
    assert (ETC / "schema/imsd.ldif").read_text("utf-8") == schemafile.text()


def test_the_example_directory_can_be_imported(tmp_path: Path, store_reactor: StoreReactor) -> None:
    directory = open_directory(open_store(tmp_path / "home"))
    counts, refused = put_in(directory, (ETC / "base.ldif").read_bytes())
    assert refused == {} and counts[Done.ADDED] == 6
    kinds = {"alice": Local, "bob": Local, "everyone": DistributionList, "projects": PublicFolder}
    for alias, kind in kinds.items():
        assert isinstance(run(directory.resolve(f"{alias}@example.test")), kind)
    assert isinstance(run(directory.resolve("carl@example.org")), Contact)
    assert len(run(directory.expand(run(directory.resolve("everyone@example.test")))).recipients) == 2
    assert found(directory, "(Reports=cn=bob,ou=Sales,cn=Recipients,ou=Main,o=Example)", "1.1")
    run(directory.db.close())
