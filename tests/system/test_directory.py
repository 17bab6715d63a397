"""The directory over LDAP, with ldap3 and ldap-utils against the real server."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

import ldap3
import pytest
from ldap3.core.exceptions import LDAPException
from ldap3.utils.conv import escape_filter_chars

from tests.support.servers import PASSWORD, RunningServer, need, run

pytestmark = pytest.mark.system

BASE = "dc=example,dc=test"
RECIPIENTS = f"cn=Recipients,ou=Main,{BASE}"


def connect(server: RunningServer, user: str | None = None, password: str = PASSWORD, **more: Any) -> Any:
    """A connection under TLS, bound with a DN, an address or an alias."""
    tls = ldap3.Tls(validate=ssl.CERT_NONE)
    where = ldap3.Server(
        "127.0.0.1", server.port("ldaps"), use_ssl=True, tls=tls, get_info=ldap3.ALL, connect_timeout=10
    )
    secret = password if user else None
    return ldap3.Connection(where, user, secret, auto_bind=True, receive_timeout=20, **more)


@pytest.fixture
def admin(server: RunningServer) -> Iterator[Any]:
    connection = connect(server, "administrator")
    yield connection
    connection.unbind()


@pytest.fixture
def alice(server: RunningServer) -> Iterator[Any]:
    connection = connect(server, f"cn=alice,{RECIPIENTS}")
    yield connection
    connection.unbind()


def test_the_root_dse_and_the_schema_say_what_there_is(admin: Any) -> None:
    info = admin.server.info
    assert info.naming_contexts == [BASE, "o=Example"]
    assert "1.3.6.1.4.1.1466.20037" in str(info.supported_extensions)
    assert "SCRAM-SHA-256" in info.supported_sasl_mechanisms
    schema = admin.server.schema
    assert "inetOrgPerson" in schema.object_classes and "proxyAddresses" in schema.attribute_types
    assert schema.attribute_types["mail"].single_value


def test_people_are_found_by_what_clients_ask(alice: Any, server: RunningServer) -> None:
    name = "alice"
    asked = escape_filter_chars(name)
    alice.search(
        BASE,
        f"(|(givenName={asked}*)(sn={asked}*)(cn={asked}*)(mail={asked}*))",
        attributes=["cn", "mail", "uid"],
    )
    (entry,) = alice.entries
    assert entry.entry_dn == f"cn=alice,{RECIPIENTS}"
    assert entry.mail.value == server.address("alice") and entry.cn.values == ["Alice Tester", "alice"]
    alice.search("o=Example", "(uid=alice)", attributes=["memberOf", "entryUUID"])
    assert alice.entries[0].entry_dn == "cn=alice,cn=Recipients,ou=Main,o=Example"
    assert alice.extend.standard.who_am_i() == "dn:cn=alice,cn=Recipients,ou=Main,o=Example"


def test_alice_changes_her_telephone_number_and_not_her_title(alice: Any, admin: Any) -> None:
    name = f"cn=alice,{RECIPIENTS}"
    assert alice.modify(name, {"telephoneNumber": [(ldap3.MODIFY_REPLACE, ["+49 30 1234"])]})
    assert not alice.modify(name, {"title": [(ldap3.MODIFY_REPLACE, ["Boss"])]})
    assert alice.result["description"] == "insufficientAccessRights"
    admin.search(name, "(objectClass=*)", ldap3.BASE, attributes=["telephoneNumber", "title"])
    assert admin.entries[0].telephoneNumber.value == "+49 30 1234"
    assert admin.compare(name, "telephoneNumber", "+49301234")
    assert not admin.compare(name, "telephoneNumber", "0")


def test_an_entry_that_is_added_has_a_mailbox_that_receives_and_is_read(
    admin: Any, server: RunningServer
) -> None:
    import imaplib

    name = f"cn=carol,{RECIPIENTS}"
    assert admin.add(
        name,
        ["inetOrgPerson"],
        {"cn": "Carol Tester", "sn": "Tester", "userPassword": "carols-secret"},
    ), admin.result
    server.deliver("Subject: hello\r\n\r\nHello.\r\n", [server.address("carol")])
    imap = imaplib.IMAP4_SSL("localhost", server.port("imaps"), ssl_context=server.tls(), timeout=20)
    imap.login("carol", "carols-secret")
    assert imap.select("INBOX")[1] == [b"1"]
    imap.logout()
    assert not admin.delete(name)
    assert admin.result["description"] == "unwillingToPerform", "the mailbox is not empty"
    assert admin.modify(name, {"imsMailboxFate": [(ldap3.MODIFY_REPLACE, ["delete"])]})
    assert admin.delete(name)
    with pytest.raises(LDAPException):
        connect(server, "carol", "carols-secret")


def test_lists_nest_rename_and_keep_their_members(admin: Any) -> None:
    for name, members in (("inner", [f"cn=alice,{RECIPIENTS}"]), ("outer", [f"cn=inner,{RECIPIENTS}"])):
        assert admin.add(f"cn={name},{RECIPIENTS}", ["groupOfNames"], {"member": members}), admin.result
    assert admin.modify_dn(f"cn=inner,{RECIPIENTS}", "cn=renamed", delete_old_dn=True), admin.result
    admin.search(BASE, f"(memberOf=cn=outer,{RECIPIENTS})", attributes=["cn"])
    assert [entry.entry_dn for entry in admin.entries] == [f"cn=renamed,{RECIPIENTS}"]
    for name in ("outer", "renamed"):
        assert admin.delete(f"cn={name},{RECIPIENTS}")


def test_a_password_is_changed_and_the_old_one_is_of_no_use(server: RunningServer, admin: Any) -> None:
    server.add_user("dora")
    dora = connect(server, "dora")
    assert dora.extend.standard.modify_password(None, PASSWORD, "doras-new-secret")
    assert dora.search(BASE, "(uid=dora)"), "her session goes on"
    with pytest.raises(LDAPException):
        connect(server, "dora")
    again = connect(server, server.address("dora"), "doras-new-secret")
    generated = admin.extend.standard.modify_password(f"cn=dora,{RECIPIENTS}")
    assert isinstance(generated, str) and len(generated) >= 12
    with pytest.raises(LDAPException):
        # The notice of disconnection, or the end of the connection behind it.
        again.search(BASE, "(uid=dora)")
    assert connect(server, "dora", generated).bound


def test_pages_and_limits(admin: Any, server: RunningServer) -> None:
    for number in range(120):
        server.ask("contact.add", address=f"c{number}@example.test", target=f"c{number}@elsewhere.test")
    admin.search(BASE, "(cn=c*)", attributes=["cn"])
    assert admin.result["description"] == "sizeLimitExceeded" and len(admin.entries) == 100
    paged = admin.extend.standard.paged_search
    found = paged(BASE, "(targetAddress=SMTP:c*)", attributes=["cn"], paged_size=25)
    assert len([entry for entry in found if entry["type"] == "searchResEntry"]) == 120


def test_strangers_see_nothing_until_it_is_switched_on(server: RunningServer) -> None:
    # An anonymous bind is let in, and finds the door to what there is closed.
    stranger = connect(server)
    assert not stranger.search(BASE, "(uid=alice)", attributes=["mail"])
    assert stranger.result["description"] == "strongerAuthRequired"
    stranger.unbind()
    server.ask("settings.set", key="ldap.anonymous", value="true")
    try:
        anyone = connect(server)
        assert anyone.search(BASE, "(uid=alice)", attributes=["mail"])
        assert not anyone.search(BASE, "(mailPreferenceOption=0)")
        anyone.unbind()
    finally:
        server.ask("settings.set", key="ldap.anonymous", value="false")


def test_ldap_utils(server: RunningServer) -> None:
    search = need("ldapsearch")
    where = ["-x", "-H", f"ldap://127.0.0.1:{server.port('ldap')}", "-D", "alice", "-w", PASSWORD]
    done = run(search, *where, "-LLL", "-b", BASE, "(uid=bob)", "mail")
    assert f"mail: {server.address('bob')}" in done.stdout
    change = f"dn: cn=alice,{RECIPIENTS}\nchangetype: modify\nreplace: mobile\nmobile: +49 170 1\n"
    run(need("ldapmodify"), *where, input=change)
    assert "mobile: +49 170 1" in run(search, *where, "-LLL", "-b", BASE, "(uid=alice)", "mobile").stdout
