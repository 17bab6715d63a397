"""A dry run says what an import would do, also of records that follow others of the file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imsd.admin.operations import call
from imsd.ctl import recordfile
from imsd.ctl.recordfile import RecordFile, Standing
from imsd.ctl.rehearsal import UNJUDGED, rehearse
from imsd.directory.directory import Directory
from tests.directory.support import found, open_directory
from tests.support.stores import StoreReactor, open_store, run

BASE = "cn=Recipients,ou=Main,o=Example"
PERSON = "objectClass: inetOrgPerson\nsn: x\n"


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor, monkeypatch: pytest.MonkeyPatch) -> Directory:
    for name in ("PIECE", "PIECE_OF_CHANGES"):
        monkeypatch.setattr(recordfile, name, 1)
    return open_directory(open_store(tmp_path / "home"))


def rehearsed(directory: Directory, tmp_path: Path, text: str) -> tuple[dict[str, int], dict[str, str]]:
    """The counts, and why which line was refused."""
    file = tmp_path / "file.ldif"
    file.write_text(text)
    core, standing, records = SimpleNamespace(directory=directory), Standing(), RecordFile(file)

    def ask(operation: str, **arguments: Any) -> Any:
        if operation == "directory.import":
            arguments["rehearse"] = True
        return run(call(core, operation, arguments))

    before = found(directory, "(objectClass=*)")
    rehearse(records, ask, standing, lambda _: None)
    assert found(directory, "(objectClass=*)") == before
    counts = {name: count for name, count in standing.counts.items() if count}
    return counts, {
        records.text(number).decode().partition("\n")[0].partition("=")[2].partition(",")[0]: reason
        for number, _, reason in standing.refused
    }


def test_entries_that_refer_to_each_other(directory: Directory, tmp_path: Path) -> None:
    counts, refused = rehearsed(
        directory,
        tmp_path,
        f"dn: cn=g,{BASE}\nobjectClass: groupOfNames\nmember: cn=a,{BASE}\nmember: cn=g,{BASE}\n\n"
        f"dn: cn=bad,{BASE}\nobjectClass: groupOfNames\nmember: cn=a,{BASE}\nmember: cn=ghost,{BASE}\n\n"
        f"dn: cn=in,ou=New,{BASE}\n{PERSON}\n"
        f"dn: ou=New,{BASE}\nobjectClass: organizationalUnit\n\n"
        f"dn: cn=out,ou=Nowhere,{BASE}\n{PERSON}\n"
        f"dn: cn=a,{BASE}\n{PERSON}manager: cn=A,{BASE}\n\n",
    )
    assert counts == {"added": 4, "refused": 1, UNJUDGED: 1}, refused
    assert refused == {"bad": "member: names no entry here", "out": "No such entry"}
    run(directory.db.close())


def test_an_address_is_given_once_in_a_file(directory: Directory, tmp_path: Path) -> None:
    counts, refused = rehearsed(
        directory,
        tmp_path,
        f"dn: cn=a,{BASE}\n{PERSON}mail: x@example.test\nproxyAddresses: SMTP:x@example.test\n\n"
        f"dn: cn=b,{BASE}\n{PERSON}otherMailbox: smtp$X@example.test\n\n"
        f"dn: cn=c,{BASE}\n{PERSON}otherMailbox: MS$X@example.test\n\n"
        f"dn: cn=d,{BASE}\n{PERSON}mail: administrator@example.test\n\n",
    )
    assert counts == {"added": 2, "refused": 2}
    assert set(refused) == {"b", "d"}
    run(directory.db.close())


def test_changes_that_follow_each_other(directory: Directory, tmp_path: Path) -> None:
    counts, refused = rehearsed(
        directory,
        tmp_path,
        f"dn: ou=Tree,{BASE}\nchangetype: add\nobjectClass: organizationalUnit\n\n"
        f"dn: cn=leaf,ou=Tree,{BASE}\nchangetype: add\n{PERSON}\n"
        f"dn: ou=Tree,{BASE}\nchangetype: moddn\nnewrdn: ou=Wood\ndeleteoldrdn: 1\n\n"
        f"dn: cn=leaf,ou=Wood,{BASE}\nchangetype: modify\nreplace: title\ntitle: x\n-\n\n"
        f"dn: cn=list,{BASE}\nchangetype: add\nobjectClass: groupOfNames\nmember: ou=Wood,{BASE}\n\n"
        f"dn: cn=other,ou=Elsewhere,{BASE}\nchangetype: delete\n\n"
        f"dn: cn=administrator,{BASE}\nchangetype: modify\nreplace: nothing\nnothing: x\n-\n\n"
        "dn: no name\nchangetype: delete\n\n",
    )
    assert counts == {"added": 1, "refused": 3, UNJUDGED: 4}
    assert set(refused) == {"other", "administrator", ""}
    run(directory.db.close())
