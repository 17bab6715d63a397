"""Three servers, a name server, and wires between them that are cut: what is delivered where, how often, and
what each of the three tells of it."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.clients import poll, subjects, texts
from tests.support.cutting import Wire
from tests.support.nameserver import NameServer
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

NAMES = ("one", "two", "three")
PEOPLE = {"one": "ann", "two": "bea", "three": "cid"}


class Lab:
    """A server of each name, its domain NAME.test, one of its people, and the wire to its port 25."""

    def __init__(self, make: Callable[..., RunningServer]) -> None:
        self.names = NameServer()
        self.servers = {name: make(start=False) for name in NAMES}
        self.wires: dict[str, Wire] = {}
        for name, server in self.servers.items():
            server.start()
            self.wires[name] = Wire(server.port("smtp"))
            # Nobody listens at the better exchanger.
            self.names.zone[f"{name}.test", "MX"] = [f"10 away.{name}.test.", f"20 mx.{name}.test."]
            self.names.zone[f"away.{name}.test", "A"] = ["127.0.0.99"]
            self.names.zone[f"mx.{name}.test", "A"] = ["127.0.0.1"]
        for name, server in self.servers.items():
            self.set(
                name,
                addressing__domains=[f"{name}.test"],
                ims__delivery__nameservers=[self.names.address],
                ims__delivery__loopback_check=False,
                ims__domains=[
                    {"domain": f"{other}.test", "port": wire.port}
                    for other, wire in self.wires.items()
                    if other != name
                ],
                ims__retry__profile="intervals",
                ims__retry__intervals=[0.0003],
            )
            server.ask("user.add", address=f"{PEOPLE[name]}@{name}.test", password=PASSWORD)

    def set(self, name: str, **values: Any) -> None:
        for key, value in values.items():
            self.servers[name].ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))

    def send(self, subject: str, *to: str, options: tuple[str, ...] = (), text: str = "hi") -> str:
        """Ann at one writes; the queue id."""
        server = self.servers["one"]
        with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
            smtp.starttls(context=server.tls())
            smtp.login("ann@one.test", PASSWORD)
            smtp.ehlo()
            smtp.mail("ann@one.test")
            for each in to:
                assert smtp.rcpt(each, options)[0] == 250
            code, said = smtp.data(f"From: ann@one.test\r\nSubject: {subject}\r\n\r\n{text}\r\n")
        found = re.search(rb"queued as (\w+)", said)
        assert code == 250 and found is not None
        return found[1].decode()

    def count(self, name: str, subject: str) -> int:
        """Messages of the subject in the mailbox of the one person there."""
        return subjects(self.servers[name], f"{PEOPLE[name]}@{name}.test").count(subject)

    def quiet(self) -> None:
        """Nothing waits anywhere."""
        poll(lambda: not any(server.ask("queue.list") for server in self.servers.values()), 40)

    def events(self, name: str, what: str) -> list[tuple[str, str]]:
        """what: a queue id, or an address."""
        return [(one["event"], one["recipient"]) for one in self.servers[name].ask("track", what=what)]


@pytest.fixture(scope="module")
def lab(make_server: Callable[..., RunningServer]) -> Iterator[Lab]:
    one = Lab(make_server)
    yield one
    one.names.close()
    for wire in one.wires.values():
        wire.close()
    for server in one.servers.values():
        server.stop()
        assert "Traceback" not in server.log, server.log[-3000:]


def test_a_list_across_three_servers_whose_wires_are_cut(lab: Lab) -> None:
    two = lab.servers["two"]
    two.ask("contact.add", address="cid.there@two.test", target="cid@three.test", name="Cid")
    two.ask("contact.add", address="ann.there@two.test", target="ann@one.test", name="Ann")
    members = ["bea@two.test", "cid.there@two.test", "ann.there@two.test"]
    two.ask("group.add", address="all@two.test", name="All", members=members)
    # In the middle of the greeting, of the header, of the content; and twice nobody answers.
    lab.wires["two"].cuts = [10, 400, 30_000]
    lab.wires["three"].refused = 2
    lab.wires["one"].cuts = [30_000]
    queue_id = lab.send("for all", "all@two.test", text="line of text\r\n" * 10_000)
    lab.quiet()
    assert [lab.count(name, "for all") for name in NAMES] == [1, 1, 1]
    events = lab.events("one", queue_id)
    assert events.count(("relayed", "all@two.test")) == 1
    assert events.count(("deferred", "all@two.test")) >= 2
    assert lab.events("two", "bea@two.test").count(("delivered", "bea@two.test")) == 1
    for address in ("cid@three.test", "ann@one.test"):
        assert lab.events("two", address).count(("relayed", address)) == 1
        assert ("deferred", address) in lab.events("two", address)
    assert lab.events("three", "cid@three.test").count(("delivered", "cid@three.test")) == 1


def test_success_and_failure_come_back_through_the_server_between(lab: Lab) -> None:
    two = lab.servers["two"]
    for alias, target in (("good", "cid@three.test"), ("gone", "nobody@three.test")):
        two.ask("contact.add", address=f"{alias}@two.test", target=target, name=alias)
    asked = ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;friend@first.test")
    lab.send("that arrives", "good@two.test", options=asked)
    lab.send("that does not", "gone@two.test", options=asked)
    poll(lambda: lab.count("one", "Delivered: that arrives"))
    poll(lambda: lab.count("one", "Not delivered: that does not"))
    lab.quiet()
    found = [
        text.decode()
        for text in texts(lab.servers["one"], "ann@one.test")
        if b"Subject: Delivered: that arrives" in text or b"Subject: Not delivered: that does not" in text
    ]
    assert len(found) == 2, "each once"
    for report in found:
        assert "\r\nOriginal-Recipient: rfc822; friend@first.test\r\n" in report
        assert "\r\nReturn-Path: <>\r\n" in f"\r\n{report}"
    assert any("\r\nStatus: 5.1.1\r\n" in each for each in found)


def test_a_server_that_takes_strangers_at_the_second_time(lab: Lab) -> None:
    greylist = {"enabled": True, "delay_seconds": 1, "exempt": []}
    lab.set("three", admission__loopback_exempt=False)
    lab.set("three", **{f"ims__greylist__{key}": value for key, value in greylist.items()})
    queue_id = lab.send("from a stranger", "cid@three.test")
    lab.quiet()
    lab.set("three", ims__greylist__enabled=False)
    assert lab.count("three", "from a stranger") == 1
    events = lab.events("one", queue_id)
    assert ("deferred", "cid@three.test") in events and events.count(("relayed", "cid@three.test")) == 1
    assert ("refused", "cid@three.test") in lab.events("three", "cid@three.test")
