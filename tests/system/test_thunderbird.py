"""Thunderbird itself: accounts, folders, flags, search, sending, POP3 and the address book."""

from __future__ import annotations

import imaplib
import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest

from tests.support.clients import imap, poll, texts
from tests.support.servers import PASSWORD, RunningServer
from tests.support.thunderbird import Thunderbird

pytestmark = pytest.mark.system

INBOX = "const box = folder(given[0], 'INBOX');"


@pytest.fixture(scope="module")
def thunderbird(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Thunderbird]:
    one = Thunderbird(tmp_path_factory.mktemp("thunderbird"))
    one.trust(server)
    yield one
    one.close()


@pytest.fixture
def person(server: RunningServer, request: pytest.FixtureRequest) -> str:
    """The address of somebody of the test's own, with one letter in the INBOX."""
    alias = re.sub("[^a-z0-9]", "", request.node.name.lower())[-30:]
    address = server.add_user(alias)
    letter(server, address, "A first letter")
    return address


def letter(server: RunningServer, to: str, subject: str, text: str = "Ordinary words.") -> None:
    server.deliver(f"From: someone@example.org\r\nTo: {to}\r\nSubject: {subject}\r\n\r\n{text}\r\n", [to])


def far(server: RunningServer, person: str, mailbox: str = "INBOX") -> list[set[bytes]]:
    """The flags of each message in a mailbox, as another client sees them; \\Recent left out."""
    client = imap(server, person.partition("@")[0])
    try:
        if client.select(mailbox, readonly=True)[0] != "OK":
            return []
        _, rows = client.uid("FETCH", "1:*", "(FLAGS)")
        return [set(imaplib.ParseFlags(row)) - {b"\\Recent"} for row in rows if row is not None]
    finally:
        client.logout()


@pytest.fixture
def account(thunderbird: Thunderbird, server: RunningServer, person: str) -> str:
    """The person's, open in Thunderbird, whose INBOX shows the letter."""
    thunderbird.account(server, person)
    thunderbird.until(f"{INBOX} return one(box, given[1]) != null;", person, "A first letter")
    return person


def test_folders_have_their_uses_and_new_mail_appears_by_itself(
    thunderbird: Thunderbird, server: RunningServer, account: str
) -> None:
    uses = thunderbird.run(
        """
        const uses = { Archive: "Archive", Drafts: "Drafts", Junk: "Junk", SentMail: "Sent", Trash: "Trash" };
        return Object.entries(uses).filter(([flag, name]) =>
            !folder(given[0], name).getFlag(Ci.nsMsgFolderFlags[flag])).map(([flag]) => flag);
        """,
        account,
    )
    assert uses == []
    letter(server, account, "While it idles")
    facts = thunderbird.until(
        f"{INBOX} const found = one(box, given[1]); return found && facts(found);", account, "While it idles"
    )
    assert facts["from"] == "someone@example.org" and not facts["read"] and not facts["flagged"]


def test_flags_and_keywords_go_both_ways(
    thunderbird: Thunderbird, server: RunningServer, account: str
) -> None:
    # It asks for the flags of the last by itself; those of another have to be told.
    letter(server, account, "The last letter")
    thunderbird.until(f"{INBOX} return all(box).length == 2;", account)
    thunderbird.run(
        f"""{INBOX} const chosen = [one(box, "A first letter")];
        box.markMessagesRead(chosen, true);
        box.markMessagesFlagged(chosen, true);
        box.addKeywordsToMessages(chosen, "$label1 holiday");""",
        account,
    )
    poll(lambda: far(server, account) == [{b"\\Seen", b"\\Flagged", b"$label1", b"holiday"}, set()])
    other = imap(server, account.partition("@")[0])
    other.uid("STORE", "1", "FLAGS", "(\\Answered $Forwarded errand)")
    other.logout()
    facts = thunderbird.until(
        f"{INBOX} const it = facts(one(box, 'A first letter')); return it.answered && it;", account
    )
    assert not facts["read"] and not facts["flagged"]
    assert "errand" in facts["keywords"] and "holiday" not in facts["keywords"]


def test_letters_are_copied_moved_and_deleted_and_folders_made_renamed_and_removed(
    thunderbird: Thunderbird, server: RunningServer, account: str
) -> None:
    letter(server, account, "A second letter")
    thunderbird.until(f"{INBOX} return all(box).length == 2;", account)
    thunderbird.run(
        "server(given[0], 'imap').rootFolder.createSubfolder(given[1], null);", account, "Prüfungen & Co"
    )
    thunderbird.until("return Boolean(folder(...given));", account, "Prüfungen & Co")
    into = "const to = folder(given[0], given[1]);"
    thunderbird.run(f"{INBOX} {into} copy(box, all(box), to, false);", account, "Prüfungen & Co")
    thunderbird.until(f"{into} update(to); return all(to).length == 2;", account, "Prüfungen & Co")
    thunderbird.run(f"{INBOX} {into} copy(box, [one(box, 'A first letter')], to, true);", account, "Archive")
    thunderbird.until(
        f"{INBOX} {into} update(to); return all(to).length == 1 && all(box).length == 1;", account, "Archive"
    )
    assert len(far(server, account)) == len(far(server, account, "Archive")) == 1
    assert len(far(server, account, '"Pr&APw-fungen &- Co"')) == 2
    # Deleted: to the Trash, and away when that is emptied.
    thunderbird.run(f"{INBOX} box.deleteMessages(all(box), null, false, false, null, false);", account)
    trash = "const trash = folder(given[0], 'Trash');"
    thunderbird.until(f"{trash} update(trash); return all(trash).length == 1;", account)
    assert far(server, account) == [] and len(far(server, account, "Trash")) == 1
    thunderbird.run(f"{trash} trash.emptyTrash(null);", account)
    poll(lambda: far(server, account, "Trash") == [])
    thunderbird.run(f"{into} to.rename(given[2], null);", account, "Prüfungen & Co", "Neu 你好")
    thunderbird.until("return Boolean(folder(...given));", account, "Neu 你好")
    poll(lambda: len(far(server, account, '"Neu &T2BZfQ-"')) == 2)
    thunderbird.run(f"{into} to.deleteSelf(null);", account, "Neu 你好")
    poll(lambda: far(server, account, '"Neu &T2BZfQ-"') == [])


def test_the_server_is_searched(thunderbird: Thunderbird, server: RunningServer, account: str) -> None:
    letter(server, account, "The one", "A needle in here.")
    thunderbird.until(f"{INBOX} return all(box).length == 2;", account)
    assert thunderbird.run(f"{INBOX} return await search(box, given[1]);", account, "needle") == ["The one"]


@pytest.mark.parametrize("starttls", [False, True], ids=["TLS", "STARTTLS"])
def test_a_letter_is_sent_kept_and_received(
    thunderbird: Thunderbird, server: RunningServer, person: str, starttls: bool
) -> None:
    thunderbird.account(server, person, starttls=starttls)
    thunderbird.until("return Boolean(folder(given[0], 'Sent'));", person)
    subject = f"Grüße von {person.partition('@')[0]} – 你好"
    alias = re.sub("[^a-z0-9]", "", f"reader{starttls}".lower())
    reader = server.add_user(alias)
    thunderbird.run(
        "send(...given);", person, f"Reader <{reader}>", subject, "<p>Schöne Grüße</p>", "naïve\n"
    )
    poll(lambda: len(texts(server, alias)) == 1)
    (raw,) = texts(server, alias)
    mail: Any = message_from_bytes(raw, policy=policy.default)
    assert mail["subject"] == subject and mail["from"] == person
    body, attached = list(mail.iter_parts())
    assert "Schöne Grüße" in body.get_content()
    assert (attached.get_filename(), attached.get_content()) == ("prüfung.txt", "naïve\n")
    # What it keeps in Sent is what it sent; there it is read.
    poll(lambda: far(server, person, "Sent") == [{b"\\Seen"}])


def test_what_was_done_without_a_connection_is_done_afterwards(
    thunderbird: Thunderbird, server: RunningServer, account: str
) -> None:
    letter(server, account, "For the train")
    thunderbird.until(f"{INBOX} return all(box).length == 2;", account)
    thunderbird.run(f"{INBOX} box.downloadAllForOffline(null, null);", account)
    held = "(message => message.flags & FLAGS.Offline)"
    thunderbird.until(f"{INBOX} return all(box).every({held});", account)
    thunderbird.run("Services.io.offline = true;")
    try:
        text = thunderbird.run(
            f"{INBOX} return await text(box, one(box, given[1]));", account, "For the train"
        )
        assert "Ordinary words." in text
        thunderbird.run(
            f"""{INBOX} box.markMessagesFlagged([one(box, "For the train")], true);
            copy(box, [one(box, "A first letter")], folder(given[0], "Archive"), true);""",
            account,
        )
        assert far(server, account) == [set(), set()]
    finally:
        thunderbird.run(
            """
            Cc["@mozilla.org/messenger/offline-manager;1"].getService(Ci.nsIMsgOfflineManager)
                .goOnline(false, true, Services.wm.getMostRecentWindow("mail:3pane").msgWindow);
            """
        )
    poll(lambda: len(far(server, account, "Archive")) == 1)
    poll(lambda: [b"\\Flagged" in flags for flags in far(server, account)] == [True])


def test_mail_is_fetched_by_pop3_and_left_until_it_is_deleted(
    thunderbird: Thunderbird, server: RunningServer, person: str
) -> None:
    thunderbird.account(server, person, "pop3")
    thunderbird.run(
        """
        const own = server(given[0], "pop3").QueryInterface(Ci.nsIPop3IncomingServer);
        own.leaveMessagesOnServer = own.deleteMailLeftOnServer = true;
        """,
        person,
    )
    fetch = """
        const own = server(given[0], "pop3"), box = folder(given[0], "Inbox", "pop3");
        MailServices.pop3.GetNewMail(null, null, box, own);
    """
    held = "const box = folder(given[0], 'Inbox', 'pop3');"
    thunderbird.run(fetch, person)
    thunderbird.until(f"{held} return all(box).length == 1;", person)
    letter(server, person, "A second letter")
    thunderbird.run(fetch, person)
    thunderbird.until(f"{held} return all(box).length == 2;", person)
    assert len(texts(server, person.partition("@")[0])) == 2
    thunderbird.run(f"{held} box.deleteMessages([all(box)[0]], null, true, false, null, false);", person)
    thunderbird.run(fetch, person)

    poll(lambda: len(texts(server, person.partition("@")[0])) == 1)


@pytest.fixture
def address_book(thunderbird: Thunderbird, server: RunningServer) -> Callable[[str], list[list[str]]]:
    """Searches the directory as the address field does: name and address of what is found."""
    uri = f"ldap://localhost:{server.port('ldap')}/dc=example,dc=test??sub?(objectclass=*)"
    thunderbird.run(
        """
        const made = MailServices.ab.newAddressBook("Example", given[0], Ci.nsIAbManager.LDAP_DIRECTORY_TYPE);
        MailServices.ab.getDirectoryFromId(made).QueryInterface(Ci.nsIAbLDAPDirectory).authDn = given[1];
        const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
        login.init(given[2], null, given[0], "", given[3], "", "");
        await Services.logins.addLoginAsync(login);
        """,
        uri,
        "bob@example.test",
        f"ldap://localhost:{server.port('ldap')}",
        PASSWORD,
    )

    def find(words: str) -> list[list[str]]:
        found: list[list[str]] = thunderbird.run(
            """
            const book = MailServices.ab.directories.find(one => one.dirName == "Example");
            return await new Promise((done, failed) => {
                const found = [];
                book.search(given[0], given[1], {
                    QueryInterface: ChromeUtils.generateQI(["nsIAbDirSearchListener"]),
                    onSearchFoundCard(card) { found.push([card.displayName, card.primaryEmail]); },
                    onSearchFinished(status) {
                        status ? failed(new Error(status.toString(16))) : done(found.sort());
                    },
                });
            });
            """,
            f"(or(DisplayName,bw,{words})(FirstName,bw,{words})(LastName,bw,{words})(PrimaryEmail,bw,{words}))",
            words,
        )
        return found

    return find


def test_the_address_book_finds_people(address_book: Callable[[str], list[list[str]]]) -> None:
    assert address_book("ali") == [["Alice Tester", "alice@example.test"]]
    assert address_book("nobody at all") == []
