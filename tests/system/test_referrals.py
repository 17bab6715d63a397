"""People who are at home on another server, at the running server."""

from __future__ import annotations

import imaplib
import json
import poplib

import ldap3
import pytest

from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


def test_clients_are_referred_while_the_entry_says_so(server: RunningServer) -> None:
    carol = server.add_user("carol")
    server.set("referrals.servers", json.dumps({"MAIL2": "imap2.example.test"}))
    host = ldap3.Server("127.0.0.1", server.port("ldap"), get_info=ldap3.DSA)
    directory = ldap3.Connection(host, server.address("administrator"), PASSWORD, auto_bind=True)
    base = host.info.naming_contexts[0]
    assert directory.search(base, f"(mail={carol})")
    name = directory.entries[0].entry_dn
    home = "cn=Microsoft MTA,cn=MAIL2,cn=Servers,cn=Configuration,ou=Main,o=Example"
    assert directory.modify(name, {"Home-MTA": [(ldap3.MODIFY_REPLACE, [home])]}), directory.result

    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
    assert {"LOGIN-REFERRALS", "MAILBOX-REFERRALS"} & set(client.capabilities) == {"LOGIN-REFERRALS"}
    user = carol.replace("@", "%40")
    client.login(carol, PASSWORD)
    assert client.response("REFERRAL")[1] == [f"imap://{user};AUTH=*@imap2.example.test/".encode()]
    assert "MAILBOX-REFERRALS" in client.capability()[1][0].decode()
    status, said = client.select("INBOX")
    assert status == "NO"
    assert said[0].startswith(f"[REFERRAL imap://{user};AUTH=*@imap2.example.test/INBOX]".encode())
    assert not any(b"INBOX" in line for line in client.list()[1] if line)
    imaplib.Commands["RLIST"] = ("AUTH",)
    assert client._simple_command("RLIST", '""', "*")[0] == "OK"
    assert any(b"Remote" in line and line.endswith(b"INBOX") for line in client.response("LIST")[1])
    client.logout()

    pop = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=10)
    pop.user(carol)
    with pytest.raises(poplib.error_proto, match=r"The mailbox is on another server: imap2\.example\.test"):
        pop.pass_(PASSWORD)
    pop.close()

    assert directory.modify(name, {"Home-MTA": [(ldap3.MODIFY_REPLACE, ["this"])]})
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
    client.login(carol, PASSWORD)
    assert client.select("INBOX")[0] == "OK"
    client.logout()
