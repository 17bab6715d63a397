"""Exchange's CSV, as LDIF and back."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from imsd.ctl import spreadsheet
from protocols.ldap import ldif
from protocols.ldap.ldif import Add, Content, Delete, Modify

BASE = "cn=Recipients,ou=Main,o=Example"


def records(tmp_path: Path, text: str, encoding: str = "utf-8") -> list[ldif.Record]:
    source = tmp_path / "people.csv"
    source.write_bytes(text.encode(encoding))
    path, wrong = spreadsheet.as_ldif(source, BASE)
    for each in wrong:
        raise click.ClickException(f"row {each.row}: {each.reason}")
    with path.open("rb") as file:
        return [ldif.record(chunk.text) for chunk in ldif.chunks(file)]


def test_every_mode_and_class(tmp_path: Path) -> None:
    made = records(
        tmp_path,
        "Obj-Class,Mode,First name,Last name,Display Name,Alias Name,Directory Name,E-mail address,"
        "E-mail Addresses,Members,Obj-Container,Title\r\n"
        'Mailbox,Create,Zoe,Adams,"Adams, Zoe",zoe,zoe,,SMTP:zoe@example.test%smtp:z@example.test,,'
        "Recipients,\r\n"
        "dl,,,,The team,team,team,,,Recipients/zoe%/o=Example/ou=Main/cn=Recipients/cn=Far/cn=carl,,\r\n"
        "remote,Update,,,Carl,carl,carl,SMTP:carl@far.test,,,Recipients/Far,\r\n"
        "mailbox,modify,,,,,zoe,,,,,~DEL\r\n"
        "MAILBOX,Delete,,,,,gone,,,,,\r\n",
    )
    assert made == [
        Add(f"cn=zoe,{BASE}", (
            ("objectClass", (b"inetOrgPerson", b"Mailbox")), ("givenName", (b"Zoe",)), ("sn", (b"Adams",)),
            ("cn", (b"Adams, Zoe",)), ("uid", (b"zoe",)),
            ("proxyAddresses", (b"SMTP:zoe@example.test", b"smtp:z@example.test")),
        )),
        Content(f"cn=team,{BASE}", (
            ("objectClass", (b"groupOfNames",)), ("cn", (b"The team",)), ("uid", (b"team",)),
        )),
        Content(f"cn=carl,cn=Far,{BASE}", (
            ("objectClass", (b"inetOrgPerson", b"remote-address")), ("cn", (b"Carl",)), ("uid", (b"carl",)),
            ("Target-Address", (b"SMTP:carl@far.test",)),
        )),
        Modify(f"cn=zoe,{BASE}", (("replace", "title", ()),)),
        Delete(f"cn=gone,{BASE}"),
        Modify(f"cn=team,{BASE}", (
            ("replace", "member", (f"cn=zoe,{BASE}".encode(), f"cn=carl,cn=Far,{BASE}".encode())),
        )),
    ]  # fmt: skip


def test_what_the_administrator_program_writes_is_not_utf8(tmp_path: Path) -> None:
    (made,) = records(
        tmp_path, "Obj-Class,Directory Name,Last name\nmailbox,zoe,\u00c5ngstr\u00f6m\n", "cp1252"
    )
    assert isinstance(made, Content) and dict(made.attributes)["sn"] == ("\u00c5ngstr\u00f6m".encode(),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Obj-Class and Directory Name"),
        ("Name,Mail\nx,y\n", "Obj-Class and Directory Name"),
        ("Obj-Class,Directory Name\nrobot,x\n", "row 2: Obj-Class 'robot'"),
        ("Obj-Class,Mode,Directory Name\ndl,Destroy,x\n", "row 2: Mode 'destroy'"),
        ("Obj-Class,Directory Name\nmailbox,a,b\n", "row 2: more fields"),
        ("Obj-Class,Directory Name\nmailbox,\n", "row 2: a Directory Name"),
        ('Obj-Class,Directory Name\nmailbox,"a\n', "row 2"),
    ],
)
def test_what_is_no_such_table_is_said_with_its_row(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(click.ClickException) as caught:
        records(tmp_path, text)
    assert words in caught.value.message


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    target = io.BytesIO()
    writer = spreadsheet.Writer(target, BASE)
    text = (
        f"dn: {BASE}\nobjectClass: container\ncn: Recipients\n\n"
        f"dn: cn=zoe,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: Mailbox\ncn: zoe\n"
        "displayName: Adams, Zoe\nsn: Adams\nuid: zoe\n"
        "proxyAddresses: SMTP:zoe@example.test\nproxyAddresses: smtp:z@example.test\n\n"
        f"dn: cn=team,cn=Far,{BASE}\nobjectClass: groupOfNames\ncn: team\nmember: cn=zoe,{BASE}\n\n"
    )
    assert writer.write(text.encode()) == 2
    zoe, team, members = records(tmp_path, target.getvalue().decode())
    assert isinstance(zoe, Content) and zoe.dn == f"cn=zoe,{BASE}"
    assert dict(zoe.attributes)["proxyAddresses"] == (b"SMTP:zoe@example.test", b"smtp:z@example.test")
    assert dict(zoe.attributes)["cn"] == (b"Adams, Zoe",)
    assert isinstance(team, Content) and team.dn == f"cn=team,cn=Far,{BASE}"
    assert members == Modify(team.dn, (("replace", "member", (f"cn=zoe,{BASE}".encode(),)),))


def test_a_wrong_row_keeps_no_other_out(tmp_path: Path) -> None:
    source = tmp_path / "people.csv"
    source.write_text("Obj-Class,Directory Name\nrobot,x\nmailbox,zoe\nmailbox,a,b\n")
    path, wrong = spreadsheet.as_ldif(source, BASE)
    assert [(each.row, each.fields) for each in wrong] == [(2, ("robot", "x")), (4, ("mailbox", "a", "b"))]
    with path.open("rb") as file:
        assert [ldif.record(chunk.text).dn for chunk in ldif.chunks(file)] == [f"cn=zoe,{BASE}"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_and_the_administrator_program_write(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    rows = ("Obj-Class", "Directory Name", "Last name"), ("dl", "zoë", "a")
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (made,) = records(tmp_path, text, encoding)
    assert isinstance(made, Content) and made.dn == f"cn=zoë,{BASE}"
