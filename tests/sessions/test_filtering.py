"""The message filter (ims_spec 3.4.4) on the wire: reject, delete, turf."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imsd.mail import pickup
from imsd.store import tracking
from tests.sessions.test_smtp import MESSAGE, Site, site
from tests.support.stores import run

__all__ = ["site"]


def turfed(site: Site) -> list[Path]:
    return sorted((site.db.home / "turf").glob("*"))


def filtered(site: Site) -> list[tuple[str, str, str]]:
    run(site.db.write(lambda unit: None))
    events = run(site.db.read(lambda tx: tracking.query(tx, event="filtered")))
    return [(event.sender, event.recipient, event.reason) for event in events]


def set_filter(site: Site, action: str, *senders: str, **more: str) -> None:
    site.configure(ims__filter__action=json.dumps(action), ims__filter__senders=json.dumps(senders), **more)


@pytest.mark.parametrize(
    ("sender", "content", "at"),
    [
        (b"spam@bad.example", MESSAGE, "MAIL"),
        (b"spam@below.bad.example", MESSAGE, "MAIL"),
        (b"x@good.example", b"From: Someone <a@BAD.example>\r\n\r\nx", "."),
        (b"x@good.example", b"From: a@good.example\r\nSender: b@bad.example\r\n\r\nx", "."),
        (b"x@good.example", b"From: a@good.example, c@bad.example\r\n\r\nx", "."),
        (b"", b"From: MAILER-DAEMON@bad.example\r\n\r\nx", "."),
        (b"x@good.example", b"From: a@good.example\r\nReply-To: b@bad.example\r\n\r\nx", ""),
        (b"", b"From: a@good.example\r\n\r\nx", ""),
        (b"x@good.example", b"Subject: no From\r\n\r\nx", ""),
    ],
)
def test_reject_answers_as_soon_as_the_originator_is_known(
    site: Site, sender: bytes, content: bytes, at: str
) -> None:
    set_filter(site, "reject", "@bad.example")
    talk = site.talk(host="192.0.2.7")
    talk.say(b"EHLO out.example")
    reply = talk.say(b"MAIL FROM:<" + sender + b">")
    assert (reply.startswith("550 5.7.1 ")) == (at == "MAIL")
    if at != "MAIL":
        talk.say(b"RCPT TO:<alice@example.test>", b"DATA")
        assert talk.say(content + b"\r\n.").startswith("550 5.7.1 " if at else "250 ")
    assert len(site.inbox(site.alice)) == (not at)
    # The next message on the connection is one of its own.
    assert talk.send(b"x@good.example", MESSAGE, b"bob@example.test").startswith("250 ")


@pytest.mark.parametrize(
    "content", [b"Subject: s\r\n\r\nx", b"From:\r\n\r\nx", b"From: <>\r\n\r\nx", b"no header"]
)
def test_dot_is_an_empty_from_and_not_the_null_reverse_path(site: Site, content: bytes) -> None:
    set_filter(site, "reject", ".")
    talk = site.talk()
    talk.say(b"EHLO out.example")
    assert talk.send(b"x@example.org", content, b"alice@example.test").startswith("550 5.7.1 ")
    assert talk.send(b"", MESSAGE, b"alice@example.test").startswith("250 ")


@pytest.mark.parametrize("size", [10, 300_000])
def test_turf_keeps_message_and_envelope_whole_and_the_sender_learns_nothing(site: Site, size: int) -> None:
    set_filter(site, "turf", "spammer")
    talk = site.talk(host="192.0.2.7")
    talk.say(b"EHLO out.example")
    body = (b"y" * 70 + b"\r\n") * (size // 72) + b"end"
    content = b"From: a@good.example\r\nSubject: s\r\n\r\n" + body
    reply = talk.send(b"spammer@x.example", content, b"alice@example.test", b"bob@example.test")
    assert reply.startswith("250 2.0.0 Ok: queued as ")
    queue_id = reply.split()[-1]
    (file,) = turfed(site)
    assert (file.name, file.stat().st_mode & 0o777) == (f"{queue_id}.eml", 0o600)
    data = file.read_bytes()
    dropped = pickup.parse(data)
    assert dropped.reverse_path == "spammer@x.example"
    assert [str(path) for path in dropped.recipients] == ["alice@example.test", "bob@example.test"]
    assert dropped.content.startswith(b"X-Filtered: spammer; 192.0.2.7 ESMTP, out.example;\r\n\t")
    assert dropped.content.endswith(content + b"\r\n")
    assert b"Received: from out.example ([192.0.2.7])" in dropped.content
    assert site.inbox(site.alice) == site.inbox(site.bob) == []
    reason = "ims.filter.senders spammer: turfed"
    assert filtered(site) == [
        ("spammer@x.example", "alice@example.test", reason),
        ("spammer@x.example", "bob@example.test", reason),
    ]


def test_turf_folder_that_is_full_refuses_for_now(site: Site) -> None:
    set_filter(site, "turf", "@bad.example", ims__filter__turf_mb="1")
    talk = site.talk()
    talk.say(b"EHLO out.example")
    large = MESSAGE + b"\r\n" + (b"z" * 98 + b"\r\n") * 6_000
    assert talk.send(b"a@bad.example", large, b"alice@example.test").startswith("250 ")
    assert talk.send(b"a@bad.example", large, b"alice@example.test").startswith("452 4.3.1 ")
    assert talk.send(b"a@bad.example", MESSAGE, b"alice@example.test").startswith("250 ")
    assert len(turfed(site)) == 2


def test_delete_keeps_nothing(site: Site) -> None:
    set_filter(site, "delete", "@[192.0.2.7]")
    talk = site.talk(host="192.0.2.7")
    talk.say(b"EHLO out.example")
    assert talk.send(b"a@b.example", MESSAGE, b"alice@example.test").startswith("250 2.0.0 Ok: queued as ")
    assert talk.send(b"", b"Subject: s\r\n\r\nx", b"alice@example.test").startswith("250 ")
    assert turfed(site) == site.inbox(site.alice) == []
    assert filtered(site)[0] == (
        "a@b.example",
        "alice@example.test",
        "ims.filter.senders @[192.0.2.7]: deleted",
    )
    other = site.talk(host="192.0.2.8")
    other.say(b"EHLO out.example")
    assert other.send(b"a@b.example", MESSAGE, b"bob@example.test").startswith("250 ")
    assert len(site.inbox(site.bob)) == 1


def test_who_has_logged_in_is_not_filtered(site: Site) -> None:
    set_filter(site, "reject", "@example.test")
    assert (
        site.submission()
        .send(b"alice@example.test", b"Subject: s\r\n\r\nx", b"bob@example.test")
        .startswith("250 ")
    )
    talk = site.talk()
    talk.say(b"EHLO out.example")
    assert talk.send(b"alice@example.test", MESSAGE, b"bob@example.test").startswith("550 5.7.1 ")
