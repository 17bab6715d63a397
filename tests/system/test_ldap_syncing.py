"""Content synchronization with ldapsearch, and with OpenLDAP's server as a consumer."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols.ldap.results import ResultCode
from tests.support.servers import PASSWORD, ROOT, RunningServer, free_port, need, run
from tests.system.test_ldap import BASE, RECIPIENTS, tool

pytestmark = pytest.mark.system

BOB = f"cn=bob,{RECIPIENTS}"


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.05)


def title(server: RunningServer, text: str) -> None:
    change = f"dn: {BOB}\nchangetype: modify\nreplace: title\ntitle: {text}\n"
    tool(server, "ldapmodify", input=change)


def test_ldapsearch_polls_with_a_cookie(server: RunningServer) -> None:
    title(server, "Cook")
    # Comments are where ldapsearch shows the cookie.
    arguments = ("-b", RECIPIENTS, "-o", "ldif-wrap=no", "(uid=*)", "title")
    first = tool(server, "ldapsearch", "-E", "!sync=ro", *arguments).stdout
    assert f"dn: {BOB}" in first
    cookie = re.search(r"cookie: (\S+)", first)
    assert cookie is not None
    title(server, "Chef")
    again = tool(server, "ldapsearch", "-E", f"!sync=ro/{cookie[1]}", *arguments).stdout
    assert again.count("\ndn: ") == 1 and "title: Chef" in again
    other = tool(server, "ldapsearch", "-E", "!sync=ro/csn=x", *arguments, check=False)
    assert other.returncode == ResultCode.SYNC_REFRESH_REQUIRED % 256


def test_ldapsearch_is_told_of_changes(server: RunningServer, tmp_path: Path) -> None:
    url = f"ldap://127.0.0.1:{server.port('ldap')}"
    output = tmp_path / "out"
    command = [need("ldapsearch"), "-x", "-H", url, "-D", "administrator", "-w", PASSWORD, "-b", RECIPIENTS]
    with output.open("w") as file:
        more = ["-o", "ldif-wrap=no", "-E", "!sync=rp", "(uid=bob)", "title"]
        waiting = subprocess.Popen([*command, *more], stdout=file)
    try:
        until(lambda: f"dn: {BOB}" in output.read_text())
        title(server, "Dean")
        until(lambda: "title: Dean" in output.read_text())
    finally:
        waiting.terminate()
        waiting.wait(10)


def test_openldap_keeps_a_copy(server: RunningServer, tmp_path: Path) -> None:
    found = (path for path in ("/usr/sbin/slapd", "/usr/lib/slapd") if os.access(path, os.X_OK))
    slapd = next(found, None) or need("slapd")
    port = free_port()
    (tmp_path / "data").mkdir()
    schema = "".join(
        f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson")
    )
    # The file that is for others, every attribute, from the top: as somebody does it first.
    ours = (ROOT / "etc/schema/imsd.ldif").read_text().partition("cn: imsd\n")[2]
    ours = ours.replace("olcAttributeTypes:", "attributetype").replace("olcObjectClasses:", "objectclass")
    ours = ours.replace(" $ ", "\n $ ")  # a line of its configuration has 2,000 characters at most
    (tmp_path / "slapd.conf").write_text(
        f"{schema}{ours}pidfile {tmp_path}/slapd.pid\nargsfile {tmp_path}/slapd.args\n"
        "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
        f'database mdb\nsuffix "{BASE}"\ndirectory {tmp_path}/data\nmaxsize 16777216\n'
        f'rootdn "cn=root,{BASE}"\nrootpw secret\n'
        f"syncrepl rid=001 provider=ldap://127.0.0.1:{server.port('ldap')} type=refreshAndPersist "
        f'retry="1 +" searchbase="{BASE}" schemachecking=off bindmethod=simple '
        f'binddn="cn=administrator,{RECIPIENTS}" credentials="{PASSWORD}"\n'
    )
    served = subprocess.Popen(
        [slapd, "-d", "sync", "-h", f"ldap://127.0.0.1:{port}", "-f", str(tmp_path / "slapd.conf")],
        stderr=(tmp_path / "log").open("w"),
    )

    def copy(filter: str) -> str:
        url = f"ldap://127.0.0.1:{port}"
        done = run(
            need("ldapsearch"), "-x", "-LLL", "-H", url, "-D", f"cn=root,{BASE}", "-w", "secret",
            "-b", BASE, filter, "title", check=False,
        )  # fmt: skip
        return str(done.stdout)

    try:
        until(lambda: "cn=bob" in copy("(cn=bob)"))
        title(server, "Copied")
        until(lambda: "title: Copied" in copy("(cn=bob)"))
        served_here = tool(server, "ldapsearch", "-LLL", "-b", BASE, "-E", "pr=100/noprompt", "1.1").stdout
        until(lambda: copy("(objectClass=*)").count("dn: ") == served_here.count("dn: "))
    except AssertionError:
        print((tmp_path / "log").read_text()[-4000:])
        raise
    finally:
        served.terminate()
        served.wait(10)
