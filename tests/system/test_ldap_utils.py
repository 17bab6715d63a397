"""The options of ldap-utils against the running server: what administrators' scripts are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.ldap.results import ResultCode
from tests.directory.test_options import certificate
from tests.support.servers import PASSWORD, RunningServer, need, run
from tests.system.test_ldap import ALICE, BASE, RECIPIENTS, search, tool

pytestmark = pytest.mark.system

BOB = f"cn=bob,{RECIPIENTS}"
BOX = f"cn=Box,{RECIPIENTS}"


def names(text: str) -> list[str]:
    return [line[4:].partition(",")[0] for line in text.splitlines() if line.startswith("dn: ")]


def code(server: RunningServer, name: str, *arguments: str, text: str = "", **more: str) -> int:
    return int(tool(server, name, *arguments, input=text, check=False, **more).returncode)


def test_scopes_aliases_and_limits(server: RunningServer) -> None:
    assert names(search(server, "-s", "base", "-b", ALICE, "(objectClass=*)", "1.1")) == ["cn=alice"]
    below = names(search(server, "-s", "one", "-b", RECIPIENTS, "(uid=*)", "1.1"))
    assert {"cn=alice", "cn=bob"} <= set(below)
    children = names(search(server, "-s", "children", "-b", RECIPIENTS, "(objectClass=*)", "1.1"))
    assert set(below) <= set(children) and "cn=Recipients" not in children
    alias = f"dn: cn=nick,{RECIPIENTS}\nobjectClass: alias\naliasedObjectName: {ALICE}\n"
    tool(server, "ldapadd", input=alias)
    modes = {"never": "cn=nick", "always": "cn=alice", "find": "cn=alice", "search": "cn=nick"}
    for how, found in modes.items():
        nick = ("-a", how, "-s", "base", "-b", f"cn=nick,{RECIPIENTS}")
        assert names(search(server, *nick, "(objectClass=*)", "1.1")) == [found]
    tool(server, "ldapdelete", f"cn=nick,{RECIPIENTS}")
    assert code(server, "ldapsearch", "-z", "1", "-b", BASE, "(uid=*)") == ResultCode.SIZE_LIMIT_EXCEEDED
    assert names(search(server, "-l", "5", "-z", "max", "(uid=bob)", "1.1")) == ["cn=bob"]
    assert names(search(server, "-S", "uid", "(|(uid=bob)(uid=alice))", "uid")) == ["cn=alice", "cn=bob"]


def test_binary_values_go_to_files_and_come_back(server: RunningServer, tmp_path: Path) -> None:
    der = certificate(7, "CA")
    (tmp_path / "certificate").write_bytes(der)
    change = (
        f"dn: {BOB}\nchangetype: modify\nreplace: userCertificate;binary\n"
        f"userCertificate;binary:< file://{tmp_path}/certificate\n"
    )
    tool(server, "ldapmodify", input=change)
    text = search(server, "-tt", "-T", str(tmp_path), "(uid=bob)", "userCertificate")
    (line,) = [line for line in text.splitlines() if line.startswith("userCertificate;binary:< file://")]
    assert Path(line.partition("file://")[2]).read_bytes() == der
    tool(server, "ldapmodify", input=f"dn: {BOB}\nchangetype: modify\ndelete: userCertificate\n")


def test_changes_of_every_kind_in_one_file(server: RunningServer) -> None:
    changes = f"""\
dn: {BOX}
changetype: add
objectClass: container

dn: cn=cook,{BOX}
changetype: add
objectClass: organizationalRole
description;lang-de: Koch
description;lang-fr: cuisinier

dn: cn=cook,{BOX}
changetype: modify
add: telephoneNumber
telephoneNumber: +49 1
-
delete: description;lang-fr
-
add: description
description:: Q2jDqGY=

dn: cn=cook,{BOX}
changetype: moddn
newrdn: cn=chef
deleteoldrdn: 1
newsuperior: {BOX}

dn: {BOB}
changetype: modify
replace: Deliv-Cont-Length
Deliv-Cont-Length: 5
-
increment: Deliv-Cont-Length
Deliv-Cont-Length: 7
"""
    assert code(server, "ldapmodify", "-n", text=changes) == 0
    assert code(server, "ldapcompare", BOX, "cn:Box") == ResultCode.NO_SUCH_OBJECT, "-n does nothing"
    tool(server, "ldapmodify", input=changes)
    shown = search(server, "-b", BOX, "(cn=chef)", "description;lang-", "telephoneNumber", "cn")
    assert names(shown) == ["cn=chef"] and "cn: chef" in shown and "cn: cook" not in shown
    assert "description;lang-de: Koch" in shown and "cuisinier" not in shown
    assert "Deliv-Cont-Length: 12" in search(server, "(uid=bob)", "Deliv-Cont-Length")
    # -c goes on after an error; the first error is the answer without it.
    twice = f"dn: {BOX}\nchangetype: add\nobjectClass: container\n\n"
    other = f"dn: cn=Inner,{BOX}\nchangetype: add\nobjectClass: container\n"
    assert code(server, "ldapmodify", text=twice + other) == ResultCode.ENTRY_ALREADY_EXISTS
    assert code(server, "ldapmodify", "-c", text=twice + other) == ResultCode.ENTRY_ALREADY_EXISTS
    assert code(server, "ldapcompare", f"cn=Inner,{BOX}", "cn:inner") == ResultCode.COMPARE_TRUE
    assert code(server, "ldapcompare", f"cn=Inner,{BOX}", "cn:outer") == ResultCode.COMPARE_FALSE
    assert code(server, "ldapcompare", f"cn=Inner,{BOX}", "sn:x") == ResultCode.NO_SUCH_ATTRIBUTE
    assert code(server, "ldapcompare", f"cn=Inner,{BOX}", "nonsense:x") == ResultCode.UNDEFINED_ATTRIBUTE_TYPE
    assert code(server, "ldapdelete", BOX) == ResultCode.NOT_ALLOWED_ON_NON_LEAF
    assert code(server, "ldapdelete", "-r", BOX, user="alice") == ResultCode.INSUFFICIENT_ACCESS_RIGHTS
    tool(server, "ldapdelete", "-r", BOX)
    assert code(server, "ldapcompare", BOX, "cn:Box") == ResultCode.NO_SUCH_OBJECT


def test_extended_operations_and_extensions(server: RunningServer) -> None:
    assert "cn=alice," in tool(server, "ldapexop", "whoami", user="alice").stdout.lower()
    assert code(server, "ldapexop", "1.2.3.4") != 0
    assert code(server, "ldapexop", "cancel", "77") != 0
    for ignored in ("domainScope", "1.2.3.4"):
        assert names(search(server, "-E", ignored, "(uid=bob)", "1.1")) == ["cn=bob"]
        assert code(server, "ldapsearch", "-E", f"!{ignored}", "-b", BASE, "(uid=bob)") == (
            ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
        )
    for ignored in ("noop", "sessiontracking=bob", "chaining", "manageDSAit", "ppolicy"):
        assert names(search(server, "-e", ignored, "(uid=bob)", "1.1")) == ["cn=bob"]
    assert names(search(server, "-e", "!manageDSAit", "(uid=bob)", "1.1")) == ["cn=bob"]
    described = search(server, "-s", "base", "-b", "cn=Subschema", "(objectClass=subschema)", "+")
    for attribute in ("attributeTypes", "objectClasses", "matchingRuleUse", "dITContentRules"):
        assert f"\n{attribute}: ( " in described
    assert "userCertificate" in described and "conf-ldap-size-limit" in described


def test_settings_are_entries(server: RunningServer) -> None:
    page = "cn=ldap,cn=Configuration"
    root = search(server, "-s", "base", "-b", "", "(objectClass=*)", "configContext")
    assert "configContext: cn=Configuration" in root
    assert "conf-ldap-size-limit: 100" in search(server, "-b", "cn=Configuration", "(cn=ldap)")
    change = f"dn: {page}\nchangetype: modify\nreplace: conf-ldap-size-limit\nconf-ldap-size-limit: "
    tool(server, "ldapmodify", input=change + "1\n")
    try:
        assert code(server, "ldapsearch", "-b", BASE, "(uid=*)") == ResultCode.SIZE_LIMIT_EXCEEDED
        assert server.ask("settings.get", key="ldap.size_limit")["value"] == 1
        refused = tool(server, "ldapmodify", input=change + "-1\n", check=False)
        assert refused.returncode == ResultCode.CONSTRAINT_VIOLATION
        assert "greater than or equal to 0" in refused.stderr
    finally:
        tool(server, "ldapmodify", input=f"dn: {page}\nchangetype: modify\ndelete: conf-ldap-size-limit\n")
    assert server.ask("settings.get", key="ldap.size_limit")["value"] == 100
    assert code(server, "ldapsearch", "-b", page, user="alice") == ResultCode.NO_SUCH_OBJECT


def test_postfix_looks_up_its_recipients(server: RunningServer, tmp_path: Path) -> None:
    """ldap_table(5), over STARTTLS, as somebody who is no administrator."""
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    kinds = run(need("postconf"), "-c", str(tmp_path), "-m").stdout.split()
    assert "ldap" in kinds or need("postfix-ldap")
    postmen = f"dn: cn=postmen,{RECIPIENTS}\nobjectClass: groupOfNames\nmail: postmen@example.test\n"
    tool(server, "ldapadd", input=f"{postmen}member: {BOB}\nmember: {ALICE}\n")
    table = tmp_path / "table.cf"
    table.write_text(
        f"server_host = ldap://127.0.0.1:{server.port('ldap')}\nversion = 3\nstart_tls = yes\n"
        f"tls_require_cert = yes\ntls_ca_cert_file = {server.home}/tls/server.crt\n"
        f"bind_dn = {BOB}\nbind_pw = {PASSWORD}\nsearch_base = {BASE}\n"
        "query_filter = (&(objectClass=Mail-Recipient)(|(mail=%s)(otherMailbox=smtp$%s)))\n"
        "result_attribute = mail\nleaf_result_attribute = mail\nspecial_result_attribute = member\n"
    )

    def lookup(address: str) -> tuple[int, str]:
        done = run(need("postmap"), "-c", str(tmp_path), "-q", address, f"ldap:{table}", check=False)
        assert "warning" not in done.stderr and "fatal" not in done.stderr, done.stderr
        return done.returncode, done.stdout.strip()

    assert lookup("Bob@Example.Test") == (0, "bob@example.test")
    assert lookup("postmen@example.test") == (0, "bob@example.test,alice@example.test")
    for nobody in ("nobody@example.test", "*@example.test", r"a(b)\*@example.test"):
        assert lookup(nobody) == (1, "")
    tool(server, "ldapdelete", f"cn=postmen,{RECIPIENTS}")
