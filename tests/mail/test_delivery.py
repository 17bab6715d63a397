"""Accepting is delivering: one transaction for mailboxes, queue, fan-out and tracking."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from imsd.admin.queue import _track
from imsd.errors import NoSuchMailbox, OverQuota, PostingDenied, TooLargeHere
from imsd.mail import enqueuing
from imsd.mail.delivery import LOCAL, Accepted, Delivery
from imsd.mail.envelope import Addressee, Envelope
from imsd.settings import PAGES, LiveSettings
from imsd.store import acl, blob_rows, claims, fanout, mailboxes, messages, spool, tracking
from imsd.store.database import Database
from imsd.store.ids import INBOX, PUBLIC, AccountId, MailboxId
from tests.mail.fakes import FakeDirectory
from tests.support.mail import content, make_account
from tests.support.stores import run

NOW = 1_700_000_000_000_000


class Post:
    """A delivery with alice and bob, whose mailboxes exist."""

    def __init__(self, database: Database) -> None:
        self.db = database
        self.directory = FakeDirectory()
        self.directory.db = database
        self.settings = LiveSettings(PAGES)
        self.delivery = Delivery(database, self.directory, self.settings)  # type: ignore[arg-type]
        self.alice = self.person("alice")
        self.bob = self.person("bob")

    def person(self, alias: str) -> AccountId:
        return make_account(self.db, self.directory.add(alias))

    def to(self, *addresses: str, **more: object) -> tuple[Addressee, ...]:
        return tuple(
            Addressee(address, self.directory.known.get(address), **more)  # type: ignore[arg-type]
            for address in addresses
        )

    def send(self, *addresses: str, body: str = "hello", **more: object) -> Accepted:
        envelope = Envelope("sender@example.org", self.to(*addresses, **more))
        return run(self.delivery.accept(envelope, content(body)))

    def inbox(self, account: AccountId, mailbox: MailboxId = INBOX) -> list[messages.MessageRow]:
        return run(self.db.read(messages.rows, account, mailbox, list(range(1, 500))))

    def queue(self) -> list[tuple[str, str, str]]:
        return [
            (each.address, each.domain, each.notify)
            for message in run(self.db.read(spool.listed))
            for each in run(self.db.read(spool.recipients_of, message.id))
        ]

    def references(self) -> list[int]:
        return [row[0] for row in run(self.db.read(_references))]


def _references(tx: object) -> list[tuple[int]]:
    from sqlalchemy import select

    from imsd.store.sql import sql

    return tx.all(sql(select(blob_rows.blob.c.refs)))  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def post(database: Database) -> Iterator[Post]:
    yield Post(database)


def test_local_recipients_have_it_when_accept_returns(post: Post) -> None:
    accepted = post.send("alice@example.test", "bob@example.test")
    assert (accepted.delivered, accepted.queued) == (2, 0)
    (row,) = post.inbox(post.alice)
    assert row.prefix == b"Return-Path: <sender@example.org>\r\nDelivered-To: alice@example.test\r\n"
    assert post.inbox(post.bob)[0].blob == row.blob
    assert post.references() == [2]


def test_recipient_named_twice_gets_one_copy(post: Post) -> None:
    post.send("alice@example.test", "alice@example.test")
    assert len(post.inbox(post.alice)) == 1


def test_foreign_recipients_get_queue_rows_in_the_same_transaction(post: Post) -> None:
    accepted = post.send("alice@example.test", "x@Example.ORG", "y@example.net", notify=("FAILURE", "DELAY"))
    assert (accepted.delivered, accepted.queued) == (1, 2)
    assert post.queue() == [
        ("x@Example.ORG", "example.org", "FAILURE,DELAY"),
        ("y@example.net", "example.net", "FAILURE,DELAY"),
    ]
    (message,) = run(post.db.read(spool.listed))
    assert message.queue_id == accepted.queue_id
    assert message.reverse_path == "sender@example.org"
    assert post.references() == [2]


def test_every_step_is_tracked(post: Post) -> None:
    accepted = post.send("alice@example.test", "x@example.org")
    events = run(post.db.read(lambda tx: tracking.query(tx, queue_id=accepted.queue_id)))
    assert [(event.event, event.recipient) for event in events] == [
        ("accepted", ""),
        ("delivered", "alice@example.test"),
        ("queued", "x@example.org"),
    ]
    assert events[0].message_id
    # Of somebody who has much mail the last of it is what is looked for.
    last = post.send("alice@example.test")
    told = run(post.db.read(lambda tx: _track(tx, "alice@example.test", 1, {}, 0)))
    assert [(each["queue_id"], each["event"]) for each in told] == [(last.queue_id, "delivered")]
    told = run(post.db.read(lambda tx: _track(tx, "alice@example.test", 2, {}, 0)))
    assert [each["queue_id"] for each in told] == [accepted.queue_id, last.queue_id]


def test_full_mailbox_of_the_only_recipient_is_refused_and_nothing_is_kept(post: Post) -> None:
    run(post.db.write(mailboxes.set_quota, post.alice, 10, 0))
    with pytest.raises(OverQuota):
        post.send("alice@example.test")
    assert post.references() == []
    assert post.inbox(post.alice) == []


def test_account_deleted_since_rcpt_is_refused(post: Post) -> None:
    post.directory.add("carol")
    with pytest.raises(NoSuchMailbox):
        post.send("carol@example.test")


def test_full_mailbox_among_others_waits_in_the_queue(post: Post) -> None:
    run(post.db.write(mailboxes.set_quota, post.alice, 10, 0))
    accepted = post.send("alice@example.test", "bob@example.test")
    assert (accepted.delivered, accepted.queued) == (1, 1)
    assert post.queue() == [("alice@example.test", LOCAL, "")]


def claim(post: Post) -> tuple[claims.Claim, spool.QueuedRecipient]:
    (found,) = run(post.db.write(claims.claim_due, 2**60, 10))
    return found, found.recipients[0]


def test_waiting_local_copy_is_delivered_and_recorded_in_one_unit(post: Post) -> None:
    run(post.db.write(mailboxes.set_quota, post.alice, 10, 0))
    post.send("alice@example.test", "bob@example.test")
    claimed, recipient = claim(post)
    with pytest.raises(OverQuota):
        run(post.delivery.deliver_here(claimed, recipient))
    run(post.db.write(mailboxes.set_quota, post.alice, 0, 0))
    assert run(post.delivery.deliver_here(claimed, recipient))
    assert len(post.inbox(post.alice)) == 1
    (row,) = run(post.db.read(spool.recipients_of, claimed.message.id))
    assert row.state is spool.State.DELIVERED
    # The claim is spent: nobody delivers a second copy with it.
    assert not run(post.delivery.deliver_here(claimed, recipient))
    assert len(post.inbox(post.alice)) == 1


def test_recipient_whose_success_is_reported_goes_through_the_queue(post: Post) -> None:
    accepted = post.send("alice@example.test", notify=("SUCCESS",))
    assert (accepted.delivered, accepted.queued) == (0, 1)
    assert post.queue() == [("alice@example.test", LOCAL, "SUCCESS")]
    assert run(post.delivery.deliver_here(*claim(post)))
    assert len(post.inbox(post.alice)) == 1


# Lists, contacts, folders --------------------------------------------------------------


def test_nested_lists_give_each_member_one_copy(post: Post) -> None:
    post.directory.add_list("inner", "alice@example.test", "outer@example.test")
    post.directory.add_list("outer", "inner@example.test", "bob@example.test", "alice@example.test")
    accepted = post.send("outer@example.test", "alice@example.test")
    assert accepted.delivered == 2
    assert len(post.inbox(post.alice)) == len(post.inbox(post.bob)) == 1
    events = run(post.db.read(lambda tx: tracking.query(tx, queue_id=accepted.queue_id, event="expanded")))
    assert [event.recipient for event in events] == ["outer@example.test"]


def test_success_is_not_reported_for_members(post: Post) -> None:
    post.directory.add_list("staff", "far@example.test")
    post.directory.add_contact("far", "far@example.net")
    post.send("staff@example.test", notify=("FAILURE", "DELAY"))
    assert post.queue() == [("far@example.net", "example.net", "FAILURE,DELAY")]


def test_a_list_whose_success_is_to_be_told_is_left_to_the_queue_runner(post: Post) -> None:
    post.directory.add_list("staff", "alice@example.test")
    assert post.send("staff@example.test", notify=("SUCCESS", "FAILURE")).delivered == 0
    assert post.queue() == [("staff@example.test", "", "SUCCESS,FAILURE")]


def test_contact_is_readdressed(post: Post) -> None:
    post.directory.add_contact("friend", "friend@example.net")
    post.send("friend@example.test")
    assert post.queue() == [("friend@example.net", "example.net", "")]


def test_contact_that_leads_back_here_is_delivered_here(post: Post) -> None:
    post.directory.add_contact("ally", "alice@example.test")
    assert post.send("ally@example.test").delivered == 1


def test_contacts_that_lead_to_each_other_end(post: Post) -> None:
    post.directory.add_contact("ping", "pong@example.test")
    post.directory.add_contact("pong", "ping@example.test")
    assert post.send("ping@example.test").queued == 1


def test_a_waiting_row_whose_address_became_a_contact_goes_on_to_its_target(post: Post) -> None:
    post.send("alice@example.test", notify=("SUCCESS", "FAILURE"), orcpt_type="rfc822", orcpt="al@x.org")
    post.directory.add_contact("alice", "alice@example.net")
    claimed, recipient = claim(post)
    assert run(post.delivery.deliver_here(claimed, recipient))
    (row,) = run(post.db.read(spool.recipients_of, claimed.message.id))
    assert row.state is spool.State.EXPANDED
    assert ("alice@example.net", "example.net", "SUCCESS,FAILURE") in post.queue()
    run(post.db.write(spool.finish, claimed.message.id))
    (message,) = run(post.db.read(spool.listed))
    assert run(post.delivery.srs.back(message.reverse_path)) == "sender@example.org"
    assert message.expires == claimed.message.expires
    assert post.references() == [1]


def test_a_member_that_has_to_wait_again_is_reported_as_the_sender_asked(post: Post) -> None:
    run(post.db.write(mailboxes.set_quota, post.alice, 10, 0))
    post.send("alice@example.test", "bob@example.test")
    account = post.person("carol")
    run(post.db.write(mailboxes.set_quota, account, 10, 0))
    post.directory.add_list("alice", "carol@example.test", "bob@example.test")
    assert run(post.delivery.deliver_here(*claim(post)))
    assert len(post.inbox(post.bob)) == 2
    assert ("carol@example.test", LOCAL, "") in post.queue()


def test_a_waiting_row_whose_address_became_a_list_reaches_every_member(post: Post) -> None:
    post.send("alice@example.test", notify=("SUCCESS",))
    accounts = [post.person(f"p{number}") for number in range(120)]
    run(post.db.write(mailboxes.set_quota, accounts[0], 10, 0))
    post.directory.add_contact("far", "far@example.net")
    members = [*(f"p{number}@example.test" for number in range(120)), "far@example.test"]
    post.directory.add_list("alice", *members)
    claimed, recipient = claim(post)
    assert run(post.delivery.deliver_here(claimed, recipient))
    run(post.delivery.drained())
    run(post.db.write(spool.finish, claimed.message.id))
    rows = post.queue()
    # Members' success is not reported, and NEVER is what is left.
    assert {row[2] for row in rows} <= {"SUCCESS", "NEVER"}
    waiting = {row[0] for row in rows if row[1] == LOCAL and row[2] == "NEVER"}
    has = {f"p{number}@example.test" for number in range(120) if post.inbox(accounts[number])}
    assert has | waiting == {f"p{number}@example.test" for number in range(120)} and not has & waiting
    assert ("far@example.net", "example.net", "NEVER") in rows


def test_public_folder_gets_a_post(post: Post) -> None:
    made = run(post.db.write(mailboxes.create, PUBLIC, "News/Today", NOW))
    post.directory.add_folder("news", "News/Today")
    assert post.send("news@example.test").delivered == 1
    assert len(post.inbox(PUBLIC, made.id)) == 1


def test_a_list_does_not_carry_a_post_where_its_sender_may_not_post(post: Post) -> None:
    made = run(post.db.write(mailboxes.create, PUBLIC, "News", NOW))
    post.directory.add_folder("news", "News")
    alice = post.person("alice")
    post.directory.add_list("all", "news@example.test", "alice@example.test")
    assert post.send("all@example.test").delivered == 2
    run(post.db.write(acl.change, PUBLIC, made.id, acl.ANYONE, "lr"))
    assert post.send("all@example.test").delivered == 1
    assert len(post.inbox(PUBLIC, made.id)) == 1 and len(post.inbox(alice)) == 2
    with pytest.raises(PostingDenied):
        post.send("news@example.test")
    assert len(post.inbox(PUBLIC, made.id)) == 1


# More than one unit --------------------------------------------------------------------


def test_more_than_100_local_recipients_are_fanned_out(post: Post) -> None:
    accounts = [post.person(f"p{number}") for number in range(230)]
    post.directory.add_list("all", *(f"p{number}@example.test" for number in range(230)))
    accepted = post.send("all@example.test")
    assert (accepted.delivered, accepted.queued) == (100, 130)
    assert post.directory.rests == 4, "others have had their turns"
    run(post.delivery.drained())
    assert all(len(post.inbox(account)) == 1 for account in accounts)
    assert post.inbox(accounts[-1])[0].prefix.endswith(b"Delivered-To: p229@example.test\r\n")
    assert run(post.db.read(fanout.pending)) == []
    assert post.references() == [230]


def test_full_mailbox_of_a_fan_out_waits_in_the_queue(post: Post) -> None:
    accounts = [post.person(f"p{number}") for number in range(120)]
    run(post.db.write(mailboxes.set_quota, accounts[-1], 10, 0))
    post.directory.add_list("all", *(f"p{number}@example.test" for number in range(120)))
    post.send("all@example.test")
    run(post.delivery.drained())
    assert post.queue() == [("p119@example.test", LOCAL, "")]


def test_what_is_to_be_reported_of_a_fan_out_is_not_forgotten(post: Post) -> None:
    accounts = [post.person(f"p{number}") for number in range(120)]
    run(post.db.write(mailboxes.set_quota, accounts[-1], 10, 0))
    post.directory.add_list("all", *(f"p{number}@example.test" for number in range(120)))
    post.send("all@example.test", notify=("NEVER",))
    run(post.delivery.drained())
    assert ("p119@example.test", LOCAL, "NEVER") in post.queue()


def test_a_message_to_very_many_is_some_messages_of_the_queue(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enqueuing, "LONGEST", 10)
    to = [Addressee(f"p{number}@d{number % 3}.test") for number in range(25)]
    accepted = run(post.delivery.accept(Envelope("alice@example.test", tuple(to)), content("hello")))
    found = {
        each.queue_id: run(post.db.read(spool.recipients_of, each.id))
        for each in run(post.db.read(spool.listed))
    }
    assert list(found) == [accepted.queue_id, f"{accepted.queue_id}-1", f"{accepted.queue_id}-2"]
    assert [len(some) for some in found.values()] == [10, 10, 5]
    rows = [each for some in found.values() for each in some]
    assert {each.address for each in rows} == {each.address for each in to}
    # Who can go in one transaction is in one message, as far as that goes, and has one turn.
    assert [each.domain for each in rows] == sorted(each.domain for each in rows)
    assert len({each.turn for each in rows}) == 3
    assert post.references() == [3]


def test_queue_ids_never_repeat(post: Post) -> None:
    ids = [post.delivery.new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(8 <= len(each) <= 20 and each.isalnum() and each == each.upper() for each in ids)


# Size limits of recipients ---------------------------------------------------------------


def test_a_message_too_large_for_its_only_recipient_is_refused(post: Post) -> None:
    post.directory.largest[post.alice] = 100
    with pytest.raises(TooLargeHere):
        post.send("alice@example.test", body="x" * 200)
    assert post.references() == []


def test_the_others_have_it_and_the_sender_hears_of_the_one(post: Post) -> None:
    post.directory.largest[post.alice] = 100
    post.send("alice@example.test", "bob@example.test", body="x" * 200)
    assert len(post.inbox(post.bob)) == 1
    assert post.inbox(post.alice) == []
    assert post.queue() == [("alice@example.test", LOCAL, "")]
