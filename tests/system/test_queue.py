"""The queue on real mail: one server, servers elsewhere that say what a test wants."""

from __future__ import annotations

import json
import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from imsd.errors import NoSuchEntry
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
    for queue_id in {row["id"] for row in servers.queued()}:
        with suppress(NoSuchEntry):  # It was being sent.
            servers.here.ask("queue.delete", messages=[queue_id], ndr=False)
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


def test_modes_change_while_it_runs_and_draining_waits_for_the_old(lab: Lab) -> None:
    lab.near.rcpt = "450 4.2.1 later"
    lab.set(ims__retry__profile="intervals", ims__retry__intervals=[0.001])
    lab.submit("old", "x@near.test")
    poll(lambda: lab.queued()[0]["attempts"])
    assert lab.here.imsctl("drain", "--wait", "--timeout", "1", check=False).returncode == 1
    with smtplib.SMTP(timeout=20) as smtp:
        assert smtp.connect("127.0.0.1", lab.here.port("smtp"))[0] == 421
    lab.submit("new", "x@far.test")
    lab.submit("among us", lab.here.address("bob"))
    poll(lambda: "among us" in subjects(lab.here, "bob"))
    status = lab.here.ask("status")["mail"]
    assert status["transfer_mode"] == "none" and "none" in status["warnings"][0]
    lab.near.rcpt = "250 2.1.5 fine"
    told = lab.here.imsctl("drain", "--wait", "--timeout", "30").stdout
    assert told == "0 recipients are left, 1 are kept\n"
    assert got(lab.near) == ["old"] and not lab.far.taken
    (row,) = lab.queued()
    assert (row["queue"], row["state"], row["attempts"]) == ("outbound-conversion", "parked", 0)
    lab.here.imsctl("drain", "--end")
    poll(lambda: got(lab.far) == ["new"])
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as smtp:
        assert smtp.ehlo()[0] == 250


def test_mail_is_held_and_released_by_what_it_is(lab: Lab) -> None:
    lab.near.rcpt = lab.far.rcpt = "450 4.2.1 later"
    lab.submit("one", "x@near.test", "x@far.test")
    lab.submit("two", "y@far.test")
    poll(lambda: all(row["attempts"] == 1 and row["state"] == "waiting" for row in lab.queued()))
    assert lab.here.imsctl("queue", "hold", "--domain", "far.test").stdout == "2 recipients are held\n"
    lab.near.rcpt = lab.far.rcpt = "250 2.1.5 fine"
    assert lab.here.imsctl("queue", "retry").stdout == "1 recipients are due now\n"
    poll(lambda: lab.near.taken)
    poll(lambda: len(lab.queued()) == 2)
    rows = lab.queued()
    assert {row["recipient"] for row in rows} == {"x@far.test", "y@far.test"}
    assert {row["state"] for row in rows} == {"held"}
    assert {row["queue"] for row in rows} == {"outbound-conversion"}
    assert all(row["last_error"].startswith("450 4.2.1 later") for row in rows)
    shown = lab.here.imsctl("queue", "list", "--queue", "outbound-conversion", "--domain", "far.test").stdout
    assert shown.count("bob@example.test") == 2
    assert lab.here.imsctl("queue", "list", "--queue", "outbound-delivery").stdout == ""
    lab.submit("three", "z@far.test")
    poll(lambda: [row["state"] for row in lab.queued()] == ["held"] * 3)
    (two,) = (row["id"] for row in rows if row["recipient"] == "y@far.test")
    assert lab.here.imsctl("queue", "release", two).stdout == "1 recipients are released\n"
    poll(lambda: got(lab.far) == ["two"])
    lab.here.imsctl("queue", "release", "--destination", "far.test", "--originator", "bob@example.test")
    poll(lambda: set(got(lab.far)) == {"two", "one", "three"})
    poll(lambda: not lab.queued())
    lab.here.imsctl("queue", "release", "--domain", "far.test")
    lab.submit("four", "z@far.test")
    poll(lambda: "four" in got(lab.far))
    assert "Name messages" in lab.here.imsctl("queue", "hold", check=False).stderr


def test_what_waits_here_has_a_queue_of_its_own(lab: Lab) -> None:
    lab.set(queue__paused=True)
    lab.submit("later", lab.here.address("bob"), "x@near.test", options=("HOLDFOR=600",))
    rows = lab.queued()
    assert {row["recipient"]: row["queue"] for row in rows} == {
        "bob@example.test": "inbound-delivery",
        "x@near.test": "outbound-conversion",
    }
    assert {row["priority"] for row in rows} == {"normal"}
    told = lab.here.imsctl("queue", "delete", "--yes", "--no-ndr", "--originator", "bob@example.test").stdout
    assert told == "1 messages are deleted\n"


def test_a_killed_server_sends_what_was_claimed_when_it_is_back(lab: Lab) -> None:
    """SIGKILL while lanes are in the middle of messages: nothing is lost, nothing stays claimed."""
    lab.near.end = ""
    lab.set(ims__limits__per_host=2)
    for number in range(12):
        lab.submit(f"n{number}", "x@near.test")
    poll(lambda: any(row["state"] == "active" for row in lab.queued()))
    lab.here.stop(signal.SIGKILL)
    lab.near.end = "250 2.0.0 taken"
    lab.here.start()
    poll(lambda: {f"n{number}" for number in range(12)} <= set(got(lab.near)))
    poll(lambda: not lab.queued())


def test_one_of_somebody_goes_before_many_of_another(lab: Lab) -> None:
    lab.set(queue__paused=True, ims__limits__per_host=1, ims__limits__recipients_out=10)
    for place in range(10):
        lab.submit(
            "many", *(f"x{number}@d{number}.far.test" for number in range(place * 90, place * 90 + 90))
        )
    lab.here.add_user("jane")
    sender = lab.here.address("jane")
    with smtplib.SMTP("localhost", lab.here.port("submission"), timeout=20) as smtp:
        smtp.starttls(context=lab.here.tls())
        smtp.login(sender, PASSWORD)
        smtp.sendmail(sender, ["y@far.test"], f"From: {sender}\r\nSubject: one\r\n\r\nhi\r\n")
    lab.set(queue__paused=False)
    poll(lambda: "one" in got(lab.far))
    recipients = [len(each.recipients) for each in lab.far.taken[: got(lab.far).index("one")]]
    assert sum(recipients) <= 250


def test_flush_mode_takes_nothing_new_and_sends_what_is_here(lab: Lab) -> None:
    lab.set(queue__paused=True)
    lab.submit("before", "x@near.test")
    lab.set(spool__low_water_bytes=1 << 50)
    file = lab.here.home / "pickup" / "late"
    file.write_text("X-Sender: x@near.test\nX-Receiver: bob@example.test\nSubject: picked\n\nhi\n")
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as smtp:
        smtp.ehlo("stranger.test")
        assert smtp.mail("x@near.test") == (452, b"4.3.1 Insufficient system storage")
    status = lab.here.ask("status")
    assert status["disk"]["flush_mode"] and "flush mode" in status["mail"]["warnings"][0]
    lab.set(queue__paused=False)
    poll(lambda: got(lab.near) == ["before"])
    assert file.exists() and "picked" not in subjects(lab.here, "bob")
    lab.set(spool__low_water_bytes=0)
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as smtp:
        smtp.ehlo("stranger.test")
        assert smtp.mail("x@near.test")[0] == 250
    poll(lambda: "picked" in subjects(lab.here, "bob"))
    assert lab.here.log.count("flush mode: ") == 1 and lab.here.log.count("flush mode is over: ") == 1


def test_sizes_are_those_of_the_page(lab: Lab) -> None:
    lab.set(ims__size_limit_in=3000, ims__size_limit_out=2000)
    with smtplib.SMTP("127.0.0.1", lab.here.port("smtp"), timeout=20) as smtp:
        smtp.ehlo("stranger.test")
        assert smtp.esmtp_features["size"] == "3000"
        assert smtp.mail("x@near.test", ["SIZE=3001"])[0] == 552
    lab.submit("large", "x@near.test", header="X-Long: " + "x" * 900 + "\r\nX-Longer: " + "x" * 900 + "\r\n")
    poll(lambda: any("large" in one for one in subjects(lab.here, "bob")))
    assert not lab.near.taken
