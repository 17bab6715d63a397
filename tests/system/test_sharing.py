"""Mailboxes shared between people, end to end, with clients of every day."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
from collections.abc import Iterator

import ldap3
import ldap3.core.exceptions
import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tests.support.clients import poll
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

MESSAGE = b"Subject: shared\r\n\r\nhello\r\n"
THEIRS = "Other Users/alice/"


def client(server: RunningServer, name: str) -> IMAPClient:
    opened = IMAPClient("127.0.0.1", server.port("imap"), ssl=False, timeout=20)
    opened.login(server.address(name) if "/" not in name and "\\" not in name else name, PASSWORD)
    return opened


@pytest.fixture
def alice(server: RunningServer) -> Iterator[IMAPClient]:
    opened = client(server, "alice")
    yield opened
    opened.logout()


@pytest.fixture
def bob(server: RunningServer) -> Iterator[IMAPClient]:
    opened = client(server, "bob")
    yield opened
    opened.shutdown()


def visible(opened: IMAPClient, prefix: str = "") -> set[str]:
    return {name for flags, _, name in opened.list_folders() if name.startswith(prefix)}


def test_bob_is_let_in_and_loses_it_while_he_looks(alice: IMAPClient, bob: IMAPClient) -> None:
    alice.create_folder("Plans")
    alice.append("Plans", MESSAGE)
    assert THEIRS + "Plans" not in visible(bob)
    assert b"RIGHTS=KXTE" in bob.capabilities()
    alice.setacl("Plans", "bob", "lrsw")
    # Without connecting again.
    assert THEIRS + "Plans" in visible(bob)
    bob.select_folder(THEIRS + "Plans")
    bob.add_flags([1], [b"\\Flagged"], silent=True)
    bob.idle()
    alice.setacl("Plans", "bob", "-sw")
    told = bob.idle_check(timeout=10)
    assert any(b"READ-ONLY" in item for line in told for item in line if isinstance(item, bytes))
    bob.idle_done()
    with pytest.raises(IMAPClientError):
        bob.add_flags([1], [b"\\Answered"])
    assert alice.getacl("Plans")[0][0] == b"alice"
    bob.idle()
    alice._imap.deleteacl("Plans", "bob")
    told = bob.idle_check(timeout=10)
    assert told and told[0][0] == b"BYE"
    alice.delete_folder("Plans")


def test_a_list_of_people_is_let_in(server: RunningServer, alice: IMAPClient, bob: IMAPClient) -> None:
    server.imsctl("group", "add", "inner@example.test", server.address("bob"))
    server.imsctl("group", "add", "team@example.test", "inner@example.test")
    alice.create_folder("Team")
    alice.setacl("Team", "$team", "lr")
    assert THEIRS + "Team" in visible(bob)
    assert (b"$team", b"lr") in alice.getacl("Team")
    server.imsctl("group", "leave", "inner@example.test", server.address("bob"))
    assert THEIRS + "Team" not in visible(bob)
    server.imsctl("mailbox", "rights", server.address("alice"), "Team", "--grant", "bob", "edit")
    assert bob._imap.myrights(f'"{THEIRS}Team"')[1] == [f'"{THEIRS}Team" lrswipted'.encode()]
    shown = server.imsctl("mailbox", "rights", server.address("alice"), "Team", "--revoke", "bob").stdout
    assert "$team" in shown and "bob" not in shown
    alice.delete_folder("Team")


def test_a_delegate_has_the_whole_mailbox(server: RunningServer, bob: IMAPClient) -> None:
    name = "EXAMPLE/bob/alice"
    with pytest.raises(IMAPClientError):
        client(server, name)
    server.deliver(MESSAGE, [server.address("alice")])
    server.imsctl("mailbox", "delegates", server.address("alice"), "--add", server.address("bob"))
    assert {THEIRS + "INBOX", THEIRS + "Sent"} <= visible(bob)
    opened = client(server, '"EXAMPLE\\\\bob\\\\alice"')
    opened.select_folder("INBOX")
    assert opened.search()
    opened.create_folder("By bob")
    assert THEIRS + "By bob" in visible(bob)
    opened.delete_folder("By bob")
    with pytest.raises(IMAPClientError):
        opened.getacl("INBOX")
    pop = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=20)
    pop.user(name)
    pop.pass_(PASSWORD)
    count = pop.stat()[0]
    pop.dele(1)
    pop.quit()
    opened.noop()
    assert len(opened.search()) == count - 1
    # Mail is sent under one's own name, which a client gives as it has it.
    with smtplib.SMTP("127.0.0.1", server.port("submission"), timeout=20) as smtp:
        assert smtp.login(name, PASSWORD)[0] == 235
        smtp.sendmail(server.address("bob"), [server.address("bob")], MESSAGE)
        on_behalf = f"From: {server.address('alice')}\r\nSubject: for alice\r\n\r\nhi\r\n"
        smtp.sendmail(server.address("alice"), [server.address("bob")], on_behalf)
    bob.select_folder("INBOX")
    found = bob.search(["SUBJECT", "for alice"])
    assert (
        f"Sender: <{server.address('bob')}>".encode()
        in bob.fetch(found, ["BODY[HEADER]"])[found[0]][b"BODY[HEADER]"]
    )
    for who, shown in (("alice", "bob"), ("team", "$team")):
        args = ("mailbox", "send-as", server.address(who), "--add")
        assert server.imsctl(*args, "bob").stdout.split() == ["bob"], shown
    server.imsctl("mailbox", "delegates", server.address("alice"), "--remove", server.address("bob"))
    with pytest.raises((IMAPClientError, OSError)):
        for _ in range(20):
            opened.noop()
    assert THEIRS + "INBOX" not in visible(bob)


def test_pop3_deletes_by_right(server: RunningServer, alice: IMAPClient) -> None:
    alice.append("INBOX", MESSAGE)
    alice.setacl("INBOX", "bob", "lr")
    pop = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=20)
    pop.user("EXAMPLE/bob/alice")
    pop.pass_(PASSWORD)
    count = pop.stat()[0]
    pop.dele(count)
    with pytest.raises(poplib.error_proto):
        pop.quit()
    pop.close()
    alice.select_folder("INBOX")
    assert len(alice.search()) == count
    alice._imap.deleteacl("INBOX", "bob")


def test_public_folders_have_rights_of_their_own(server: RunningServer, bob: IMAPClient) -> None:
    server.imsctl("folder", "add", "Board", "--address", "board@example.test")
    board = "Public Folders/Board"
    assert board in visible(bob)
    server.deliver(MESSAGE, ["board@example.test"])
    bob.select_folder(board)
    assert bob.search() and bob.search("UNSEEN")
    bob.unselect_folder()
    for who in ("anyone", "authenticated"):
        server.imsctl("folder", "revoke", "Board", who)
    assert board not in visible(bob)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        server.deliver(MESSAGE, ["board@example.test"])
    assert refused.value.recipients["board@example.test"][0] == 550
    server.imsctl("folder", "grant", "Board", "bob", "edit")
    server.imsctl("folder", "grant", "Board", "anonymous", "post")
    server.deliver(MESSAGE, ["board@example.test"])
    bob.select_folder(board)
    assert len(bob.search()) == 2
    bob.delete_messages([1])
    bob.expunge()
    assert "anonymous" in server.imsctl("folder", "rights", "Board").stdout


def test_who_has_no_name_reads_what_is_open_to_all(server: RunningServer) -> None:
    server.imsctl("folder", "add", "Open")
    server.imsctl("folder", "add", "Closed")
    server.imsctl("folder", "revoke", "Closed", "anyone")
    plain = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    assert "AUTH=ANONYMOUS" not in plain.capabilities
    plain.logout()
    server.set("imap.anonymous", "true")
    plain = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
    assert "AUTH=ANONYMOUS" in plain.capabilities
    plain.authenticate("ANONYMOUS", lambda _: b"sirhc")
    names = b"\n".join(line for line in plain.list()[1] if isinstance(line, bytes))
    assert b"Public Folders/Open" in names and b"Closed" not in names and b"INBOX" not in names
    assert plain.namespace()[1] == [b'NIL NIL (("Public Folders/" "/"))']
    assert plain.select('"Public Folders/Open"', readonly=True)[0] == "OK"
    for refused in (plain.create("Mine"), plain.subscribe('"Public Folders/Open"')):
        assert refused[0] == "NO"
    server.set("imap.anonymous", "false")
    with pytest.raises(imaplib.IMAP4.error):
        plain.list()
    plain.shutdown()


def test_annotations_and_named_searches(server: RunningServer) -> None:
    def login(name: str) -> imaplib.IMAP4:
        opened = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=20)
        opened.login(server.address(name), PASSWORD)
        return opened

    imaplib.Commands.update(dict.fromkeys(("GETMETADATA", "SETMETADATA"), ("AUTH", "SELECTED")))
    alice, phone = login("alice"), login("alice")
    phone.enable("METADATA")
    alice._simple_command("SETMETADATA", "INBOX", '(/private/comment "mine")')
    phone._simple_command("NOOP")
    assert phone.response("METADATA")[1] == [b"INBOX /private/comment"]
    phone._simple_command("GETMETADATA", "INBOX", "(/private/comment)")
    assert phone.response("METADATA")[1] == [b'INBOX (/private/comment "mine")']
    assert alice._simple_command("SETMETADATA", '""', '(/private/filters/values/new "UNSEEN")')[0] == "OK"
    alice.append("INBOX", "", imaplib.Time2Internaldate(0), MESSAGE)
    phone.select("INBOX")
    assert phone.search(None, "FILTER", "new")[1] == phone.search(None, "UNSEEN")[1] != [b""]
    assert phone.search(None, "FILTER", "nothing")[0] == "NO"
    for opened in (alice, phone):
        opened.logout()


def administrator(server: RunningServer) -> ldap3.Connection:
    where = ldap3.Server("127.0.0.1", server.port("ldap"), get_info=ldap3.NONE)
    name = server.address("administrator")
    return ldap3.Connection(where, name, PASSWORD, auto_bind=True, raise_exceptions=True)


def is_over(opened: IMAPClient) -> bool:
    """Nothing can be seen any more of the mailbox that was selected."""
    try:
        opened.fetch([1], ["FLAGS"])
    except (IMAPClientError, imaplib.IMAP4.error):
        return True
    return False


def test_who_was_deleted_comes_back_with_mail_password_and_rights(
    server: RunningServer, bob: IMAPClient
) -> None:
    address = server.add_user("leaver")
    server.deliver(MESSAGE, [address])
    leaver = client(server, "leaver")
    leaver.setacl("INBOX", "bob", "lr")
    bob.select_folder("Other Users/leaver/INBOX", readonly=True)
    with administrator(server) as ldap:
        ldap.search("dc=example,dc=test", "(uid=leaver)")
        name = ldap.response[0]["dn"]
        with pytest.raises(ldap3.core.exceptions.LDAPUnwillingToPerformResult):
            ldap.delete(name)
        ldap.modify(name, {"imsMailboxFate": [(ldap3.MODIFY_REPLACE, ["delete"])]})
        ldap.delete(name)
        ldap.search("dc=example,dc=test", "(uid=leaver)")
        assert [one for one in ldap.response if one["type"] == "searchResEntry"] == []
    poll(lambda: is_over(bob))
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        server.deliver(MESSAGE, [address])
    with pytest.raises(IMAPClientError):
        client(server, "leaver")
    line = server.imsctl("directory", "deleted").stdout
    assert f"\t{address}\tmailbox\t" in line and "\tadministrator\t" in line
    assert server.imsctl("verify").stdout == "Nothing found.\n"
    said = server.imsctl("directory", "undelete", address).stdout
    assert said.endswith(" is back.\n") and said.startswith("cn=leaver,")
    server.deliver(MESSAGE, [address])
    leaver = client(server, "leaver")
    leaver.select_folder("INBOX", readonly=True)
    assert leaver.search() == [1, 2]
    assert dict(leaver.getacl("INBOX"))[b"bob"] == b"lr"
    leaver.logout()
    for_good = ("--delete-mailbox", "--at-once", "--yes", "leaver")
    assert server.imsctl("user", "delete", *for_good).stdout == "leaver was deleted.\n"
    assert server.imsctl("directory", "deleted").stdout == ""
    assert server.imsctl("directory", "undelete", "leaver", check=False).returncode == 1
