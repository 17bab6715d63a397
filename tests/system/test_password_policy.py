"""The policy of passwords as the clients of OpenLDAP and of mail see it."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import subprocess

import pytest

from tests.support.servers import RunningServer

pytestmark = pytest.mark.system


def whoami(server: RunningServer, who: str, password: str) -> str:
    done = subprocess.run(
        ["ldapwhoami", "-x", "-H", f"ldap://127.0.0.1:{server.port('ldap')}", "-D", who, "-w", password,
         "-e", "ppolicy"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_password_that_must_be_changed(server: RunningServer) -> None:
    server.imsctl("user", "add", "pat@example.test", "--password", "first password")
    server.imsctl("user", "passwd", "pat", "--password", "given password", "--must-change")
    assert "must change" in server.imsctl("user", "show", "pat").stdout
    assert "Password must be changed" in whoami(server, "pat", "given password")
    imap = imaplib.IMAP4("127.0.0.1", server.port("imap"))
    with pytest.raises(imaplib.IMAP4.error, match=r"\[EXPIRED\]"):
        imap.login("pat", "given password")
    imap.logout()
    pop3 = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=30)
    pop3.user("pat")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        pop3.pass_("given password")
    pop3.close()
    smtp = smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=30)
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        smtp.login("pat", "given password")
    smtp.quit()
    assert refused.value.smtp_code == 535
    done = subprocess.run(
        ["ldappasswd", "-x", "-H", f"ldap://127.0.0.1:{server.port('ldap')}", "-D", "pat",
         "-w", "given password", "-a", "given password", "-s", "a password of mine"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with imaplib.IMAP4("127.0.0.1", server.port("imap")) as imap:
        imap.login("pat", "a password of mine")
    assert "must change" not in server.imsctl("user", "show", "pat").stdout


def test_a_password_that_is_easy_to_guess(server: RunningServer) -> None:
    add = ("user", "add", "robin@example.test", "--name", "Robin Brimbledorf", "--password")
    refused = server.imsctl(*add, "brimbledorf1", check=False)
    assert refused.returncode != 0
    assert "Password too easy to guess. Add another word or two." in refused.stderr
    server.imsctl(*add, "first password")
    done = subprocess.run(
        ["ldappasswd", "-x", "-H", f"ldap://127.0.0.1:{server.port('ldap')}", "-D", "robin", "-w",
         "first password", "-s", "brimbledorf1", "-e", "ppolicy"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert "Constraint violation (19)" in said and "Password too easy to guess" in said
    assert "dn:cn=robin" in whoami(server, "robin", "first password")
    server.set("passwords.strength", "0")
    server.imsctl("user", "passwd", "robin", "--password", "brimbledorf1")
    server.reset("passwords.strength")


def test_a_lock_that_is_told(server: RunningServer) -> None:
    server.imsctl("user", "add", "kim@example.test", "--password", "first password")
    server.set("passwords.lockout_failures", "2")
    server.set("passwords.tell_locked", "true")
    try:
        for number in range(2):
            assert "Invalid credentials" in whoami(server, "kim", f"wrong {number}")
        assert "Account locked" in whoami(server, "kim", "first password")
        assert "locked" in server.imsctl("user", "show", "kim").stdout
        server.imsctl("user", "unlock", "kim")
        assert "dn:cn=kim" in whoami(server, "kim", "first password")
    finally:
        server.set("passwords.lockout_failures", "0")
        server.set("passwords.tell_locked", "false")
