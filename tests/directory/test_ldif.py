"""The directory as LDIF, out and in again."""

from __future__ import annotations

from pathlib import Path

import pytest

from imsd.directory import ldif
from imsd.directory.bulk import Done
from imsd.directory.directory import Directory
from imsd.directory.values import Contact
from imsd.store import credentials
from tests.directory.support import found, open_directory, put_in
from tests.support.stores import StoreReactor, open_store, run

RECIPIENTS = "cn=Recipients,ou=Main,o=Example"


def exported(directory: Directory, suffix: int = 0) -> bytes:
    async def gather() -> bytes:
        return b"".join([piece async for piece in ldif.export(directory, suffix)])

    return run(gather())


def everything(directory: Directory) -> dict[str, dict[str, list[str]]]:
    entries = found(directory, "(objectClass=*)", "*", "entryUUID", "memberOf")
    ordered = ("member", "memberOf", "objectClass", "otherMailbox", "proxyAddresses", "telephoneNumber")
    for attributes in entries.values():
        for name in ordered:
            if name in attributes:
                attributes[name].sort()
    return entries


def test_what_is_exported_can_be_imported_elsewhere(tmp_path: Path, store_reactor: StoreReactor) -> None:
    first = open_store(tmp_path / "one")
    one = open_directory(first)
    run(one.add_user("zoe@example.test", name="Zoë Ångström", password="zoes", other_addresses=["z@b.test"]))
    run(one.change("zoe", {"postalAddress": [" 1 Road$Town "], "telephoneNumber": ["+1", "+2"]}))
    run(one.add_group("a-team@example.test", members=["zoe"], owner="zoe"))
    run(one.add_group("all@example.test", members=["a-team@example.test", "administrator"]))
    run(one.add_contact("carl@example.test", "carl@elsewhere.test"))
    run(one.change("zoe", {"manager": [f"cn=administrator,{RECIPIENTS}"], "userPKCS12": ["octets"]}))
    contact = (
        f"dn: cn=contact,{RECIPIENTS}\nobjectClass: inetOrgPerson\nobjectClass: custom-recipient\nsn: x\n"
    )
    counts, refused = put_in(one, f"{contact}Target-Address: X400:c=US;a= ;s=X;\n\n".encode())
    assert refused == {}
    text = exported(one)
    assert b"userPassword" not in text and b"plain:" not in text
    before = everything(one)

    second = open_store(tmp_path / "two")
    two = open_directory(second)
    counts, refused = put_in(two, text)
    assert refused == {} and counts[Done.ADDED] == 5
    own = {"o=Example", "ou=Main,o=Example", RECIPIENTS, "cn=Configuration,ou=Main,o=Example",
           f"cn=administrator,{RECIPIENTS}"}  # fmt: skip
    after = everything(two)
    assert {name: after[name] for name in after if name not in own} == {
        name: before[name] for name in before if name not in own
    }
    assert isinstance(run(two.resolve("carl@example.test")), Contact)
    counts, refused = put_in(two, exported(one, suffix=1), replace=True)
    assert (refused, counts) == ({}, {Done.CHANGED: 10})

    def told(text: bytes) -> list[bytes]:
        """All but what these had before: five entries with their UUIDs."""
        return [line for line in text.split(b"\n") if not line.startswith(b"entryUUID")]

    assert told(exported(two)) == told(text)
    run(first.close())
    run(second.close())


def test_a_part_that_is_kept_elsewhere_goes_out_and_comes_in(
    tmp_path: Path, store_reactor: StoreReactor
) -> None:
    record = f"dn: cn=there,{RECIPIENTS}\nobjectClass: referral\nobjectClass: extensibleObject\n"
    one, two = (open_directory(open_store(tmp_path / name)) for name in ("one", "two"))
    assert put_in(one, f"{record}ref: ldap://x.test/o=X\n\n".encode())[1] == {}
    assert put_in(two, exported(one))[1] == {}
    assert b"\nref: ldap://x.test/o=X\n" in exported(two)
    for each in (one, two):
        run(each.db.close())


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Directory:
    return open_directory(open_store(tmp_path / "home"))


def test_another_servers_export_brings_its_password_hashes(directory: Directory) -> None:
    text = (
        "# from another server\r\n\r\ndn: cn=team," + RECIPIENTS + "\r\nobjectClass: groupOfNames\r\n"
        "member: cn=eve," + RECIPIENTS + "\r\n\r\n"
        "dn: cn=eve," + RECIPIENTS + "\r\nobjectClass: inetOrgPerson\r\nsn: Adams\r\ncn: Eve\r\n  Adams\r\n"
        "userPassword:: e1NTSEF9eA==\r\nmodifyTimestamp: 20200101000000Z\r\n\r\n"
        "dn: cn=odd," + RECIPIENTS + "\r\nobjectClass: inetOrgPerson\r\nnonsense: x\r\n"
    )
    _, refused = put_in(directory, text.encode())
    assert set(refused) == {2}
    eve = run(directory.person_by_login("eve"))
    assert eve is not None and eve.name == "Eve Adams"
    assert run(directory.db.read(credentials.read, eve.entry)).password == "plain:{SSHA}x"
    assert f"cn=team,{RECIPIENTS}" in found(directory, f"(member=cn=eve,{RECIPIENTS})")
    run(directory.db.close())
