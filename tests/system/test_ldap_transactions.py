"""A transaction with ldap3 against the running server."""

from __future__ import annotations

from typing import Any

import ldap3
import pytest

from protocols.ldap import ber
from tests.support.servers import PASSWORD, RunningServer
from tests.system.test_ldap import RECIPIENTS, search

pytestmark = pytest.mark.system


def test_two_people_come_together(server: RunningServer) -> None:
    host = ldap3.Server("127.0.0.1", server.port("ldap"))
    connection: Any = ldap3.Connection(host, "administrator", PASSWORD, auto_bind=True)
    for names, expected in ((("x1", "x1"), 0), (("x1", "x2"), 2)):
        connection.extended("1.3.6.1.1.21.1")
        identifier = connection.result["responseValue"]
        of = ("1.3.6.1.1.21.2", True, identifier)
        for name in names:
            connection.add(f"cn={name},{RECIPIENTS}", "inetOrgPerson", controls=[of])
            assert connection.result["result"] == 0
        connection.extended("1.3.6.1.1.21.3", ber.sequence([ber.octets(identifier)]), no_encode=True)
        assert (connection.result["result"] == 0) is bool(expected)
        assert search(server, "(uid=x*)", "1.1").count("dn: ") == expected
    connection.unbind()
