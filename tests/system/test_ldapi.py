"""LDAP on a local socket: whoever the system says is there needs no password."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.servers import PASSWORD, RunningServer, need, run
from tests.system.test_ldap import ALICE, BASE

pytestmark = pytest.mark.system


def tool(server: RunningServer, name: str, *arguments: str, **more: Any) -> Any:
    url = f"ldapi://{quote(str(server.home / 'run/ldapi'), safe='')}"
    return run(need(name), "-H", url, *arguments, **more)


def test_who_runs_the_server_administers(server: RunningServer) -> None:
    external = ("-Q", "-Y", "EXTERNAL")
    assert tool(server, "ldapwhoami", *external).stdout.lower().startswith("dn:cn=administrator,")
    change = f"dn: {ALICE}\nchangetype: modify\nreplace: Admin-Description\nAdmin-Description: local\n"
    tool(server, "ldapmodify", *external, input=change)
    found = tool(server, "ldapsearch", *external, "-LLL", "-b", BASE, "(Admin-Description=local)", "1.1")
    assert ALICE.lower() in found.stdout.lower()
    acting = tool(server, "ldapwhoami", *external, "-X", "u:alice")
    assert acting.stdout.lower().startswith("dn:cn=alice,")
    nobody = tool(server, "ldapwhoami", *external, "-X", "u:nobody", check=False)
    assert nobody.returncode != 0


def test_passwords_are_taken_too(server: RunningServer) -> None:
    done = tool(server, "ldapwhoami", "-x", "-D", "alice", "-w", PASSWORD)
    assert done.stdout.lower().startswith("dn:cn=alice,")
    assert Path(server.home / "run").stat().st_mode & 0o077 == 0
