"""The queue on real mail: one server, servers elsewhere that say what a test wants."""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.clients import poll, subjects
from tests.support.remote import Remote
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


@dataclass
class Lab:
    """here: the server, with bob. near, far: servers for near.test and far.test."""

    here: RunningServer
    near: Remote
    far: Remote

    def set(self, **values: Any) -> None:
        for key, value in values.items():
            self.here.ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))

    def submit(self, subject: str, *to: str, options: tuple[str, ...] = (), header: str = "") -> bytes:
        """bob submits; the reply to the content."""
        sender = self.here.address("bob")
        with smtplib.SMTP("localhost", self.here.port("submission"), timeout=20) as smtp:
            smtp.starttls(context=self.here.tls())
            smtp.login(sender, PASSWORD)
            code, text = smtp.mail(sender, list(options))
            assert code == 250, text
            for one in to:
                assert smtp.rcpt(one)[0] == 250
            code, text = smtp.data(f"From: {sender}\r\nSubject: {subject}\r\n{header}\r\nhi\r\n")
            assert code == 250, text
            return text

    def queued(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.here.ask("queue.list")
        return rows


@pytest.fixture(scope="module")
def servers(make_server: Callable[..., RunningServer]) -> Iterator[Lab]:
    lab = Lab(make_server(), Remote(), Remote())
    lab.here.add_user("bob")
    yield lab
    lab.here.stop()
    lab.near.close()
    lab.far.close()


@pytest.fixture
def lab(servers: Lab) -> Iterator[Lab]:
    """Settings and queue of a test are gone after it."""
    before = servers.here.ask("settings.export")
    for remote in (servers.near, servers.far):
        remote.taken.clear()
        remote.rcpt, remote.end = "250 2.1.5 fine", "250 2.0.0 taken"
        remote.offered = ["PIPELINING", "8BITMIME", "DSN", "SIZE 50000000"]
    routes = [("near.test", servers.near), ("far.test", servers.far)]
    servers.set(
        ims__domains=[{"domain": name, "route": f"host:127.0.0.1:{one.port}"} for name, one in routes]
    )
    yield servers
    rows = {row["id"] for row in servers.queued()}
    servers.here.ask("queue.delete", messages=sorted(rows), ndr=False)
    servers.here.ask("settings.import", text=before)


def got(remote: Remote) -> list[str]:
    """Subjects in the order in which they came."""
    lines = [line for each in remote.taken for line in each.data.splitlines()]
    return [line[9:].decode() for line in lines if line.startswith(b"Subject: ")]


def test_urgent_mail_leaves_first(lab: Lab) -> None:
    lab.set(queue__paused=True, ims__limits__per_host=1)
    lab.submit("plain", "x@near.test")
    lab.submit("late", "x@near.test", header="Importance: low\r\n")
    lab.submit("quick", "x@near.test", header="X-Priority: 1 (Highest)\r\n")
    lab.submit("quickest", "x@near.test", options=("MT-PRIORITY=6",))
    lab.set(queue__paused=False)
    poll(lambda: len(lab.near.taken) == 4)
    assert got(lab.near) == ["quick", "quickest", "plain", "late"]


def test_a_priority_is_relayed_and_no_stranger_raises_one(lab: Lab) -> None:
    lab.near.offered.append("MT-PRIORITY MIXER")
    lab.submit("asked", "x@near.test", "x@far.test", options=("MT-PRIORITY=4",))
    poll(lambda: lab.near.taken and lab.far.taken)
    assert lab.near.taken[0].mail.endswith(" MT-PRIORITY=4")
    assert lab.near.taken[0].data.startswith(b"Received:")
    assert lab.far.taken[0].data.startswith(b"MT-Priority: 4\r\nReceived:")
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as smtp:
        smtp.ehlo("stranger.test")
        smtp.mail("x@near.test", ["MT-PRIORITY=9"])
        smtp.rcpt(lab.here.address("bob"))
        code, text = smtp.data("Subject: raised\r\nMT-Priority: 9\r\n\r\nhi\r\n")
    assert (code, text[:9]) == (250, b"2.3.6 0 i")


def test_mail_that_is_kept_back_goes_at_its_time(lab: Lab) -> None:
    lab.submit("held", "x@near.test", lab.here.address("bob"), options=("HOLDFOR=3",))
    assert len(lab.queued()) == 2
    time.sleep(1)
    assert not lab.near.taken and "held" not in subjects(lab.here, "bob")
    poll(lambda: got(lab.near) == ["held"] and "held" in subjects(lab.here, "bob"))


def test_a_deadline_is_kept(lab: Lab) -> None:
    lab.near.rcpt = "450 4.2.1 later"
    lab.near.offered.append("DELIVERBY")
    lab.submit("in time", "x@near.test", options=("BY=2;R",))
    poll(lambda: "Not delivered: in time" in " ".join(subjects(lab.here, "bob")) or not lab.queued())
    assert not lab.queued() and not lab.near.taken
