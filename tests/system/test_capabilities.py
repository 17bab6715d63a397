"""Capabilities switched off for the site, a mailbox, a client, with a real client."""

from __future__ import annotations

import imaplib
import json

import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


def session(server: RunningServer, who: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    client.login(who, PASSWORD)
    return client


def offered(client: imaplib.IMAP4) -> list[bytes]:
    # The last: imaplib keeps the one that came with the login, too.
    return bytes(client.capability()[1][-1]).split()


def test_for_the_site_at_once(server: RunningServer) -> None:
    client = session(server, server.address("alice"))
    assert b"COMPRESS=DEFLATE" in offered(client)
    server.set("imap.capabilities_off", '["compress=deflate"]')
    try:
        assert b"COMPRESS=DEFLATE" not in offered(client)
        with pytest.raises(imaplib.IMAP4.error, match="known command"):
            client.xatom("COMPRESS", "DEFLATE")
    finally:
        server.reset("imap.capabilities_off")
    assert b"COMPRESS=DEFLATE" in offered(client)


def test_for_one_mailbox(server: RunningServer) -> None:
    who = server.add_user("tripper")
    client = session(server, who)
    assert server.imsctl("user", "capabilities", who, "--off", "QRESYNC", "--off", "idle").stdout == (
        "QRESYNC\nIDLE\n"
    )
    assert {b"QRESYNC", b"IDLE", b"IMAP4rev2"}.isdisjoint(offered(client))
    assert b"QRESYNC" in offered(session(server, server.address("bob")))
    server.imsctl("user", "capabilities", who, "--on", "QRESYNC")
    assert b"QRESYNC" in offered(client)
    assert server.ask("user.show", who=who)["attributes"]["imsCapabilitiesOff"] == ["IDLE"]


def test_for_a_client_by_its_id(server: RunningServer) -> None:
    client = session(server, server.address("alice"))
    assert b"UIDONLY" in offered(client)
    identity = '("name" "Microsoft Office 365" "version" "15.20.9160.4" "vendor" "Microsoft Corporation")'
    client.xatom("ID", identity)
    assert b"UIDONLY" not in offered(client)
    rules = [{"name": "Slow*", "version": "1.*", "off": ["IDLE"], "reason": "a test"}]
    server.ask("settings.set", key="imap.clients", value=json.dumps(rules))
    try:
        # The list is another one now: this client is as others are.
        assert b"UIDONLY" in offered(client)
        client.xatom("ID", '("name" "SlowMail" "version" "1.7")')
        assert b"IDLE" not in offered(client)
    finally:
        server.ask("settings.reset", key="imap.clients")
