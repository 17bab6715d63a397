"""Referral entries by ldap-utils (RFC 3296)."""

from __future__ import annotations

import pytest

from protocols.ldap.results import ResultCode
from tests.support.servers import RunningServer
from tests.system.test_ldap import BASE, search, tool

pytestmark = pytest.mark.system

PEOPLE = f"ou=Elsewhere,{BASE}"


def test_a_part_of_the_tree_is_elsewhere(server: RunningServer) -> None:
    tool(
        server, "ldapadd",
        input=f"dn: {PEOPLE}\nobjectClass: referral\nobjectClass: extensibleObject\nou: Elsewhere\n"
        f"ref: ldap://127.0.0.1:1/{PEOPLE}\n",
    )  # fmt: skip
    try:
        found = tool(server, "ldapsearch", "-o", "ldif-wrap=no", "-b", BASE, "(uid=alice)", "uid").stdout
        assert f"ref: ldap://127.0.0.1:1/{PEOPLE}??sub" in found and "uid: alice" in found
        refused = tool(server, "ldapsearch", "-b", f"cn=x,{PEOPLE}", check=False)
        assert refused.returncode == ResultCode.REFERRAL
        assert f"ref: ldap://127.0.0.1:1/{PEOPLE}" in search(server, "-MM", "(ou=Elsewhere)", "ref")
    finally:
        tool(server, "ldapdelete", "-M", PEOPLE)
    assert search(server, "-M", "(ou=Elsewhere)", "ref") == ""
