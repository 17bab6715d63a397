"""What is found out about peers, in the message and in tracking."""

from __future__ import annotations

from typing import Any

import pytest

from imsd.mail.names import LookupFailed
from imsd.store import tracking
from protocols.smtp.interfaces import Role
from tests.sessions.test_smtp import MESSAGE, Site, site
from tests.support.stores import run

__all__ = ["site"]


class Answers:
    async def ask(self, name: str, kind: str) -> tuple[str, ...]:
        if kind == "PTR" and name.startswith("9."):
            raise LookupFailed
        return {"PTR": ("mail.example.org",), "A": ("192.0.2.7", "192.0.2.9")}[kind]


def looking_up(site: Site) -> None:
    make = site.door

    def door(role: Role = Role.MX) -> Any:
        made: Any = make(role)
        made.lookups = Answers()
        return made

    site.door = door  # type: ignore[method-assign]


@pytest.mark.parametrize(("host", "name"), [("192.0.2.7", "mail.example.org"), ("192.0.2.9", "")])
def test_name_of_the_peer_stands_in_received_and_in_tracking(site: Site, host: str, name: str) -> None:
    looking_up(site)
    talk = site.talk(host=host)
    talk.say(b"EHLO out.example")
    assert talk.send(b"x@example.org", MESSAGE, b"alice@example.test").startswith("250 ")
    (row,) = site.inbox(site.alice)
    shown = f"{name} [{host}]" if name else f"[{host}]"
    assert f"Received: from out.example ({shown})".encode() in site.text(row)
    (event,) = run(site.db.read(lambda tx: tracking.query(tx, event="accepted")))
    assert event.reason == f"ESMTP, out.example{', ' * bool(name)}{name}"
    site.configure(smtp__reverse_dns="false")
    session: Any = site.talk(host=host).server._session
    assert session.own.facts is None


def test_who_does_not_wait_is_tracked_and_sent_away_unless_trusted(site: Site) -> None:
    burst = b"EHLO out.example\r\nMAIL FROM:<x@example.org>\r\n"
    talk = site.talk(host="192.0.2.7")
    talk.server.dataReceived(burst)
    assert talk.heard(1).startswith("554 5.5.0 ")
    talk.server.connectionLost()
    run(site.db.write(lambda unit: None))
    (event,) = run(site.db.read(lambda tx: tracking.query(tx, event="refused")))
    said = r"'MAIL FROM:<x@example.org>\r\n'"
    assert (event.peer, event.reason) == ("192.0.2.7", f"did not wait for our answer, but said: {said}")
    for host in ("127.0.0.1", "192.0.2.8"):
        talk = site.talk(host=host)
        talk.server.dataReceived(burst)
        assert talk.heard(2).startswith("250-")
        site.configure(smtp__strict_pipelining="false")


def test_greeting_is_late_for_those_who_are_not_trusted(site: Site) -> None:
    site.configure(smtp__greeting_delay="2")
    # Greeted at once, or this would wait for ever.
    site.talk(host="127.0.0.1")
    submission = site.submission()
    assert submission.say(b"NOOP").startswith("250 ")
