"""The limits of the running server: connections that are too many, mail that is too much."""

from __future__ import annotations

import imaplib
import json
import smtplib
import socket
import time

import pytest

from tests.support.servers import PASSWORD, RunningServer
from tests.system.test_quotas import ldapmodify

pytestmark = pytest.mark.system


def test_connection_beyond_the_limit_is_told_at_once(server: RunningServer) -> None:
    where = ("127.0.0.1", server.port("smtp"))
    server.ask("settings.set", key="admission.loopback_exempt", value="false")
    server.ask("settings.set", key="ims.limits.inbound", value="2")
    try:
        with socket.create_connection(where, 10) as one, socket.create_connection(where, 10) as two:
            assert one.recv(100).startswith(b"220 ")
            assert two.recv(100).startswith(b"220 ")
            with socket.create_connection(where, 10) as three:
                assert three.recv(100) == b"421 4.3.2 Too many connections\r\n"
                assert three.recv(100) == b""
            assert "inbound" in server.imsctl("limits", "list").stdout
            # The submission ports are not counted in.
            with socket.create_connection(("127.0.0.1", server.port("submission")), 10) as other:
                assert other.recv(100).startswith(b"220 ")
        give_up = time.monotonic() + 10
        heard = b""
        while not heard.startswith(b"220 ") and time.monotonic() < give_up:
            with socket.create_connection(where, 10) as again:
                heard = again.recv(100)
        assert heard.startswith(b"220 ")
    finally:
        server.ask("settings.reset", key="ims.limits.inbound")
        server.ask("settings.reset", key="admission.loopback_exempt")


def test_mail_beyond_the_limit_is_held_the_administrator_told_and_release_lets_it_leave(
    server: RunningServer,
) -> None:
    who, boss = server.add_user("sender"), server.add_user("boss")
    server.ask("settings.set", key="ims.admin_mailbox", value=boss)
    server.ask("settings.set", key="queue.paused", value="true")
    server.ask("settings.set", key="ims.sending.messages_per_hour", value="1")
    try:
        with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as client:
            client.starttls(context=server.tls())
            client.login(who, PASSWORD)
            for number in range(2):
                client.sendmail(who, [f"x{number}@elsewhere.test"], f"From: {who}\r\nSubject: s\r\n\r\nx")
        states = {row["recipient"]: (row["id"], row["state"]) for row in server.ask("queue.list")}
        assert states["x0@elsewhere.test"][1] == "waiting"
        held, state = states["x1@elsewhere.test"]
        assert state == "held"
        (row,) = json.loads(server.imsctl("limits", "list", "--json").stdout)
        assert (row["limit"], row["who"], row["used"]) == ("ims.sending.messages_per_hour", who, 1)
        imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
        imap.login(boss, PASSWORD)
        give_up = time.monotonic() + 10
        found = b""
        while not found and time.monotonic() < give_up:
            imap.select("INBOX")
            found = imap.search(None, "SUBJECT", f'"Mail of {who} is held"')[1][0]
        assert found
        imap.logout()
        server.imsctl("queue", "release", held)
        states = {row["recipient"]: (row["id"], row["state"]) for row in server.ask("queue.list")}
        assert states["x1@elsewhere.test"] == (held, "waiting")
        assert "begins anew" in server.imsctl("limits", "clear", who).stdout
        assert server.ask("limits.list") == []
    finally:
        for key in ("ims.sending.messages_per_hour", "queue.paused", "ims.admin_mailbox"):
            server.ask("settings.reset", key=key)


def test_a_mailbox_has_limits_of_its_own_by_imsctl_and_ldap(server: RunningServer) -> None:
    who = server.add_user("limited")
    rows = json.loads(server.imsctl("user", "sending", who, "--messages-per-day", "1", "--json").stdout)
    assert ("messages_per_day", 1, "mailbox") in {
        (each["limit"], each["allowed"], each["decided_by"]) for each in rows
    }
    server.ask("settings.set", key="queue.paused", value="true")
    try:
        with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as client:
            client.starttls(context=server.tls())
            client.login(who, PASSWORD)
            for number in range(2):
                client.sendmail(who, [f"y{number}@elsewhere.test"], f"From: {who}\r\nSubject: s\r\n\r\nx")
            ldapmodify(server, who, "imsSendMessagesPerDay", -1)
            client.sendmail(who, ["y2@elsewhere.test"], f"From: {who}\r\nSubject: s\r\n\r\nx")
        states = {row["recipient"]: row["state"] for row in server.ask("queue.list")}
        assert [states[f"y{number}@elsewhere.test"] for number in range(3)] == ["waiting", "held", "waiting"]
    finally:
        server.ask("settings.reset", key="queue.paused")
