"""Hosts that nobody knows: greylisting and lists of hosts, on the wire and over a real store."""

from __future__ import annotations

import json
from typing import Any

import pytest

from imsd.errors import StoreUnavailable
from imsd.mail import greylisting
from imsd.mail.greylisting import Greylist
from imsd.mail.names import LookupFailed
from imsd.store import greylist
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import MESSAGE, Site, Talk, site
from tests.support.stores import run

__all__ = ["site"]

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Time:
    """The greylist's clock."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_700_000_000_000_000
        patch.setattr(greylisting, "now", lambda: self.now)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    return Time(monkeypatch)


def with_parts(site: Site, **parts: Any) -> None:
    make = site.door

    def door(role: Role = Role.MX) -> Any:
        made: Any = make(role)
        for name, part in parts.items():
            setattr(made, name, part)
        return made

    site.door = door  # type: ignore[method-assign]


def grey(site: Site, **settings: object) -> None:
    site.configure(
        ims__greylist__enabled="true",
        **{f"ims__greylist__{key}": json.dumps(value) for key, value in settings.items()},
    )
    with_parts(site, greylist=Greylist(site.db, site.settings))


def try_from(
    site: Site, host: str, sender: bytes = b"x@example.org", to: bytes = b"alice@example.test"
) -> str:
    talk = site.talk(host=host)
    talk.say(b"EHLO out.example", b"MAIL FROM:<" + sender + b">")
    reply = talk.say(b"RCPT TO:<" + to + b">")
    talk.server.connectionLost()
    return reply


def test_who_comes_again_in_time_is_known(site: Site, time: Time) -> None:
    grey(site)
    assert try_from(site, "192.0.2.7") == "451 4.7.1 Greylisted, try again in 300 seconds\r\n"
    time.now += 4 * MINUTE
    assert try_from(site, "192.0.2.7") == "451 4.7.1 Greylisted, try again in 60 seconds\r\n"
    time.now += 2 * MINUTE
    # From a neighbour, as large senders do.
    assert try_from(site, "192.0.2.99", b"X@example.org").startswith("250 ")
    assert try_from(site, "192.0.2.7").startswith("250 ")
    # Everything else is another triplet.
    assert try_from(site, "192.0.3.7").startswith("451 ")
    assert try_from(site, "192.0.2.7", b"y@example.org").startswith("451 ")
    assert try_from(site, "192.0.2.7", to=b"bob@example.test").startswith("451 ")
    assert try_from(site, "192.0.2.7", b"").startswith("451 ")


def test_second_try_that_comes_too_late_is_a_first(site: Site, time: Time) -> None:
    grey(site, window_hours=4)
    assert try_from(site, "192.0.2.7").startswith("451 ")
    time.now += 5 * HOUR
    assert try_from(site, "192.0.2.7") == "451 4.7.1 Greylisted, try again in 300 seconds\r\n"


def test_who_is_known_stays_known_while_he_writes_and_is_forgotten_after(site: Site, time: Time) -> None:
    grey(site, keep_days=10)
    try_from(site, "192.0.2.7")
    time.now += HOUR
    for _ in range(4):
        assert try_from(site, "192.0.2.7").startswith("250 ")
        time.now += 8 * DAY
    time.now += 4 * DAY
    assert try_from(site, "192.0.2.7").startswith("451 ")
    while run(site.db.write(greylist.expire, time.now + 30 * DAY)):
        pass
    assert run(site.db.read(greylist.count)) == 0


def test_network_whose_mail_came_again_is_known_as_a_whole(site: Site, time: Time) -> None:
    grey(site, network_passes=2)
    for sender in (b"a@x.example", b"b@x.example"):
        try_from(site, "2001:db8::1", sender)
    time.now += HOUR
    assert try_from(site, "2001:db8::1", b"a@x.example").startswith("250 ")
    assert try_from(site, "2001:db8::1", b"c@x.example").startswith("451 ")
    assert try_from(site, "2001:db8::2", b"b@x.example").startswith("250 ")
    assert try_from(site, "2001:db8::3", b"new@x.example").startswith("250 ")
    assert try_from(site, "2001:db8:0:1::3", b"new@x.example").startswith("451 ")


def test_who_is_asked_nothing(site: Site, time: Time) -> None:
    grey(site, exempt=["203.0.113.0/24"])
    site.configure(ims__accept__hosts=json.dumps([{"network": "198.51.100.1", "relay_server": True}]))
    for host in ("127.0.0.1", "203.0.113.9", "198.51.100.1"):
        assert try_from(site, host).startswith("250 ")
    submission = site.submission()
    submission.say(b"MAIL FROM:<alice@example.test>")
    assert submission.say(b"RCPT TO:<bob@example.test>").startswith("250 ")
    # Who is nobody is told so, and no row is written for him.
    assert try_from(site, "192.0.2.7", to=b"nobody@example.test").startswith("550 5.1.1 ")
    assert run(site.db.read(greylist.count)) == 0
    site.configure(ims__greylist__enabled="false")
    assert try_from(site, "192.0.2.7").startswith("250 ")


def test_it_fails_open(site: Site, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    grey(site)
    monkeypatch.setattr(greylisting, "MOST", 1)
    monkeypatch.setattr(greylisting, "RECOUNT", 0)
    assert try_from(site, "192.0.2.7").startswith("451 ")
    assert try_from(site, "192.0.3.7").startswith("250 ")

    async def down(*_: object) -> int:
        raise StoreUnavailable

    monkeypatch.setattr(Greylist, "_left", down)
    assert try_from(site, "192.0.2.7").startswith("250 ")


# Lists of hosts ------------------------------------------------------------------------------


class Lists:
    """zone to answers, None for one that is dead."""

    def __init__(self, **zones: tuple[str, ...] | None) -> None:
        self.zones = {name.replace("_", "."): answers for name, answers in zones.items()}
        self.asked: list[str] = []

    async def ask(self, name: str, kind: str, seconds: float = 2) -> tuple[str, ...]:
        self.asked.append(name)
        for zone, answers in self.zones.items():
            if name == f"7.2.0.192.{zone}":
                if answers is None:
                    raise LookupFailed
                return answers
        return ()


def lists(site: Site, found: Lists, *rows: dict[str, object], **settings: object) -> None:
    site.configure(
        ims__dnsbl__lists=json.dumps(rows),
        **{f"ims__dnsbl__{key}": json.dumps(value) for key, value in settings.items()},
    )
    with_parts(site, lookups=found)


BAD, GOOD, DEAD = {"zone": "bad.example"}, {"zone": "good.example", "weight": -2}, {"zone": "dead.example"}


@pytest.mark.parametrize(
    ("rows", "threshold", "refused"),
    [
        ([BAD], 1, True),
        ([BAD], 2, False),
        ([{**BAD, "weight": 2}], 2, True),
        ([{**BAD, "answers": ["127.0.0.9"]}], 1, False),
        ([BAD, GOOD], 1, False),
        ([BAD, DEAD], 1, True),
        ([DEAD], 1, False),
        ([{"zone": "confused.example"}], 1, False),
        ([BAD, {"zone": "worse.example"}], 2, True),
    ],
)
def test_weights_decide(site: Site, rows: list[dict[str, object]], threshold: int, refused: bool) -> None:
    found = Lists(
        bad_example=("127.0.0.2",), worse_example=("127.0.0.3",), good_example=("127.0.0.1",),
        dead_example=None, confused_example=("127.255.255.254",),
    )  # fmt: skip
    lists(site, found, *rows, threshold=threshold)
    reply = try_from(site, "192.0.2.7")
    assert reply.startswith("550 5.7.1 Your address is on bad.example" if refused else "250 ")
    assert try_from(site, "192.0.2.8").startswith("250 ")
    # Who is listed by mistake must be able to say so.
    assert try_from(site, "192.0.2.7", to=b"postmaster@example.test").startswith("250 ")


def test_nobody_who_is_trusted_is_looked_up(site: Site) -> None:
    found = Lists(bad_example=("127.0.0.2",))
    lists(site, found, BAD, exempt=["192.0.2.0/24"])
    site.configure(smtp__reverse_dns="false")
    assert try_from(site, "192.0.2.7").startswith("250 ")
    assert try_from(site, "127.0.0.1").startswith("250 ")
    site.submission()
    assert found.asked == []


def tagged(talk: Talk) -> str:
    talk.say(b"EHLO out.example")
    return talk.send(b"x@example.org", b"X-Listed: none of it\r\n" + MESSAGE, b"alice@example.test")


def test_tag(site: Site) -> None:
    found = Lists(bad_example=("127.0.0.2",), worse_example=("127.0.0.3",))
    lists(site, found, BAD, {"zone": "worse.example"}, action="tag")
    assert tagged(site.talk(host="192.0.2.7")).startswith("250 ")
    (row,) = site.inbox(site.alice)
    text = site.text(row)
    assert text.count(b"X-Listed:") == 1
    assert b"\r\nX-Listed: bad.example, worse.example\r\n" in text
