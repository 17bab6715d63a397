"""Who may connect at all: by address, and while the protocol is served here."""

from __future__ import annotations

import imaplib
import json
import poplib
import socket
import time

import ldap3
import pytest

from protocols.ldap.server import NOTICE_OF_DISCONNECTION
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


def greeting(server: RunningServer, name: str) -> bytes:
    """All that a peer who says nothing hears until the server hangs up."""
    with socket.create_connection(("127.0.0.1", server.port(name)), timeout=10) as wire:
        heard = b""
        while piece := wire.recv(4096):
            heard += piece
        return heard


def hostname(server: RunningServer) -> str:
    return str(server.ask("status")["hostname"])


def test_a_rejected_address_is_told_so_and_who_is_accepted_within_it_comes_in(server: RunningServer) -> None:
    who = server.add_user("gate")
    server.ask("settings.set", key="protocols.connections", value='["reject 127.0.0.0/8"]')
    try:
        assert greeting(server, "imap").startswith(b"* BYE [CONTACTADMIN] ")
        assert greeting(server, "pop3").startswith(b"-ERR [SYS/PERM] ")
        assert NOTICE_OF_DISCONNECTION.encode() in greeting(server, "ldap")
        with pytest.raises(poplib.error_proto, match="not accepted"):
            poplib.POP3_SSL("localhost", server.port("pop3s"), timeout=10, context=server.tls())
        # SMTP has rules of its own (ims_spec 3.4.4).
        with socket.create_connection(("127.0.0.1", server.port("smtp")), timeout=10) as wire:
            assert wire.recv(100).startswith(b"220 ")
        rules = ["reject 127.0.0.0/8", "accept 127.0.0.1"]
        server.ask("settings.set", key="protocols.connections", value=json.dumps(rules))
        imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
        assert imap.login(who, PASSWORD)[0] == "OK"
        imap.logout()
        # This server's own list goes before the site's.
        server.ask(
            "settings.set", key="protocols.connections", value='["reject ::/0", "reject 0.0.0.0/0"]',
            server=hostname(server),
        )  # fmt: skip
        assert greeting(server, "imap").startswith(b"* BYE [CONTACTADMIN] ")
    finally:
        server.ask("settings.reset", key="protocols", server=hostname(server))
        server.ask("settings.reset", key="protocols.connections")


def test_a_protocol_switched_off_here_ends_its_sessions_and_answers_no_more(server: RunningServer) -> None:
    who = server.add_user("gone")
    imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
    imap.login(who, PASSWORD)
    pop3 = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=10)
    pop3.user(who)
    pop3.pass_(PASSWORD)
    ldap = ldap3.Connection(
        ldap3.Server("127.0.0.1", server.port("ldap"), get_info=None), who, PASSWORD, auto_bind=True
    )
    here = hostname(server)
    wires = {"imap": imap.socket(), "pop3": pop3.sock, "ldap": ldap.socket}
    try:
        for name, wire in wires.items():
            started = time.monotonic()
            server.ask("settings.set", key=f"{name}.enabled", value="false", server=here)
            wire.settimeout(1)
            while wire.recv(4096):
                pass
            assert time.monotonic() - started < 1
            assert b"switched off" in greeting(server, name)
    finally:
        for name in wires:
            server.ask("settings.reset", key=name, server=here)
    again = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
    assert again.login(who, PASSWORD)[0] == "OK"
