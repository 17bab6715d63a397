"""The policy of passwords as the clients of OpenLDAP and of mail see it."""

from __future__ import annotations

import imaplib
import json
import poplib
import smtplib
import subprocess
import time

import pytest

from imsd.auth import totp
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


def imap_login(server: RunningServer, who: str, password: str) -> bool:
    imap = imaplib.IMAP4("127.0.0.1", server.port("imap"))
    try:
        imap.login(who, password)
        return True
    except imaplib.IMAP4.error:
        return False
    finally:
        imap.logout()


def test_a_second_factor(server: RunningServer) -> None:
    secret = "first password"
    # Wrong codes come one behind the other here.
    server.set("logins.account_failures", "100")
    server.imsctl("user", "add", "toni@example.test", "--password", secret)
    made = json.loads(server.imsctl("user", "totp", "enroll", "toni", "--json").stdout)
    assert imap_login(server, "toni", secret), "not before its first code"
    assert server.imsctl("user", "totp", "confirm", "toni", "000000", check=False).returncode != 0
    step = int(time.time() // totp.STEP)
    first, second = totp.code(made["secret"], step), totp.code(made["secret"], step + 1)
    codes = json.loads(server.imsctl("user", "totp", "confirm", "toni", first, "--json").stdout)
    assert len(codes) == totp.RECOVERY
    assert not imap_login(server, "toni", secret)
    assert not imap_login(server, "toni", secret + first), "it was used to confirm"
    assert imap_login(server, "toni", secret + second)
    assert not imap_login(server, "toni", secret + second), "once"
    assert not imap_login(server, "toni", "wrong" + second)
    assert "dn:cn=toni" in whoami(server, "toni", f"{secret} {codes[0]}")
    assert "Invalid credentials" in whoami(server, "toni", f"{secret} {codes[0]}")
    assert "recovery  9" in server.imsctl("user", "totp", "show", "toni").stdout
    app = server.ask("app-password.add", who="toni", label="phone")["password"]
    assert imap_login(server, "toni", app) and imap_login(server, "toni", app)
    assert secret not in server.log and made["secret"] not in server.log
    server.imsctl("user", "totp", "disable", "--yes", "toni")
    assert imap_login(server, "toni", secret)
    server.reset("logins.account_failures")
