"""URLs that carry the right to read a message (RFC 4467): who makes them, to whom they give what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imsd.auth.account import NOBODY
from imsd.errors import NoSuchMailbox, NotPermitted, Throttled
from imsd.sessions.imap4 import signing
from imsd.sessions.imap4.account import ImapAccount
from imsd.store import acl
from imsd.store.ids import INBOX, AccountId
from protocols.imap4 import urls
from protocols.imap4.dialect import PLAIN
from protocols.imap4.responses import updates
from protocols.imap4.values import Needs, UrlKeyNow
from tests.support.imap import mailstore, select, session
from tests.support.mail import ALICE, BOB, make_account, put
from tests.support.stores import run

NEEDS = Needs(content=True)
ROOT = AccountId(9)
START = 1_700_000_000
"""The clock of `mailstore`, about."""


@pytest.fixture
def alice(database):
    make_account(database)
    make_account(database, BOB)
    put(database)
    return session(mailstore(database))


def beside(account, who, **more):
    """Another session of the same server."""
    other = session(account.held, who)
    return ImapAccount(account.held, replace(other.account, **more)) if more else other


def rump(access="authuser", where="INBOX", uid=1, user="alice", expire=""):
    return f"imap://{user}@example.test/{where}/;UID={uid}{expire};URLAUTH={access}".encode()


def signed(account, url):
    tokens = run(account.sign_urls([urls.authorized(url, False)]))
    return None if tokens is None else url + b":INTERNAL:" + tokens[0].encode()


def given(account, url):
    return run(account.url_message(urls.authorized(url, True), NEEDS)) is not None


def test_a_token_fits_its_url_its_key_and_its_form():
    token = signing.sign(b"k" * 32, b"url", START)
    assert len(token) == 76
    assert token.startswith("01")
    assert signing.made(b"k" * 32, b"url", token) == START
    for key, url, other in (
        (b"l" * 32, b"url", token),
        (b"k" * 32, b"urk", token),
        (b"k" * 32, b"url", "02" + token[2:]),
        (b"k" * 32, b"url", token[:11] + "f" + token[12:]),
        (b"k" * 32, b"url", token[:-2]),
        (b"k" * 32, b"url", token + "00"),
        (b"k" * 32, b"url", token[:-1]),
        (b"k" * 32, b"url", ""),
    ):
        assert signing.made(key, url, other) is None


@pytest.mark.parametrize(
    ("access", "readers"),
    [
        ("anonymous", {"alice", "bob", "nobody"}),
        ("authuser", {"alice", "bob"}),
        ("user+bob", {"bob"}),
        ("user+alice", {"alice"}),
        ("user+carol", set()),
        ("submit+alice", set()),
    ],
)
def test_a_url_is_for_those_it_names(alice, access, readers):
    alice.held.settings.replace({"imap.anonymous": "true"})
    url = signed(alice, rump(access))
    sessions = {
        "alice": alice,
        "bob": beside(alice, BOB),
        "nobody": ImapAccount(alice.held, NOBODY),
        # Bob in a mailbox that he opened is bob, whosever it is.
        "bob at alice's": beside(alice, ALICE, actor=BOB, restricted=True),
    }
    expected = readers | ({"bob at alice's"} if "bob" in readers else set())
    assert {name for name, each in sessions.items() if given(each, url)} == expected


def test_what_is_to_be_submitted_is_for_submission_servers(alice):
    alice.held.settings.replace({"imap.submission_users": '["ROOT@example.test"]'})
    url = signed(alice, rump("submit+alice"))
    assert given(beside(alice, ROOT), url)
    assert not given(beside(alice, BOB), url)
    assert not given(alice, url)
    # Who may only look into the submission server's mailbox is none.
    assert not given(beside(alice, ROOT, actor=BOB, restricted=True), url)


def test_only_the_owner_signs_and_only_what_is_his(alice, database):
    alice.held.settings.replace({"imap.anonymous": "true"})
    run(database.write(acl.grant, ALICE, INBOX, BOB, "lrswipkxtea"))
    bob = beside(alice, BOB)
    assert signed(bob, rump(user="alice")) is None
    assert signed(bob, rump(where="Other%20Users/alice/INBOX", user="bob")) is None
    assert signed(bob, rump(where="Public%20Folders/News", user="bob")) is None
    assert signed(beside(alice, ALICE, actor=BOB, restricted=True), rump()) is None
    assert signed(ImapAccount(alice.held, NOBODY), rump()) is None
    assert signed(alice, rump(user="carol")) is None
    assert signed(alice, rump(where="Nowhere")) is None
    assert signed(alice, rump(where="INBOX;UIDVALIDITY=4294967295")) is None
    # All or none.
    both = [urls.authorized(rump(), False), urls.authorized(rump(where="Nowhere"), False)]
    assert run(alice.sign_urls(both)) is None


def test_what_is_gone_is_not_given(alice, database):
    assert not given(alice, signed(alice, rump(uid=77)))
    run(alice.create("Box", ()))
    put(database, 1, ALICE, run(alice.places.find("Box")).mailbox.id)
    url = signed(alice, rump(where="Box"))
    assert given(alice, url)
    run(alice.rename("Box", "Other"))
    assert not given(alice, url)
    run(alice.rename("Other", "Box"))
    assert given(alice, url)
    run(alice.delete("Box"))
    run(alice.create("Box", ()))
    put(database, 1, ALICE, run(alice.places.find("Box")).mailbox.id)
    assert given(alice, signed(alice, rump(where="Box")))
    assert not given(alice, url)


def test_a_key_that_was_reset_ends_what_it_signed(alice):
    run(alice.create("Box", ()))
    inbox, again = signed(alice, rump()), signed(alice, rump())
    assert given(alice, inbox)
    run(alice.reset_url_keys("Box"))
    assert given(alice, again)
    run(alice.reset_url_keys("INBOX"))
    assert not given(alice, inbox)
    fresh = signed(alice, rump())
    assert given(alice, fresh)
    run(alice.reset_url_keys(None))
    assert not given(alice, fresh)
    with pytest.raises(NoSuchMailbox):
        run(alice.reset_url_keys("Nowhere"))


def test_keys_of_others_are_not_reset(alice, database):
    alice.held.settings.replace({"imap.anonymous": "true"})
    run(database.write(acl.grant, ALICE, INBOX, BOB, "lrswipkxtea"))
    bob, url = beside(alice, BOB), signed(alice, rump())
    run(bob.reset_url_keys(None))
    for who in (bob, ImapAccount(alice.held, NOBODY), beside(alice, ALICE, actor=BOB, restricted=True)):
        with pytest.raises((NotPermitted, NoSuchMailbox)):
            run(who.reset_url_keys("Other Users/alice/INBOX" if who is bob else "INBOX"))
    assert given(alice, url)


def test_urls_end_when_they_say_and_when_the_server_does(alice, monkeypatch):
    past = signed(alice, rump(expire=";EXPIRE=2001-01-01T00:00:00Z"))
    soon = signed(alice, rump(expire=";EXPIRE=2023-11-20T00:00:00+01:00"))
    never = signed(alice, rump())
    assert [given(alice, url) for url in (past, soon, never)] == [False, True, True]

    def later(days):
        monkeypatch.setattr(type(alice.held), "now", lambda held: (START + days * 86_400) * 1_000_000)

    later(10)
    assert [given(alice, url) for url in (soon, never)] == [False, True]
    later(91)
    assert not given(alice, never)
    alice.held.settings.replace({"imap.url_days": "0"})
    assert given(alice, never)
    alice.held.settings.replace({"imap.enabled": "false"})
    assert not given(beside(alice, BOB), never)


def test_who_guesses_is_made_to_wait_and_nobody_else(alice):
    good, mine = signed(alice, rump("user+bob")), signed(alice, rump("user+alice"))
    bob = beside(alice, BOB)
    for count in range(200):
        wrong = good[:-4] + b"%04x" % count
        try:
            assert wrong == good or not given(bob, wrong)
        except Throttled:
            break
    else:
        pytest.fail("Nobody was made to wait")
    with pytest.raises(Throttled):
        given(bob, good)
    assert given(alice, mine)


def test_one_persons_wrong_urls_do_not_hinder_a_submission_server(alice, database):
    alice.held.settings.replace({"imap.submission_users": '["root"]'})
    server = beside(alice, ROOT)
    bobs = signed(beside(alice, BOB), rump("submit+bob", user="bob"))
    put(database, 1, BOB)
    wrong = signed(alice, rump("submit+alice"))[:-4] + b"0000"
    with pytest.raises(Throttled):
        for _ in range(200):
            given(server, wrong)
    assert given(server, bobs)
    # Many good ones cost nothing.
    assert all(given(server, bobs) for _ in range(50))


def test_who_has_the_mailbox_selected_hears_that_its_key_is_another(alice, database):
    run(database.write(acl.grant, ALICE, INBOX, BOB, "lrs"))
    mine, second = select(alice), select(beside(alice, ALICE))
    his = select(beside(alice, BOB), "Other Users/alice/INBOX")
    heard = []
    second.watch(lambda: heard.append(1))
    run(alice.reset_url_keys("INBOX"))
    run(alice.held.breath())
    assert heard == [1]
    assert [list(view.updates(False)) for view in (mine, second, his)] == [[UrlKeyNow()], [UrlKeyNow()], []]
    assert [list(view.updates(True)) for view in (mine, second)] == [[], []]
    assert updates([UrlKeyNow()], PLAIN) == b"* OK [URLMECH INTERNAL] How URLs can be authorized\r\n"
    assert updates([UrlKeyNow()], replace(PLAIN, off=frozenset({b"URLAUTH"}))) == b""
    for view in (mine, second, his):
        view.close()
    assert alice.held.selected == {}
