"""Site, server and mailbox settings of protocols, as clients meet them."""

from __future__ import annotations

import base64
import imaplib
import poplib
import subprocess
import time

import ldap3
import pytest

from tests.support.servers import DOMAIN, PASSWORD, RunningServer, need

pytestmark = pytest.mark.system


def imap(server: RunningServer, who: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    client.login(who, PASSWORD)
    return client


def pop3(server: RunningServer, who: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=20)
    client.user(who)
    client.pass_(PASSWORD)
    return client


def bind(server: RunningServer, who: str) -> ldap3.Connection:
    return ldap3.Connection(
        ldap3.Server("127.0.0.1", server.port("ldap"), get_info=None), who, PASSWORD, auto_bind=True
    )


def protocol_settings(server: RunningServer, who: str, *values: str) -> None:
    """As an administrator's LDAP client writes them."""
    name = server.ask("user.show", who=who)["dn"]
    lines = "".join(
        f"Protocol-Settings:: {base64.b64encode(value.replace('|', chr(0xA7)).encode()).decode()}\n"
        for value in values
    )
    text = f"dn: {name}\nchangetype: modify\nreplace: Protocol-Settings\n{lines}\n"
    subprocess.run(
        [need("ldapmodify"), "-x", "-H", f"ldap://127.0.0.1:{server.port('ldap')}",
         "-D", f"administrator@{DOMAIN}", "-w", PASSWORD],
        input=text, text=True, check=True, capture_output=True, timeout=30,
    )  # fmt: skip


def test_a_protocol_switched_off_for_a_mailbox_ends_its_sessions(server: RunningServer) -> None:
    who = server.add_user("switched")
    other = imap(server, server.address("bob"))
    wires = [imap(server, who).socket(), pop3(server, who).sock, bind(server, who).socket]
    started = time.monotonic()
    protocol_settings(server, who, "IMAP4|0|1|1|ISO-8859-1|0|1|1|0", "POP3|0|1", "LDAP|0")
    heard = []
    for wire in wires:
        wire.settimeout(1)
        data = b""
        while piece := wire.recv(4096):
            data += piece
        heard.append(data)
    assert time.monotonic() - started < 1.5
    assert b"* BYE [CONTACTADMIN] IMAP4 was switched off for this mailbox" in heard[0]
    with pytest.raises(imaplib.IMAP4.error, match=r"\[CONTACTADMIN\]"):
        imap(server, who)
    with pytest.raises(poplib.error_proto, match=r"\[SYS/PERM\]"):
        pop3(server, who)
    with pytest.raises(ldap3.core.exceptions.LDAPException):
        bind(server, who)
    assert other.noop()[0] == "OK"
    for name in ("imap", "pop3", "ldap"):
        server.imsctl("user", "protocols", who, "--protocol", name, "--enable")
    imap(server, who).logout()
    pop3(server, who).quit()
    assert "IMAP4§1§1§1§ISO-8859-1§0§1§1§0" in server.imsctl("user", "protocols", who).stdout


def test_a_mailbox_lists_public_folders_or_does_not(server: RunningServer) -> None:
    who = server.add_user("lister")
    server.ask("folder.add", pathname="News")
    client = imap(server, who)

    def listed() -> bool:
        return any(b"Public Folders/News" in line for line in client.list()[1] if line)

    assert listed()
    server.imsctl("user", "protocols", who, "--protocol", "imap", "--no-list-public")
    assert not listed()
    # Not listed, and there all the same.
    assert client.select('"Public Folders/News"', readonly=True)[0] == "OK"
    server.imsctl("user", "protocols", who, "--protocol", "imap", "--use-defaults")
    assert listed()
    server.ask("settings.set", key="imap.list_public", value="false", server="localhost")
    try:
        assert not listed()
        told = server.imsctl("settings", "explain", who, "imap").stdout
        line = next(line for line in told.splitlines() if line.startswith("imap.list_public"))
        assert "server" in line
    finally:
        server.ask("settings.reset", key="imap", server="localhost")


def test_methods_of_one_protocol(server: RunningServer) -> None:
    who = server.add_user("method")
    server.ask("settings.set", key="imap.authentication", value='["challenge"]')
    try:
        client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
        assert "LOGINDISABLED" in client.capabilities
        assert "AUTH=SCRAM-SHA-256" in client.capabilities
        assert "AUTH=PLAIN" not in client.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="switched off"):
            client.login(who, PASSWORD)
        assert b"USER" not in pop3_capabilities(server) or pop3(server, who).quit()
        pop3(server, who).quit()
    finally:
        server.ask("settings.reset", key="imap.authentication")
    imap(server, who).logout()


def pop3_capabilities(server: RunningServer) -> bytes:
    client = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=20)
    return " ".join(client.capa()).encode()
