"""Limits of a mailbox, from LDAP and imsctl to SMTP, IMAP and the letter that warns."""

from __future__ import annotations

import imaplib
import json
import smtplib
import subprocess
import time

import pytest

from tests.support.servers import DOMAIN, PASSWORD, RunningServer, need, run

pytestmark = pytest.mark.system

MESSAGE = "From: a@example.org\r\nSubject: s\r\n\r\n" + "x" * 70 + "\r\n"


def ldapmodify(server: RunningServer, who: str, attribute: str, value: int) -> None:
    name = server.ask("user.show", who=who)["dn"]
    text = f"dn: {name}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n"
    run(
        need("ldapmodify"), "-x", "-H", f"ldap://127.0.0.1:{server.port('ldap')}",
        "-D", f"administrator@{DOMAIN}", "-w", PASSWORD, input=text,
    )  # fmt: skip


def imap(server: RunningServer, who: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    client.login(who, PASSWORD)
    return client


def swaks(server: RunningServer, *options: str) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = run(
        need("swaks"), "--server", f"127.0.0.1:{server.port('smtp')}", "--from", "a@example.org", *options,
        check=False,
    )  # fmt: skip
    return done


def test_prohibit_send_and_receive_set_by_ldap(server: RunningServer) -> None:
    who = server.add_user("full")
    ldapmodify(server, who, "DXA-Task", 10)
    assert json.loads(server.imsctl("user", "quota", who, "--json").stdout)["most_kb"] == 10
    client = imap(server, who)
    client.append("INBOX", "", None, (MESSAGE + "y" * 9000).encode())
    assert client.getquotaroot("INBOX")[1][1] == [b"#user/full (STORAGE 9 10 MAILBOX 6 10000)"]
    # What is announced does not fit: refused for this recipient, before it is sent.
    done = swaks(server, "--to", who, "--body", "z" * 5000)
    assert "552 5.2.2" in done.stdout
    server.ask("settings.set", key="quotas.refusal", value="temporary")
    try:
        assert "452 4.2.2" in swaks(server, "--to", who, "--body", "z" * 5000).stdout
    finally:
        server.ask("settings.reset", key="quotas.refusal")
    kind, told = client.append("INBOX", "", None, b"z" * 5000)
    assert (kind, told[0][:11]) == ("NO", b"[OVERQUOTA]")
    client.select()
    kind, told = client.copy("1", "Archive")
    assert (kind, told[0][:11]) == ("NO", b"[OVERQUOTA]")
    # Moved within the mailbox it is no more than before.
    assert client._simple_command("MOVE", "1", "Archive")[0] == "OK"


def test_a_size_limit_of_one_recipient(server: RunningServer) -> None:
    who = server.add_user("small")
    ldapmodify(server, who, "Deliv-Cont-Length", 2)
    assert "552 5.2.3" in swaks(server, "--to", who, "--body", "z" * 5000).stdout
    # Another in the same message has it.
    bob = server.address("bob")
    with smtplib.SMTP("127.0.0.1", server.port("smtp"), timeout=20) as smtp:
        smtp.ehlo()
        assert smtp.mail("a@example.org")[0] == 250
        assert [smtp.rcpt(each)[0] for each in (who, bob)] == [250, 250]
        assert smtp.data(MESSAGE + "z" * 5000)[0] == 250


def test_prohibit_send(server: RunningServer) -> None:
    who = server.add_user("sender")
    client = imap(server, who)
    client.append("INBOX", "", None, (MESSAGE + "y" * 3000).encode())
    server.imsctl("user", "quota", who, "--send", "2")
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=None)
        smtp.login(who, PASSWORD)
        code, text = smtp.mail(who)
        assert (code, text[:5]) == (552, b"5.2.2")
    assert server.ask("user.show", who=who)["quota"]["state"] == "cannot send"
    # It receives, and drafts can be saved.
    assert swaks(server, "--to", who).returncode == 0
    assert client.append("Drafts", "", None, MESSAGE.encode())[0] == "OK"
    server.imsctl("user", "quota", who, "--send", "-1")
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=None)
        smtp.login(who, PASSWORD)
        assert smtp.mail(who)[0] == 250


def test_setquota_writes_the_mailbox_s_own_limit(server: RunningServer) -> None:
    who = server.add_user("setter")
    admin = imap(server, f"administrator@{DOMAIN}")
    assert admin.setquota('"#user/setter"', "(STORAGE 77 MESSAGE 5)")[0] == "OK"
    attributes = server.ask("user.show", who=who)["attributes"]
    assert (attributes["DXA-Task"], attributes["imsMessageQuota"]) == (["77"], ["5"])
    assert server.ask("user.quota", who=who)["decided_by"] == "mailbox"
    server.imsctl("user", "quota", who, "--use-defaults")
    assert admin.getquota('"#user/setter"')[1] == [b"#user/setter (MAILBOX 6 10000)"]


def test_the_site_s_limits_are_effective_at_once_and_the_owner_is_warned(server: RunningServer) -> None:
    who = server.add_user("warned")
    client = imap(server, who)
    client.append("Archive", "", None, (MESSAGE + "y" * 30_000).encode())
    server.ask("settings.set", key="quotas.warn_kb", value="20")
    server.ask("settings.set", key="quotas.most_kb", value="40")
    try:
        give_up = time.monotonic() + 5
        while b"STORAGE" not in client.getquotaroot("INBOX")[1][1][0]:
            assert time.monotonic() < give_up
            time.sleep(0.05)
        server.ask("quotas.warn")
        client.select()
        _, found = client.search(None, "FROM", "postmaster")
        _, fetched = client.fetch(found[0].decode(), "(BODY[TEXT])")
        assert b"Your mailbox holds 30 KB" in fetched[0][1]
    finally:
        server.ask("settings.reset", key="quotas.warn_kb")
        server.ask("settings.reset", key="quotas.most_kb")
