"""imsctl: every command, with the server running and on the store at rest."""

from __future__ import annotations

import imaplib
import json
import poplib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import ldap3
import pytest

from imsd import config
from imsd.ctl.command import MODULE_OF, imsctl
from imsd.ctl.setup import BEGUN
from tests.support.clients import subjects
from tests.support.servers import PASSWORD, RunningServer, free_offset, run

pytestmark = pytest.mark.system


@pytest.fixture(scope="module", params=["running", "at rest"])
def home(
    request: pytest.FixtureRequest, make_server: Callable[..., RunningServer]
) -> Iterator[RunningServer]:
    one = make_server(start=request.param == "running")
    one.imsctl("user", "add", one.address("alice"), "--password", PASSWORD, "--name", "Alice Arden")
    yield one
    one.stop()


def test_a_setup_that_was_killed_is_begun_anew(make_server: Callable[..., RunningServer]) -> None:
    one = make_server(start=False)
    (one.home / config.FILE).unlink()
    again = ("setup", "--yes", "--domain", "other.test", "--admin-password", PASSWORD)
    # A store that is not known to be half made is somebody's.
    assert "There is an organisation already" in refused(one, *again)
    (one.home / BEGUN).touch()
    one.imsctl(*again)
    assert "administrator@other.test" in said(one, "user", "list")
    assert not (one.home / BEGUN).exists()


# A command on a store at rest is the same operation in a process of its own: some show it.
running = pytest.mark.parametrize("home", ["running"], indirect=True)


def said(home: RunningServer, *arguments: str, input: str | None = None) -> str:
    text: str = home.imsctl(*arguments, input=input).stdout
    return text


def answered(home: RunningServer, *arguments: str) -> Any:
    return json.loads(said(home, *arguments, "--json"))


def refused(home: RunningServer, *arguments: str) -> str:
    """The sentence of a refusal; the exit status is 1 and nobody sees a traceback."""
    done = home.imsctl(*arguments, check=False)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("Error: "), done.stderr
    assert "Traceback" not in done.stderr
    text: str = done.stderr
    return text


def test_a_person(home: RunningServer) -> None:
    carl = home.address("carl")
    assert (
        answered(home, "user", "add", carl, "--password", PASSWORD, "--name", "Carl Carr")["name"]
        == "Carl Carr"
    )
    assert "is taken" in refused(home, "user", "add", carl, "--password", PASSWORD)
    home.imsctl("user", "delete", "--yes", carl)
    assert carl not in said(home, "user", "list")


@running
def test_people(home: RunningServer) -> None:
    dora = home.address("dora")
    made = answered(home, "user", "add", dora, "--password", PASSWORD, "--name", "Dora Dean", "--admin")
    assert (made["address"], made["name"], made["admin"]) == (dora, "Dora Dean", True)
    assert dora in {row["address"] for row in answered(home, "user", "list")}
    assert answered(home, "user", "show", "dora")["messages"] == 0
    assert "changed" in said(home, "user", "passwd", dora, "--password", "-", input="another-secret\n")
    assert "cannot log in" in said(home, "user", "disable", dora)
    assert answered(home, "user", "show", dora)["disabled"] is True
    assert "can log in" in said(home, "user", "enable", dora)
    assert "is taken" in refused(home, "user", "add", dora, "--password", PASSWORD)
    assert "There is nobody called" in refused(home, "user", "show", "nobody-here")
    home.imsctl("user", "delete", "--yes", dora)
    assert dora not in said(home, "user", "list")


@running
def test_lists_contacts_and_folders(home: RunningServer) -> None:
    team, away, alice = home.address("team"), home.address("away"), home.address("alice")
    home.imsctl("group", "add", team, alice, "--name", "The Team", "--owner", alice)
    home.imsctl("contact", "add", away, "someone@remote.test", "--name", "Some One")
    home.imsctl("group", "join", team, away)
    assert len(answered(home, "group", "show", team)["member"]) == 2
    home.imsctl("group", "leave", team, away)
    assert "1 members" in said(home, "group", "list")
    assert "someone@remote.test" in said(home, "contact", "list")
    assert answered(home, "contact", "show", away)["detail"] == "someone@remote.test"
    home.imsctl("folder", "add", "Projects", "--address", home.address("projects"))
    assert answered(home, "folder", "show", home.address("projects"))["detail"] == "Projects"
    assert "Projects" in said(home, "folder", "list")
    assert "is no contact" in refused(home, "contact", "show", team)
    for kind, address in (("group", team), ("contact", away), ("folder", home.address("projects"))):
        assert "was deleted" in said(home, kind, "delete", "--yes", address)


@running
def test_app_passwords(home: RunningServer) -> None:
    secret = said(home, "app-password", "add", "alice", "phone").strip()
    assert len(secret.replace("-", "")) == 26
    (row,) = answered(home, "app-password", "list", "alice")
    assert (row["label"], row["used"], row["protocols"]) == ("phone", 0, [])
    if home.process is not None:
        pop3 = poplib.POP3_SSL("localhost", home.port("pop3s"), context=home.tls(), timeout=20)
        pop3.user(home.address("alice"))
        pop3.pass_(secret)
        pop3.quit()
        assert answered(home, "app-password", "list", "alice")[0]["used"]
        # Who found the telephone does not shut its owner out.
        server = ldap3.Server("127.0.0.1", home.port("ldap"))
        with ldap3.Connection(server, home.address("alice"), secret) as directory:
            assert directory.bind()
            dn = directory.extend.standard.who_am_i().partition(":")[2]
            directory.modify(dn, {"userPassword": [("MODIFY_REPLACE", ["another-secret"])]})
            assert directory.result["description"] == "insufficientAccessRights"
            assert directory.modify(dn, {"telephoneNumber": [("MODIFY_REPLACE", ["+49 30 1234"])]})
            assert not directory.extend.standard.modify_password(dn, new_password="another-secret")
        options = ("--protocol", "imap", "--from", "127.0.0.0/8", "--days", "30")
        for_imap = said(home, "app-password", "add", "alice", "tablet", *options).strip()
        imap = imaplib.IMAP4("127.0.0.1", home.port("imap"))
        assert imap.login(home.address("alice"), for_imap)[0] == "OK"
        imap.logout()
        pop3 = poplib.POP3("127.0.0.1", home.port("pop3"), timeout=20)
        pop3.user(home.address("alice"))
        with pytest.raises(poplib.error_proto, match="AUTH"):
            pop3.pass_(for_imap)
        pop3.close()
        assert "imap\t127.0.0.0/8\ttablet" in said(home, "app-password", "list", "alice")
        home.imsctl("app-password", "remove", "alice", "2")
    assert "127.0.0.0/40" in refused(home, "app-password", "add", "alice", "x", "--from", "127.0.0.0/40")
    home.imsctl("app-password", "remove", "alice", str(row["number"]))
    assert answered(home, "app-password", "list", "alice") == []
    assert "No such app password" in refused(home, "app-password", "remove", "alice", "9")


@running
def test_settings(home: RunningServer, tmp_path: Path) -> None:
    key = "admission.per_minute"
    assert key in said(home, "settings", "list", "admission")
    assert said(home, "settings", "set", key, "77") == f"{key} = 77\n"
    assert answered(home, "settings", "get", key)["value"] == 77
    assert [row["key"] for row in answered(home, "settings", "list", "admission", "--changed")] == [key]
    file = tmp_path / "settings.toml"
    file.write_text(said(home, "settings", "export"))
    home.imsctl("settings", "reset", key)
    assert "1 settings would change" in said(home, "settings", "import", "--dry-run", str(file))
    assert "1 settings changed" in said(home, "settings", "import", str(file))
    home.imsctl("settings", "reset", key)
    assert key in refused(home, "settings", "set", key, "many")
    assert "There is no setting" in refused(home, "settings", "get", "no.such")


def test_directory(home: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "all.ldif"
    file.write_text(said(home, "directory", "export", "--domain-names"))
    assert "uid: alice" in file.read_text()
    assert "userPassword" not in file.read_text()
    report = answered(home, "directory", "import", "--replace", str(file))
    assert report["refused"] == [] and report["added"] == 0
    assert not list(tmp_path.glob("*.imsd-*"))
    # Before anything is put in: what is refused later could not be told.
    nowhere = str(tmp_path / "nowhere" / "x")
    told = refused(home, "directory", "import", str(file), "--rejects", nowhere)
    assert told == f"Error: {nowhere}: No such file or directory\n"


@running
def test_a_table_of_people_comes_in_and_out(home: RunningServer, tmp_path: Path) -> None:
    table, domain = tmp_path / "people.csv", home.address("x").partition("@")[2]
    table.write_text(
        "Obj-Class,First name,Last name,Display Name,Alias Name,Directory Name,E-mail addresses,Members\n"
        "dl,,,Pair,pair,pair,,Recipients/nina%Recipients/nobody\n"
        f"mailbox,Nina,North,Nina North,nina,nina,SMTP:nina@{domain}%smtp:n.north@{domain},\n"
        f"mailbox,,Copy,Copy,copy,copy,SMTP:nina@{domain},\n"
    )
    rehearsed = home.imsctl("directory", "import", "--dry-run", str(table), check=False)
    assert "would be added" in rehearsed.stdout
    assert f"nina@{domain}" not in {row["address"] for row in answered(home, "user", "list")}
    done = home.imsctl("directory", "import", str(table), check=False)
    assert done.returncode == 1 and "2 added" in done.stdout
    assert "line 4: dn: cn=copy" in done.stderr and "line 2: dn: cn=pair" in done.stderr
    rejected = tmp_path / "people.csv.rejected"
    assert "# line 4:" in rejected.read_text() and "changetype: modify" in rejected.read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["people.csv", "people.csv.rejected"]
    assert {f"nina@{domain}", f"n.north@{domain}"} <= {
        *said(home, "user", "show", "nina").replace(",", " ").split()
    }
    written = tmp_path / "out.csv"
    assert "entries are in" in said(home, "directory", "export", str(written))
    assert f"SMTP:nina@{domain}%smtp:n.north@{domain}" in written.read_text()


@running
def test_everybody_gets_new_addresses(home: RunningServer) -> None:
    domain = home.address("x").partition("@")[2]
    said(home, "user", "add", home.address("gina"), "--password", PASSWORD, "--name", "Gina Gray")
    before = json.dumps(answered(home, "settings", "get", "addressing.smtp")["value"])
    said(home, "settings", "set", "addressing.smtp", f'["%g.%s@{domain}"]')
    assert "recipients would change" in said(home, "address", "regenerate", "--dry-run")
    assert f"gina: gina@{domain} -> Gina.Gray@{domain}" in said(home, "address", "regenerate")
    assert said(home, "address", "regenerate") == "0 recipients changed\n"
    said(home, "settings", "set", "addressing.smtp", before)
    assert {f"gina@{domain}", f"Gina.Gray@{domain}"} <= {
        *said(home, "user", "show", "gina").replace(",", " ").split()
    }


@running
def test_queue_and_track(home: RunningServer) -> None:
    assert answered(home, "queue", "list") == []
    assert said(home, "queue", "retry") == "0 recipients are due now\n"
    for command in (["show"], ["hold"], ["release"], ["retry"]):
        assert "No such message" in refused(home, "queue", *command, "nothing")
    assert "No such message" in refused(home, "queue", "delete", "--yes", "nothing")
    assert answered(home, "track", "nobody@remote.test", "--limit", "5") == []


def test_status_check_and_verify(home: RunningServer) -> None:
    if home.process is None:
        assert "The server is not running" in refused(home, "queue", "delete", "--yes", "nothing")
    done = home.imsctl("status", "--json", check=False)
    assert json.loads(done.stdout)["running"] is (home.process is not None)
    assert done.returncode == (0 if home.process is not None else 1)
    started = time.monotonic()
    findings = json.loads(home.imsctl("check", "--json", check=False).stdout)
    assert time.monotonic() - started < 20
    assert any("self-signed" in finding["text"] for finding in findings)
    assert answered(home, "verify") == []
    assert said(home, "verify", "--repair") == "Nothing found.\n"


def test_backup_and_restore(home: RunningServer, tmp_path: Path) -> None:
    if home.process is not None:
        home.deliver("Subject: kept\r\n\r\nx\r\n", [home.address("alice")])
        home.deliver(b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 40_000, [home.address("alice")])
    copy = tmp_path / "copy"
    assert "holds the copy" in said(home, "backup", str(copy))
    assert "is not empty" in refused(home, "backup", str(copy))
    assert "has a store already" in refused(home, "restore", str(copy)) or home.process is not None
    other = RunningServer(tmp_path / "other", free_offset())
    other.home.mkdir()
    assert "holds no copy" in refused(other, "restore", str(tmp_path))
    assert "is ready" in said(other, "restore", str(copy))
    file = other.home / config.FILE
    file.write_text(
        file.read_text().replace(f"port_offset = {home.offset} ", f"port_offset = {other.offset} ")
    )
    assert said(other, "verify") == "Nothing found.\n"
    other.start()
    try:
        assert subjects(other) == (["kept", "big"] if home.process is not None else [])
        for path in (copy, other.home):
            assert (path / "tls/server.key").stat().st_mode & 0o077 == 0
    finally:
        other.stop()


def test_a_home_is_not_made_twice(home: RunningServer) -> None:
    assert "is a home already" in refused(home, "setup", "--yes", "--domain", "x.test")
    assert said(home, "welcome").count("127.0.0.1") > 3


def test_every_command_has_help() -> None:
    def walk(command: click.Command, path: list[str]) -> None:
        assert command.help, path
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                walk(inner, [*path, name])

    context = click.Context(imsctl)
    assert {"backup", "user", "queue", "status"} <= set(imsctl.list_commands(context))
    assert "Usage: imsctl" in run(sys.executable, "-m", "imsd.ctl", "--help").stdout
    walk(imsctl, [])


def test_a_command_is_whole_without_the_modules_of_others() -> None:
    """Each in a process that has imported nothing yet, then all of them in one."""
    look = (
        "import sys, click; from imsd.ctl import command\n"
        "context = click.Context(command.imsctl)\n"
        "for name in sys.argv[1:]:\n"
        "    found = command.imsctl.get_command(context, name)\n"
        "    print(name, found and sorted(getattr(found, 'commands', ())))"
    )

    def seen(*names: str) -> list[str]:
        lines: list[str] = run(sys.executable, "-c", look, *names).stdout.splitlines()
        return lines

    names = sorted(MODULE_OF)
    by_module = {
        module: [name for name in names if MODULE_OF[name] == module] for module in MODULE_OF.values()
    }
    alone = [line for group in by_module.values() for line in seen(*group)]
    assert sorted(alone) == seen("directory", *names)[1:]
