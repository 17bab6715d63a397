"""NOTIFY and search contexts on the wire (RFC 5465, RFC 5267)."""

from __future__ import annotations

from typing import Any

import pytest

from imsd import errors
from protocols.imap4 import contexts
from protocols.imap4.dialect import PLAIN, Dialect
from protocols.imap4.events import Event, Group, Mailboxes, Selected
from protocols.imap4.ordering import Criterion, SortKey, precedes
from protocols.imap4.responses import notice
from protocols.imap4.sets import without
from protocols.imap4.values import Listed, ListNow, Status, StatusNow
from tests.support.imap4 import Client, FakeView, message, traits_of, world_with

BOTH = b"(MessageNew MessageExpunge)"
STATUS = Status(5, 0, 2, 0, 900, 8, 77, 31)


def listening(count: int = 2, asked: bytes = b"(selected (MessageNew MessageExpunge FlagChange))") -> Client:
    client = Client(world_with(count)).select()
    assert b"n OK" in client.say(b"n NOTIFY SET " + asked)
    return client


def notices_of(client: Client) -> Any:
    return client.world.accounts[0].notices


@pytest.mark.parametrize(
    ("what", "dialect", "line"),
    [
        (StatusNow("a", STATUS, new=True), PLAIN, b"* STATUS a (MESSAGES 5 UIDNEXT 8)\r\n"),
        (
            StatusNow("a", STATUS, new=True),
            Dialect(condstore=True),
            b"* STATUS a (MESSAGES 5 UIDNEXT 8 HIGHESTMODSEQ 31)\r\n",
        ),
        (
            StatusNow("a", STATUS, expunged=True),
            Dialect(condstore=True),
            b"* STATUS a (MESSAGES 5 UIDNEXT 8)\r\n",
        ),
        (StatusNow("a", STATUS, flags=True), PLAIN, b""),
        (
            StatusNow("a", STATUS, flags=True),
            Dialect(condstore=True),
            b"* STATUS a (UIDVALIDITY 77 HIGHESTMODSEQ 31)\r\n",
        ),
        (StatusNow("a", STATUS), PLAIN, b""),
        (ListNow(Listed("a", exists=False)), PLAIN, b'* LIST (\\NonExistent) "/" a\r\n'),
        (
            ListNow(Listed("\xe4", subscribed=True), "\xf6"),
            PLAIN,
            b'* LIST (\\HasNoChildren \\Subscribed) "/" &AOQ- ("OLDNAME" (&APY-))\r\n',
        ),
        (
            ListNow(Listed("\xe4", children=True), "\xf6"),
            Dialect(rev2=True, utf8=True),
            '* LIST (\\HasChildren) "/" "\xe4" ("OLDNAME" ("\xf6"))\r\n'.encode(),
        ),
    ],
)
def test_notices_say_what_the_dialect_has(what: Any, dialect: Dialect, line: bytes) -> None:
    assert notice(what, dialect) == line


def test_what_is_asked_for_reaches_the_account() -> None:
    client = Client().login()
    answer = client.say(
        b"a NOTIFY SET STATUS (selected-delayed (MessageNew (UID) MessageExpunge)) (inboxes NONE)"
        b' (mailboxes ("inbox" Work) (FlagChange MessageNew MessageExpunge))'
        b" (subtree Lists (SubscriptionChange))"
    )
    assert answer == b"a OK NOTIFY completed\r\n"
    wanted = notices_of(client).wanted
    assert wanted.status
    assert wanted.selected == Selected(Event.MESSAGES, True, (b"UID",))
    assert wanted.groups == (
        Group(Mailboxes.INBOXES, (), Event.NONE),
        Group(Mailboxes.MAILBOXES, ("INBOX", "Work"), Event.MESSAGES | Event.FLAGS),
        Group(Mailboxes.SUBTREE, ("Lists",), Event.SUBSCRIPTION),
    )


def test_events_stand_without_parentheses_too() -> None:
    client = Client().login()
    client.say(b"a NOTIFY SET (subtree Lists MessageNew MessageExpunge)")
    assert notices_of(client).wanted.groups == (Group(Mailboxes.SUBTREE, ("Lists",), Event.MESSAGES),)


def test_other_mailboxes_are_told_of_between_commands() -> None:
    client = listening(asked=b"(personal " + BOTH + b")")
    notices_of(client).say(StatusNow("Work", STATUS, new=True))
    assert client.heard() == b"* STATUS Work (MESSAGES 5 UIDNEXT 8)\r\n"
    client.say(b"i IDLE")
    notices_of(client).say(StatusNow("Work", STATUS, new=True))
    assert client.heard() == b"* STATUS Work (MESSAGES 5 UIDNEXT 8)\r\n"


def test_news_waits_for_the_end_of_a_command_and_of_a_literal() -> None:
    client = listening()
    client.raw(b"a SEARCH SUBJECT {5}\r\n")
    client.world.boxes["INBOX"].add(message())
    notices_of(client).say(StatusNow("Work", STATUS, new=True))
    assert client.heard() == b""
    answer = client.raw(b"Hello\r\n").split(b"\r\n")
    assert answer[0] == b"* SEARCH" and answer[1] == b"* 3 EXISTS"
    assert answer[-3:] == [b"* STATUS Work (MESSAGES 5 UIDNEXT 8)", b"a OK SEARCH completed", b""]


def test_a_client_that_does_not_read_is_not_written_to() -> None:
    client = listening()
    client.server._full()
    for _ in range(3):
        client.world.boxes["INBOX"].add(message())
    notices_of(client).say(StatusNow("Work", STATUS, new=True))
    assert client.heard() == b""
    client.server._drained()
    assert client.heard() == b"* 5 EXISTS\r\n* 5 RECENT\r\n* STATUS Work (MESSAGES 5 UIDNEXT 8)\r\n"


def test_after_an_overflow_nothing_is_told() -> None:
    client = listening()
    kept = notices_of(client)
    kept.overflowed = True
    kept.changed()
    assert client.heard().startswith(b"* OK [NOTIFICATIONOVERFLOW] ")
    assert kept.closed
    client.world.boxes["INBOX"].add(message())
    assert client.say(b"a NOOP") == b"a OK NOOP completed\r\n"
    # The next NOTIFY begins with what was not told.
    assert b"* 3 EXISTS\r\n" in client.say(b"b NOTIFY SET (selected " + BOTH + b")")


def test_notify_none_is_silence() -> None:
    client = listening()
    assert client.say(b"a NOTIFY NONE") == b"a OK NOTIFY completed\r\n"
    client.world.boxes["INBOX"].add(message())
    assert client.heard() == b"" and notices_of(client).closed


def test_the_next_selected_mailbox_is_told_of_too() -> None:
    client = listening()
    other = client.world.make("Other")
    client.say(b"a SELECT Other")
    other.add(message())
    assert client.heard() == b"* 1 EXISTS\r\n* 1 RECENT\r\n"


def test_the_next_login_begins_anew() -> None:
    client = listening()
    client.say(b"a UNAUTHENTICATE")
    client.select()
    client.world.boxes["INBOX"].add(message())
    assert client.heard() == b""
    assert b"* 3 EXISTS\r\n" in client.say(b"b NOOP")


def test_uids_alone_for_who_wants_only_those() -> None:
    client = Client(world_with(2)).login()
    client.say(b"e ENABLE UIDONLY")
    client.say(b"s SELECT INBOX")
    client.say(b"n NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))")
    box = client.world.boxes["INBOX"]
    box.add(message())
    assert client.heard() == b"* 3 EXISTS\r\n* 3 RECENT\r\n* 3 UIDFETCH (FLAGS (\\Recent))\r\n"
    box.remove([1])
    assert client.heard() == b"* VANISHED 1\r\n"


def test_where_a_client_stands_is_told_behind_what_says_more() -> None:
    """An expunge is held back; what was fetched since has higher mod-sequences (RFC 7162 3.2)."""
    client = Client(world_with(3)).login()
    client.say(b"e ENABLE QRESYNC")
    client.say(b"s SELECT INBOX")
    client.say(b"n NOTIFY SET (selected-delayed (MessageNew (UID MODSEQ) MessageExpunge))")
    box = client.world.boxes["INBOX"]
    before = box.modseq
    box.remove([1])
    client.heard()
    box.add(message())
    lines = client.heard().splitlines()
    assert lines[-2:] == [
        b"* 4 FETCH (UID 4 MODSEQ (%d))" % box.modseq, b"* OK [HIGHESTMODSEQ %d] Highest" % before,
    ]  # fmt: skip
    assert b"* VANISHED 1\r\n" in client.say(b"o NOOP")


def test_what_the_session_made_is_not_fetched_for_it() -> None:
    client = listening(asked=b"(selected (MessageNew (UID) MessageExpunge))")
    account = client.world.accounts[0]
    uid = client.world.boxes["INBOX"].uid_next
    account.made.add(uid)
    client.world.boxes["INBOX"].add(message())
    assert client.heard() == b"* 3 EXISTS\r\n* 3 RECENT\r\n"
    assert not account.made
    client.world.boxes["INBOX"].add(message())
    assert client.heard().endswith(b"* 4 FETCH (UID 4)\r\n")


# Contexts ------------------------------------------------------------------------------------


def test_new_results_are_fetched_as_asked_for_both_times() -> None:
    client = listening(asked=b"(selected (MessageNew (UID) MessageExpunge))")
    client.say(b"a UID SEARCH RETURN (UPDATE (FLAGS UID)) SUBJECT wanted")
    client.world.boxes["INBOX"].add(message("Not that"))
    assert client.heard() == b"* 3 EXISTS\r\n* 3 RECENT\r\n* 3 FETCH (UID 3)\r\n"
    client.world.boxes["INBOX"].add(message("Wanted"))
    assert client.heard() == (
        b'* 4 EXISTS\r\n* 4 RECENT\r\n* ESEARCH (TAG "a") UID ADDTO (0 4)\r\n'
        b"* 4 FETCH (UID 4 FLAGS (\\Recent))\r\n"
    )


def test_there_may_be_so_many_contexts(monkeypatch: Any) -> None:
    monkeypatch.setattr(contexts, "MOST", 2)
    client = Client(world_with(2)).select()
    for tag in (b"a", b"b"):
        assert b"NOUPDATE" not in client.say(tag + b" SEARCH RETURN (UPDATE) ALL")
    answer = client.say(b"c SEARCH RETURN (UPDATE COUNT) ALL").split(b"\r\n")
    assert answer[0] == b'* ESEARCH (TAG "c") COUNT 2'
    assert answer[1].startswith(b'* NO [NOUPDATE "c"] ') and answer[2] == b"c OK SEARCH completed"
    client.say(b'd CANCELUPDATE "a"')
    assert b"NOUPDATE" not in client.say(b"e SORT RETURN (UPDATE) (DATE) utf-8 ALL")


def test_a_context_that_cannot_be_kept_up_is_given_up(monkeypatch: Any) -> None:
    client = Client(world_with(2)).select()
    client.say(b"a SEARCH RETURN (UPDATE) ALL")

    async def fails(self: Any, key: Any) -> Any:
        raise errors.StoreUnavailable

    client.world.boxes["INBOX"].add(message())
    with monkeypatch.context() as patch:
        patch.setattr(FakeView, "search", fails)
        answer = client.say(b"b NOOP")
    assert b'* NO [NOUPDATE "a"] ' in answer and answer.endswith(b"b OK NOOP completed\r\n")
    client.world.boxes["INBOX"].add(message())
    assert b"ESEARCH" not in client.say(b"c NOOP")


def test_results_that_come_and_go_with_time(monkeypatch: Any) -> None:
    client = Client(world_with(1)).select()
    assert b"COUNT 0" in client.say(b"a SEARCH RETURN (UPDATE COUNT) OLDER 1000000")
    monkeypatch.setattr("tests.support.imap4.NOW", 9_000_000)
    assert b"ESEARCH" not in client.say(b"b NOOP")
    client.clock.advance(contexts.OFTEN)
    assert b'* ESEARCH (TAG "a") ADDTO (0 1)' in client.say(b"c NOOP")


def test_contexts_end_with_the_selection() -> None:
    client = Client(world_with(1)).select()
    client.say(b"a SEARCH RETURN (UPDATE) ALL")
    client.say(b"b SELECT INBOX")
    client.world.boxes["INBOX"].add(message())
    assert b"ESEARCH" not in client.say(b"c NOOP")
    # And the tag is free.
    assert b"a OK" in client.say(b"a SEARCH RETURN (UPDATE) ALL")


def sizes(client: Client, tag: bytes, order: list[int], answer: bytes) -> list[int]:
    """The client's list after ADDTO and REMOVEFROM, as RFC 5267 4.3.3 has it done."""
    words = answer.replace(b"(", b" ( ").replace(b")", b" ) ").split()
    at = 0
    while at < len(words):
        if words[at] in (b"ADDTO", b"REMOVEFROM"):
            adds, at = words[at] == b"ADDTO", at + 2
            while words[at] != b")":
                place, numbers = int(words[at]) - 1, words[at + 1]
                for part in numbers.split(b","):
                    low, _, high = part.partition(b":")
                    for number in range(int(low), int(high or low) + 1):
                        if adds:
                            order.insert(place, number)
                            place += 1
                        else:
                            assert order.pop(place) == number
                at += 2
        at += 1
    return order


def test_sorted_results_are_put_at_their_places() -> None:
    client = Client(world_with(0)).select()
    box = client.world.boxes["INBOX"]
    order: list[int] = []
    client.say(b"a UID SORT RETURN (UPDATE) (REVERSE SIZE SUBJECT) utf-8 UNDELETED")
    for count, size in enumerate([5, 900, 5, 70, 900, 3, 5, 1000, 70, 6], 1):
        box.add(message(f"{count % 3}", "x" * size))
        if count % 4 == 0:
            box.change(box.records[count // 2], {b"\\Deleted"})
        if count % 3 == 0:
            order = sizes(client, b"a", order, client.say(b"b NOOP"))
    for record in box.records[::3]:
        box.change(record, record.flags ^ {b"\\Deleted"})
    order = sizes(client, b"a", order, client.say(b"c NOOP"))
    box.remove([box.records[1].uid, box.records[4].uid])
    order = sizes(client, b"a", order, client.say(b"d NOOP"))
    wanted = client.say(b"e UID SORT (REVERSE SIZE SUBJECT) utf-8 UNDELETED").split(b"\r\n")[0].split()[2:]
    assert order == [int(uid) for uid in wanted] and len(order) > 2


def test_where_a_message_stands_without_its_content() -> None:
    one = traits_of(world_with(1).boxes["INBOX"].records[0])
    by_size = (Criterion(SortKey.SIZE),)
    assert precedes((one, 1), (one, 2), by_size) and not precedes((one, 2), (one, 1), by_size)
    assert precedes((None, 1), (one, 2), by_size) and not precedes((None, 3), (one, 2), by_size)
    assert precedes((one._replace(size=1), 2), (one, 1), by_size)
    assert not precedes((one._replace(size=1), 2), (one, 1), (Criterion(SortKey.SIZE, True),))


@pytest.mark.parametrize(
    ("one", "other", "left"),
    [
        (((1, 9),), (), ((1, 9),)),
        (((1, 9),), ((1, 1), (4, 5), (9, 12)), ((2, 3), (6, 8))),
        (((3, 4), (8, 9)), ((1, 20),), ()),
        ((), ((1, 2),), ()),
    ],
)
def test_sets_without_others(one: Any, other: Any, left: Any) -> None:
    assert without(one, other) == left
