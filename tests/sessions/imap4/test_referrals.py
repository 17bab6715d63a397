"""Mailboxes of people who are at home on another server (RFC 2193, RFC 2221)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from imsd.auth import homes as auth_homes
from imsd.directory.homes import server_name
from imsd.errors import Referred
from imsd.sessions.imap4.door import ImapDoor
from imsd.settings.referrals import Referrals
from protocols.imap4.dialect import PLAIN
from protocols.imap4.events import Event, Group, Mailboxes, Selected, Wanted
from protocols.imap4.values import Needs
from tests.support.imap import mailstore, session
from tests.support.imap4 import Client, world_with
from tests.support.mail import BOB, make_account, put
from tests.support.stores import run


@pytest.mark.parametrize(
    ("values", "name"),
    [
        (("cn=Microsoft MTA,cn=MAIL2,cn=Servers,cn=Configuration,ou=Main,o=Example", ""), "mail2"),
        (("", "cn=Microsoft Private MDB,cn=Mail 3,cn=Servers,cn=Configuration,o=X"), "mail 3"),
        (("cn=Mail2,cn=Configuration,o=X",), "mail2"),
        ((" MAIL2 ",), "mail2"),
        (("a=b=c,,",), "a=b=c,,"),
        (("", " "), ""),
    ],
)
def test_the_server_in_an_entry(values: tuple[str, ...], name: str) -> None:
    assert server_name(values) == name


def test_hosts_are_checked() -> None:
    page = Referrals(servers={" MAIL2 ": "Imap.Example.TEST.", "a": "host:1143"})
    assert page.servers == {"mail2": "imap.example.test", "a": "host:1143"}
    for host in ("", "no host", "-a", "a..b", "x;AUTH=*@y", "a_b"):
        with pytest.raises(ValidationError, match="no host name"):
            Referrals(servers={"mail2": host})
    with pytest.raises(ValidationError, match="a server has a name"):
        Referrals(servers={" ": "host"})


@pytest.fixture
def alice(database: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session of alice, who is at home elsewhere."""
    make_account(database)
    make_account(database, BOB)
    held = mailstore(database)
    pages = {"mail2": "imap2.example.test"}
    monkeypatch.setattr(auth_homes, "elsewhere", lambda settings, home: pages.get(home, ""))
    opened = session(held)
    opened.account = opened.places.account = replace(
        opened.account, home="mail2", addresses=("al+ice@example.test",)
    )
    return opened


URL = "imap://al%2Bice%40example.test;AUTH=*@imap2.example.test/"


def urls(awaitable: Any) -> tuple[str, ...]:
    with pytest.raises(Referred) as caught:
        run(awaitable)
    return caught.value.urls


def test_what_names_a_mailbox_is_referred(alice: Any) -> None:
    assert alice.referral == URL
    inbox = (URL + "INBOX",)
    assert urls(alice.select("INBOX", False, PLAIN)) == inbox
    assert urls(alice.status(["INBOX"])) == inbox
    assert urls(alice.append("INBOX", (), None, 10)) == inbox
    assert urls(alice.create("a b;/é", ())) == (URL + "a%20b%3B/%C3%A9",)
    assert urls(alice.delete("INBOX")) == inbox
    assert urls(alice.subscribe("INBOX")) == inbox
    assert urls(alice.quota_of("INBOX")) == inbox
    assert urls(alice.my_rights("INBOX")) == inbox
    there, here = urls(alice.rename("x", "Public Folders/x"))
    assert there == URL + "x" and here.endswith("/Public%20Folders/x") and "imap2" not in here
    assert run(alice.glance("INBOX", False, PLAIN)) is None
    assert run(alice.message("INBOX", 0, 1, Needs())) is None
    assert run(alice.status(["INBOX", "Public Folders/x"])) == {}


def test_only_rlist_has_what_is_elsewhere(alice: Any) -> None:
    def named(subscribed: bool, remote: bool) -> dict[str, tuple[bytes, ...]]:
        return {one.name: one.attributes for one in run(alice.mailboxes("", subscribed, remote))}

    assert "INBOX" not in named(False, False)
    assert named(False, True)["INBOX"] == (b"\\Remote",)
    assert named(True, False) == {}
    assert "INBOX" in named(True, True) or not run(alice.mailboxes("", True, True))


def test_nothing_is_heard_of_what_is_elsewhere(alice: Any, database: Any) -> None:
    groups = (
        Group(Mailboxes.PERSONAL, (), Event.MESSAGES),
        Group(Mailboxes.SUBTREE, ("Other Users/bob",), Event.MESSAGES),
    )
    heard = run(alice.notify(Wanted(Selected(), groups), lambda: None))
    put(database, 1)
    assert list(run(heard.take())) == [] and not heard.overflowed


def test_who_is_at_home_here_is_not_referred(database: Any) -> None:
    make_account(database)
    opened = session(mailstore(database))
    opened.account = opened.places.account = replace(opened.account, home="old-server")
    assert opened.referral == ""
    run(opened.select("INBOX", False, PLAIN)).close()


def test_the_refusal_in_words(alice: Any) -> None:
    door = ImapDoor(alice.held, None)  # type: ignore[arg-type]
    explained = door.explain(Referred(urls=(URL + "a", URL + "b")))
    assert explained is not None
    assert explained.code.decode() == f"REFERRAL {URL}a {URL}b"


def test_login_refers() -> None:
    world = world_with(0)
    world.referral = URL
    answer = Client(world).say(b"l LOGIN alice secret").split(b"\r\n")
    assert answer[0].startswith(b"* CAPABILITY ") and b"MAILBOX-REFERRALS" in answer[0]
    assert answer[1] == b"l OK [REFERRAL %b] Your mailboxes are on another server" % URL.encode()
