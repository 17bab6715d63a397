"""Controls of LDAP by ldap-utils and ldap3, against the running server."""

from __future__ import annotations

import ldap3
import pytest

from protocols.ldap.results import ResultCode
from tests.support.servers import PASSWORD, RunningServer
from tests.system.test_ldap import ALICE, BASE, RECIPIENTS, search, tool

pytestmark = pytest.mark.system

BOB = f"cn=bob,{RECIPIENTS}"
NAMES = "(&(uid=*)(|(uid=alice)(uid=bob)(uid=administrator)))"


def uids(text: str) -> list[str]:
    return [line.partition(": ")[2] for line in text.splitlines() if line.startswith("uid: ")]


def test_sorted_and_paged(server: RunningServer) -> None:
    assert uids(search(server, "-E", "!sss=uid", NAMES, "uid")) == ["administrator", "alice", "bob"]
    assert uids(search(server, "-E", "!sss=-uid:2.5.13.3", "-E", "pr=2/noprompt", NAMES, "uid")) == [
        "bob", "alice", "administrator",
    ]  # fmt: skip
    refused = tool(server, "ldapsearch", "-b", BASE, "-E", "!sss=telephoneNumber", NAMES, check=False)
    assert refused.returncode == ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
    assert uids(search(server, "-E", "sss=telephoneNumber", NAMES, "uid")) != []


def test_a_list_is_browsed(server: RunningServer) -> None:
    def browse(view: str) -> str:
        arguments = ("-b", BASE, "-E", "!sss=uid", "-E", view, NAMES, "uid")
        return str(tool(server, "ldapsearch", *arguments, check=False, input="").stdout)

    first = browse("!vlv=0/1/1/0")
    assert uids(first)[:2] == ["administrator", "alice"] and "pos=1 count=3" in first
    assert uids(browse("!vlv=0/0:b"))[:1] == ["bob"]


def test_values_that_match(server: RunningServer) -> None:
    change = f"dn: {BOB}\nchangetype: modify\nreplace: description\ndescription: red\ndescription: green\n"
    tool(server, "ldapmodify", input=change)
    found = search(server, "-E", "!mv=((description=gr*))", "(uid=bob)", "description")
    assert "description: green" in found and "red" not in found


def test_assertions_and_images(server: RunningServer) -> None:
    change = f"dn: {BOB}\nchangetype: modify\nreplace: title\ntitle: "
    tool(server, "ldapmodify", input=change + "Cook\n")
    arguments = ("-e", "!assert=(title=Cook)", "-e", "!preread=title", "-e", "!postread=title")
    done = tool(server, "ldapmodify", *arguments, input=change + "Chef\n")
    assert "title: Cook" in done.stdout and "title: Chef" in done.stdout
    refused = tool(server, "ldapmodify", *arguments, input=change + "Dean\n", check=False)
    assert refused.returncode == ResultCode.ASSERTION_FAILED
    assert "title: Chef" in search(server, "(uid=bob)", "title")
    assert uids(search(server, "-e", "!assert=(o=*)", "(uid=bob)", "uid")) == ["bob"]


def test_one_acts_for_another(server: RunningServer) -> None:
    acting = ("-e", f"!authzid=dn:{ALICE}")
    assert tool(server, "ldapwhoami", *acting).stdout.lower().startswith("dn:cn=alice,")
    refused = tool(server, "ldapwhoami", "-e", "!authzid=u:bob", user="alice", check=False)
    assert refused.returncode != 0
    change = f"dn: {BOB}\nchangetype: modify\nreplace: title\ntitle: Dean\n"
    refused = tool(server, "ldapmodify", *acting, input=change, check=False)
    assert refused.returncode == ResultCode.INSUFFICIENT_ACCESS_RIGHTS


def test_small_ones(server: RunningServer) -> None:
    assert uids(search(server, "-E", "subentries=false", "(uid=bob)", "uid")) == ["bob"]
    assert uids(search(server, "-E", "!subentries=true", "(uid=bob)", "uid")) == []
    assert uids(search(server, "-E", "!dontUseCopy", "(uid=bob)", "uid")) == ["bob"]
    again = f"dn: {BOB}\nchangetype: modify\nadd: businessCategory\nbusinessCategory: x\n"
    permissive = ("-e", "!1.2.840.113556.1.4.1413")
    for _ in range(2):
        tool(server, "ldapmodify", *permissive, input=again)
    uuid = "12345678-1234-1234-1234-123456789abc"
    copy = f"dn: cn=copied,{RECIPIENTS}\nobjectClass: inetOrgPerson\nentryUUID: {uuid}\n"
    tool(server, "ldapadd", "-e", "!relax", input=copy)
    assert f"entryUUID: {uuid}" in search(server, "(uid=copied)", "entryUUID")
    tool(server, "ldapadd", input=f"dn: cn=Tree,{RECIPIENTS}\nobjectClass: container\n")
    tool(server, "ldapmodrdn", "-s", f"cn=Tree,{RECIPIENTS}", f"cn=copied,{RECIPIENTS}", "cn=copied")
    assert tool(server, "ldapdelete", f"cn=Tree,{RECIPIENTS}", check=False).returncode == 66
    tool(server, "ldapdelete", "-e", "!1.2.840.113556.1.4.805", f"cn=Tree,{RECIPIENTS}")
    assert search(server, "(uid=copied)", "uid") == ""


def test_ldap3_sorts_and_reads_after_a_change(server: RunningServer) -> None:
    host = ldap3.Server("127.0.0.1", server.port("ldap"))
    connection = ldap3.Connection(host, "administrator", PASSWORD, auto_bind=True)
    post_read = ("1.3.6.1.1.13.2", True, b"\x30\x07\x04\x05title")
    connection.modify(BOB, {"title": [(ldap3.MODIFY_REPLACE, ["Baker"])]}, controls=[post_read])
    image = connection.result["controls"]["1.3.6.1.1.13.2"]["value"]
    assert b"Baker" in image if isinstance(image, bytes) else "Baker" in str(image)
    connection.unbind()
