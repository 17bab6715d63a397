"""LMTP over a real store: each recipient has the message, or does not, by himself (RFC 2033)."""

from __future__ import annotations

import json

import pytest

from imsd.store import mailboxes, spool, tracking
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import MESSAGE, Site, Talk, site
from tests.support.stores import run

__all__ = ["site"]


def begun(site: Site, *recipients: bytes) -> Talk:
    talk = site.talk(Role.LMTP)
    talk.say(b"LHLO filter.example", b"MAIL FROM:<x@example.org>")
    for each in recipients:
        assert talk.say(b"RCPT TO:<" + each + b">").startswith("250 ")
    talk.say(b"DATA")
    return talk


def content(talk: Talk, data: bytes, replies: int) -> list[str]:
    talk.server.dataReceived(data + b"\r\n.\r\n")
    return talk.heard(replies).splitlines()


@pytest.mark.parametrize("size", [10, 300_000])
def test_who_has_room_has_it_and_who_has_none_is_named(site: Site, size: int) -> None:
    run(site.db.write(mailboxes.set_quota, site.bob.account, 10, 0))
    talk = begun(site, b"alice@example.test", b"bob@example.test", b"postmaster@example.test")
    body = MESSAGE + b"\r\nend\r\n" + (b"y" * 70 + b"\r\n") * (size // 72)
    replies = content(talk, body, 3)
    assert [line[:3] for line in replies] == ["250", "552", "250"]
    (row,) = site.inbox(site.alice)
    assert b"with LMTP id" in site.text(row)
    assert site.text(row).endswith(body[-6:] + b"\r\n")
    assert site.inbox(site.bob) == []
    # Nothing waits that was refused.
    assert run(site.db.read(spool.listed)) == []
    run(site.db.write(lambda unit: None))
    events = run(site.db.read(lambda tx: tracking.query(tx, event="refused")))
    assert [event.recipient for event in events] == ["bob@example.test"]
    assert [line[:3] for line in content(begun(site, b"bob@example.test"), body, 1)] == ["552"]


def test_nothing_is_queued_for_elsewhere_unless_it_is_trusted(site: Site) -> None:
    site.configure(routing__restrictions__allow='["127.0.0.1"]')
    talk = site.talk(Role.LMTP)
    talk.say(b"LHLO filter.example", b"MAIL FROM:<x@example.org>")
    assert talk.say(b"RCPT TO:<y@example.net>").startswith("550 5.7.1 ")
    site.configure(smtp__lmtp_relay="true", routing__restrictions__allow="[]")
    assert [line[:3] for line in content(begun(site, b"y@example.net"), MESSAGE, 1)] == ["250"]
    assert len(run(site.db.read(spool.listed))) == 1


def test_filter_and_rules_of_port_25(site: Site) -> None:
    site.configure(
        ims__accept__policy='"auth+tls"',
        ims__filter__senders=json.dumps(["@example.org"]),
        ims__filter__action='"turf"',
    )
    talk = begun(site, b"alice@example.test", b"bob@example.test")
    assert [line[:3] for line in content(talk, MESSAGE, 2)] == ["250", "250"]
    assert len(list((site.db.home / "turf").iterdir())) == 1
    assert site.inbox(site.alice) == []
