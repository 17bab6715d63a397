"""A hub that holds a site's mail, and the site that fetches it when its link is up: real mail, both ways."""

from __future__ import annotations

import base64
import json
import smtplib
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients import poll, subjects
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


class Lab:
    """hub: bob, and `site`, who fetches; there: jean, in held.test."""

    def __init__(self, hub: RunningServer, there: RunningServer, folder: Path) -> None:
        self.hub, self.there = hub, there
        self.log = folder / "link.log"
        self.secret = folder / "secret"

    def set(self, server: RunningServer, **values: Any) -> None:
        for key, value in values.items():
            server.ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))

    def link(self, **more: Any) -> None:
        """The site's link: commands that write into a file."""
        say = ["/bin/sh", "-c", f'echo "$IMSD_LINK $0" >> {self.log}']
        row = {"name": "isp", "up": [*say, "up"], "down": [*say, "down"], "idle_min": 0.01, **more}
        self.set(self.there, ims__dialup__links=[row])

    def submit(self, to: str, subject: str, server: RunningServer | None = None, alias: str = "bob") -> None:
        server = server or self.hub
        sender = server.address(alias)
        with smtplib.SMTP("localhost", server.port("submission"), timeout=20) as smtp:
            smtp.starttls(context=server.tls())
            smtp.login(sender, PASSWORD)
            smtp.sendmail(sender, [to], f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nhi\r\n")

    def run(self) -> None:
        """Bring the link up once, and wait until it is down again."""
        self.there.ask("link.run", name="isp")
        poll(lambda: self.status()["state"] == "down" and self.status()["last_up"])

    def status(self) -> dict[str, Any]:
        return self.there.ask("link.status")[0]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def lab(make_server: Callable[..., RunningServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    one = Lab(make_server(), make_server(), tmp_path_factory.mktemp("link"))
    one.hub.add_user("bob")
    one.hub.add_user("site")
    one.there.add_user("jean")
    one.secret.write_text(PASSWORD + "\n")
    one.set(one.hub, addressing__domains=["hub.test"], routing__catch_all={"hub.test": "bob@example.test"})
    one.set(
        one.there,
        routing__table=[{"domain": "held.test", "action": "inbound"}],
        routing__catch_all={"held.test": "jean@example.test"},
        ims__delivery__smart_hosts=[f"127.0.0.1:{one.hub.port('smtp')}"],
        ims__delivery__mode="smarthost",
    )
    yield one
    for server in (one.hub, one.there):
        server.stop()
        assert "Traceback" not in server.log, server.log[-3000:]


@pytest.fixture(autouse=True)
def as_it_was(lab: Lab) -> Iterator[None]:
    before = [(server, server.ask("settings.export")) for server in (lab.hub, lab.there)]
    yield
    for server, text in before:
        server.ask("settings.import", text=text)
    lab.log.unlink(missing_ok=True)


def test_a_site_fetches_by_atrn_what_the_hub_holds(lab: Lab) -> None:
    lab.set(
        lab.hub, smtp__atrn=True, ims__domains=[{"domain": "held.test", "route": "atrn:site@example.test"}]
    )
    lab.submit("jean@held.test", "held one")
    lab.submit("jean@sub.held.test", "below")
    lab.submit("jean@held.test", "held two")
    assert {row["state"] for row in lab.hub.ask("queue.list")} == {"parked"}
    lab.link(
        retrieve="atrn",
        host="127.0.0.1",
        port=lab.hub.port("odmr"),
        user="site@example.test",
        password_file=str(lab.secret),
    )
    lab.run()
    poll(lambda: {"held one", "held two"} <= set(subjects(lab.there, "jean")))
    poll(lambda: not lab.hub.ask("queue.list"))
    tracked = lab.hub.imsctl("track", "jean@held.test").stdout
    assert tracked.count("\trelayed\t") == 2
    assert lab.log.read_text() == "isp up\nisp down\n"
    assert "the host sent what it had" in lab.status()["asked"]
    lab.run()
    assert "You have no mail" in lab.status()["asked"]


def test_who_may_fetch_what(lab: Lab) -> None:
    lab.set(
        lab.hub, smtp__atrn=True, ims__domains=[{"domain": "held.test", "route": "atrn:site@example.test"}]
    )
    lab.set(lab.hub, ims__turn="atrn")
    lab.submit("jean@held.test", "not for bob")
    for alias, port, line, code in (
        ("bob", "submission", "ATRN held.test", 450),
        ("bob", "odmr", "ATRN", 450),
        ("site", "odmr", "ATRN held.test,other.test", 450),
        ("bob", "odmr", "TURN", 450),
    ):
        with smtplib.SMTP("localhost", lab.hub.port(port), timeout=20) as client:
            client.ehlo()
            # Who has not shown who he is, and where others may listen.
            assert client.docmd("TURN")[0] == 530
            client.starttls(context=lab.hub.tls())
            client.ehlo()
            assert "atrn" in client.esmtp_features
            assert client.docmd(line)[0] == 530
            client.login(lab.hub.address(alias), PASSWORD)
            assert client.docmd(line)[0] == code
    with smtplib.SMTP("localhost", lab.hub.port("odmr"), timeout=20) as client:
        client.starttls(context=lab.hub.tls())
        client.login("site@example.test", PASSWORD)
        for key, value in (("ims__transfer_mode", "hold"), ("queue__paused", True)):
            lab.set(lab.hub, **{key: value})
            assert client.docmd("ATRN held.test")[0] == 451
            lab.set(lab.hub, **{key: "both" if value == "hold" else False})
    (row,) = lab.hub.ask("queue.list")
    # An administrator cannot send it anywhere else, nor lose it.
    lab.hub.imsctl("queue", "retry", row["id"])
    poll(lambda: [one["state"] for one in lab.hub.ask("queue.list")] == ["parked"])
    lab.hub.imsctl("queue", "delete", "--yes", "--no-ndr", row["id"])


def test_a_site_fetches_by_turn_where_the_hub_takes_it(lab: Lab) -> None:
    lab.set(
        lab.hub, smtp__atrn=True, ims__domains=[{"domain": "held.test", "route": "atrn:site@example.test"}]
    )
    lab.submit("jean@held.test", "turned round")
    lab.link(
        retrieve="turn",
        host="127.0.0.1",
        port=lab.hub.port("odmr"),
        user="site@example.test",
        password_file=str(lab.secret),
    )
    lab.run()
    assert "TURN is not offered" in lab.status()["error"]
    assert [row["state"] for row in lab.hub.ask("queue.list")] == ["parked"]
    lab.set(lab.hub, ims__turn="atrn")
    lab.run()
    poll(lambda: "turned round" in subjects(lab.there, "jean"))
    assert "the host sent what it had" in lab.status()["asked"]


def test_the_port_for_fetching_is_closed_until_it_is_wanted(lab: Lab) -> None:
    with pytest.raises(smtplib.SMTPConnectError, match="switched off"):
        smtplib.SMTP("localhost", lab.hub.port("odmr"), timeout=20)
    lab.set(lab.hub, smtp__atrn=True)
    client = smtplib.SMTP("localhost", lab.hub.port("odmr"), timeout=20)
    client.ehlo()
    assert client.docmd("MAIL FROM:<a@example.org>")[0] == 502
    lab.set(lab.hub, smtp__atrn=False)
    with pytest.raises((smtplib.SMTPServerDisconnected, AssertionError)):
        assert client.docmd("NOOP")[0] == 250
        assert client.docmd("NOOP")[0] == 250


def test_a_command_asks_for_mail(lab: Lab) -> None:
    """Whatever a provider wants: here a program that says ETRN and says what it heard."""
    lab.set(
        lab.hub,
        ims__domains=[{"domain": "held.test", "route": "etrn"}],
        ims__delivery__smart_hosts=[f"127.0.0.1:{lab.there.port('smtp')}"],
        ims__delivery__mode="smarthost",
    )
    lab.submit("jean@held.test", "by a program")
    program = "import smtplib, sys; c=smtplib.SMTP(*sys.argv[1:]); c.ehlo(); print(c.docmd('ETRN held.test'))"
    lab.link(
        retrieve="command", command=[sys.executable, "-c", program, "127.0.0.1", str(lab.hub.port("smtp"))]
    )
    lab.run()
    poll(lambda: "by a program" in subjects(lab.there, "jean"))
    assert "(253, b'2.0.0 1 pending messages" in lab.status()["asked"]


def test_what_a_command_leaves_running_does_not_hold_up_the_link(lab: Lab) -> None:
    lab.link(up=["/bin/sh", "-c", "sleep 30 & echo dialled"], down=[], command_seconds=20)
    lab.there.imsctl("link", "up", "isp")
    poll(lambda: lab.status()["state"] == "up", 5)
    lab.there.imsctl("link", "down", "isp")


def test_a_connection_that_ends_in_the_middle_loses_nothing(lab: Lab) -> None:
    lab.set(
        lab.hub, smtp__atrn=True, ims__domains=[{"domain": "held.test", "route": "atrn:site@example.test"}]
    )
    lab.submit("jean@held.test", "cut off")
    plain = base64.b64encode(f"\0site@example.test\0{PASSWORD}".encode())
    with socket.create_connection(("127.0.0.1", lab.hub.port("submission")), timeout=20) as raw:
        file = raw.makefile("rwb")

        def say(line: bytes) -> bytes:
            file.write(line + b"\r\n")
            file.flush()
            return file.readline()

        file.readline()
        say(b"EHLO site")
        while not file.readline().startswith(b"250 "):
            pass
        assert say(b"STARTTLS").startswith(b"220")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(raw) as secure:
            file = secure.makefile("rwb")
            say(b"EHLO site")
            while not file.readline().startswith(b"250 "):
                pass
            assert say(b"AUTH PLAIN " + plain).startswith(b"235")
            assert say(b"ATRN") == b"250 2.0.0 OK now reversing the connection\r\n"
            assert say(b"220 site ready").startswith(b"EHLO ")
            assert say(b"250 site").startswith(b"MAIL FROM:<bob@example.test>")
            assert say(b"250 fine").startswith(b"RCPT TO:<jean@held.test>")
            secure.shutdown(socket.SHUT_RDWR)
    poll(lambda: [(one["state"], one["attempts"]) for one in lab.hub.ask("queue.list")] == [("parked", 1)])
    (row,) = lab.hub.ask("queue.list")
    lab.hub.imsctl("queue", "delete", "--yes", "--no-ndr", row["id"])


def test_a_site_asks_by_etrn_and_the_hub_connects(lab: Lab) -> None:
    lab.set(
        lab.hub,
        ims__domains=[{"domain": "held.test", "route": "etrn"}],
        ims__delivery__smart_hosts=[f"127.0.0.1:{lab.there.port('smtp')}"],
        ims__delivery__mode="smarthost",
    )
    lab.submit("jean@held.test", "asked for")
    # The domains are those of the routing table; the host is the smart host.
    lab.link(retrieve="etrn")
    lab.run()
    poll(lambda: "asked for" in subjects(lab.there, "jean"))
    assert "ETRN held.test: 253" in lab.status()["asked"]


def test_mail_waits_for_the_link_and_brings_it_up(lab: Lab) -> None:
    # One that was not up yet: the time since then counts.
    lab.link(name="other", queued_after_min=1)
    lab.set(lab.there, ims__delivery__link="other")
    lab.submit("bob@hub.test", "out it goes", lab.there, "jean")
    poll(lambda: "out it goes" in subjects(lab.hub, "bob"))
    poll(lambda: lab.status()["state"] == "down")
    lab.submit("bob@hub.test", "not so soon", lab.there, "jean")
    assert [row["state"] for row in lab.there.ask("queue.list")] == ["parked"]
    lab.there.imsctl("link", "up", "other")
    poll(lambda: "not so soon" in subjects(lab.hub, "bob"))
    shown = lab.there.imsctl("link", "status").stdout
    assert "up, held" in shown
    assert lab.there.imsctl("link", "down", "other").stdout.startswith("other: down")
    assert lab.log.read_text() == "other up\nother down\nother up\nother down\n"


def test_every_host_is_asked_if_so_chosen(lab: Lab) -> None:
    lab.set(
        lab.hub,
        ims__domains=[{"domain": "held.test", "route": "etrn"}],
        ims__delivery__smart_hosts=[f"127.0.0.1:{lab.there.port('smtp')}"],
        ims__delivery__mode="smarthost",
    )
    lab.set(lab.there, ims__etrn__always=True)
    lab.submit("jean@held.test", "by the way")
    lab.submit("bob@hub.test", "a letter", lab.there, "jean")
    poll(lambda: "by the way" in subjects(lab.there, "jean") and "a letter" in subjects(lab.hub, "bob"))


@pytest.mark.parametrize(
    ("up", "seconds", "why"),
    [
        (["/bin/false"], 5, "ended with 1"),
        (["/bin/sleep", "60"], 1, "took longer"),
        (["/no/such"], 5, "/no/such"),
    ],
)
def test_a_command_that_fails_is_told(lab: Lab, up: list[str], seconds: int, why: str) -> None:
    lab.link(up=up, command_seconds=seconds)
    lab.there.imsctl("link", "run", "isp")
    poll(lambda: lab.status()["state"] == "down" and why in lab.status()["error"])
    assert lab.status()["last_up"] is None or not lab.log.exists()
