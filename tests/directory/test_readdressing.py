"""Addresses made anew for everybody (ims_spec 4.1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from imsd.directory import readdressing
from imsd.directory.directory import Directory
from imsd.directory.readdressing import Readdressed
from imsd.store.ids import EntryId
from tests.directory.support import configure, found, open_directory
from tests.support.stores import StoreReactor, open_store, run


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Directory:
    made = open_directory(open_store(tmp_path / "home"))
    run(made.add_user("mark@example.test", name="Mark Clark", given_name="Mark", surname="Clark"))
    run(made.add_user("other@example.test", name="Mark Clark", given_name="Mark", surname="Clark"))
    run(made.change("other", {"otherMailbox": ["smtp$desk@example.test", "CCMAIL$o at PO"]}))
    return made


def everybody(directory: Directory, keep_old: bool = True, rehearse: bool = False) -> list[Readdressed]:
    changed: list[Readdressed] = []
    after = EntryId(0)
    while True:
        batch = run(readdressing.readdress(directory, after, keep_old, rehearse))
        changed.extend(batch.changed)
        after = batch.last
        if not after:
            return changed


def addresses(directory: Directory, alias: str) -> set[str]:
    (entry,) = found(directory, f"(uid={alias})", "proxyAddresses").values()
    return set(entry["proxyAddresses"]) - {"smtp:postmaster@example.test"}


def test_new_formats_reach_everybody_and_old_addresses_stay(directory: Directory) -> None:
    configure(directory, addressing__smtp='["%g.%s@example.test", "%m@b.test"]')
    rehearsed = everybody(directory, rehearse=True)
    assert addresses(directory, "mark") == {"SMTP:mark@example.test"}
    changed = everybody(directory)
    assert (
        [one.alias for one in changed]
        == [one.alias for one in rehearsed]
        == ["administrator", "mark", "other"]
    )
    assert Readdressed("mark", "mark@example.test", "Mark.Clark@example.test") in changed
    assert addresses(directory, "mark") == {
        "SMTP:Mark.Clark@example.test", "smtp:mark@b.test", "smtp:mark@example.test"
    }  # fmt: skip
    assert addresses(directory, "other") == {
        "SMTP:Mark.Clark2@example.test", "smtp:other@b.test", "smtp:other@example.test",
        "smtp:desk@example.test", "CCMAIL:o at PO",
    }  # fmt: skip
    assert everybody(directory) == []
    run(directory.db.close())


def test_old_primary_addresses_may_go(directory: Directory) -> None:
    configure(directory, addressing__smtp='["%g.%s@example.test"]')
    everybody(directory, keep_old=False)
    assert addresses(directory, "other") == {
        "SMTP:Mark.Clark2@example.test", "smtp:desk@example.test", "CCMAIL:o at PO"
    }  # fmt: skip
    run(directory.db.close())


def test_the_other_systems_addresses(directory: Directory) -> None:
    configure(
        directory,
        addressing__smtp='["%m@example.test"]',
        addressing__ms='"ORG/SITE"',
        addressing__ccmail='"SITE"',
        addressing__x400='"c=US;a= ;p=Org;o=Site;"',
    )
    everybody(directory)
    assert addresses(directory, "administrator") == {
        "SMTP:administrator@example.test", "MS:ORG/SITE/administra", "CCMAIL:administrator at SITE",
        "X400:c=US;a= ;p=Org;o=Site;s=Administrator;",
    }  # fmt: skip
    assert "X400:c=US;a= ;p=Org;o=Site;s=Clark;g=Mark;" in addresses(directory, "mark")
    assert "X400:c=US;a= ;p=Org;o=Site;s=Clark2;g=Mark;" in addresses(directory, "other")
    assert "CCMAIL:other at SITE" in addresses(directory, "other")
    run(directory.add_user("administrators@example.test", name="Some More"))
    assert "MS:ORG/SITE/administr2" in addresses(directory, "administrators")
    assert everybody(directory) == []
    run(directory.db.close())


def test_contacts_have_addresses_of_the_types_their_target_has_not(directory: Directory) -> None:
    run(directory.add_contact("far@example.test", "far@elsewhere.test", name="Far Away"))
    configure(directory, addressing__smtp='["%g.%s@example.test"]', addressing__ms='"ORG/SITE"')
    everybody(directory)
    assert addresses(directory, "far") == {"SMTP:far@example.test", "MS:ORG/SITE/far"}
    run(directory.change("far@example.test", {"Target-Address": ["X400:c=DE;a= ;s=Away;"]}))
    everybody(directory)
    assert addresses(directory, "far") == {
        "SMTP:Away@example.test", "smtp:far@example.test", "MS:ORG/SITE/far"
    }  # fmt: skip
    run(directory.db.close())


def test_nobody_gets_the_address_of_somebody_who_may_come_back(directory: Directory) -> None:
    configure(directory, addressing__smtp='["%g.%s@example.test"]', deletion__keep_days="30")
    everybody(directory)
    run(directory.delete_user("mark", delete_mailbox=True))
    everybody(directory)
    assert "SMTP:Mark.Clark2@example.test" in addresses(directory, "other")
    run(directory.db.close())


def test_formats_that_make_the_same_address_make_one(directory: Directory) -> None:
    run(directory.add_user("ivan@example.test", name="\u0418\u0432\u0430\u043d"))
    configure(directory, addressing__smtp='["%d@example.test", "%m@example.test"]')
    everybody(directory)
    assert addresses(directory, "ivan") == {"SMTP:ivan@example.test"}
    run(directory.db.close())


def test_a_name_that_makes_no_address_gives_way_to_the_alias(directory: Directory) -> None:
    run(directory.add_group("team@example.test", name="\u56e2\u961f"))
    configure(directory, addressing__smtp='["%d@example.test"]')
    assert {one.alias: one.after for one in everybody(directory)} == {
        "administrator": "Administrator@example.test",
        "mark": "MarkClark@example.test",
        "other": "MarkClark2@example.test",
    }
    assert addresses(directory, "team") == {"SMTP:team@example.test"}
    run(directory.db.close())
