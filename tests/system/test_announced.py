"""What the running server announces is what docs/protocols.md says."""

from __future__ import annotations

import imaplib
import poplib
import re
import smtplib

import pytest

from tests.support.servers import PASSWORD, RunningServer
from tests.test_conformance import announced

pytestmark = pytest.mark.system


def test_smtp_keywords(server: RunningServer) -> None:
    with smtplib.SMTP("localhost", server.port("submission"), timeout=10) as smtp:
        smtp.ehlo("client.example.org")
        clear = {name.upper() for name in smtp.esmtp_features}
        smtp.starttls(context=server.tls())
        smtp.ehlo("client.example.org")
        encrypted = {name.upper() for name in smtp.esmtp_features}
    assert clear | encrypted == announced("SMTP")
    assert clear - encrypted == {"STARTTLS"} and encrypted - clear == {"REQUIRETLS"}


def test_pop3_capabilities(server: RunningServer) -> None:
    pop = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=10)
    before = set(pop.capa())
    pop.user(server.address("alice"))
    pop.pass_(PASSWORD)
    after = set(pop.capa())
    pop.quit()
    # LOGIN-DELAY stands there when the setting asks for one.
    assert before | after == announced("POP3") - {"LOGIN-DELAY"}


def test_imap_capabilities(server: RunningServer) -> None:
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
    names = set(client.capabilities)
    client.login(server.address("alice"), PASSWORD)
    names |= set(client.capability()[1][0].decode().upper().split())
    client.logout()
    wanted = {name.upper() for name in announced("IMAP4")} - {"LOGINDISABLED"}
    assert {name for name in names if not name.startswith("AUTH=")} == wanted


def test_ldap_root_dse(server: RunningServer) -> None:
    import ldap3

    host = ldap3.Server("127.0.0.1", server.port("ldap"), get_info=ldap3.DSA)
    connection = ldap3.Connection(host, auto_bind=True)
    names = {
        value.decode()
        for key, values in host.info.raw.items()
        if re.fullmatch("supported(Control|Extension|Features)", key)
        for value in values
    }
    connection.unbind()
    assert names == announced("LDAP")
