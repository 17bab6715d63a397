"""Two servers of one test file: `away` has bob, and sends everything to `here` as its smart host.

`here` has alice, who gets here.test; nobody is in none.test there. What a test sets is gone after it.
"""

from __future__ import annotations

import json
import smtplib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.clients import poll, texts
from tests.support.nameserver import NameServer
from tests.support.servers import PASSWORD, RunningServer

PROXY = "127.0.0.2"
"""Who comes from here says in a PROXY header who he is."""


@dataclass
class Lab:
    """The two, and the name server that `here` asks."""

    here: RunningServer
    away: RunningServer
    names: NameServer

    def set(self, **values: Any) -> None:
        """Settings of `here`."""
        change(self.here, **values)

    def send(
        self, subject: str, header: str = "", body: str = "hi", to: tuple[str, ...] = ("x@here.test",)
    ) -> None:
        """Bob writes to people at `here`."""
        bob = self.away.address("bob")
        with smtplib.SMTP("localhost", self.away.port("submission"), timeout=20) as smtp:
            smtp.starttls(context=self.away.tls())
            smtp.login(bob, PASSWORD)
            text = f"From: {bob}\r\nTo: {', '.join(to)}\r\nSubject: {subject}\r\n{header}\r\n{body}\r\n"
            smtp.sendmail(bob, to, text.encode(), mail_options=["BODY=8BITMIME"])

    def came(self, subject: str) -> str:
        """The message of this subject in alice's INBOX, when it is there."""
        return found(self.here, "alice", subject)

    def back(self, subject: str) -> str:
        """A report on it in bob's."""
        return found(self.away, "bob", subject)


def change(server: RunningServer, **values: Any) -> None:
    for key, value in values.items():
        server.ask("settings.set", key=key.replace("__", "."), value=json.dumps(value))


def found(server: RunningServer, alias: str, subject: str) -> str:
    def those() -> list[str]:
        return [text.decode() for text in texts(server, alias) if f"{subject}\r\n".encode() in text]

    poll(those)
    return those()[0]


@pytest.fixture(scope="module")
def lab(make_server: Callable[..., RunningServer]) -> Iterator[Lab]:
    here, away = make_server(start=False), make_server(start=False)
    one = Lab(here, away, NameServer())
    for server in (here, away):
        server.start()
    one.names.zone["7.2.0.192.in-addr.arpa", "PTR"] = ["mail.lab.test."]
    one.names.zone["mail.lab.test", "A"] = ["192.0.2.7"]
    here.add_user("alice")
    away.add_user("bob")
    change(
        here,
        addressing__domains=["here.test", "none.test"],
        routing__catch_all={"here.test": "alice@example.test"},
        admission__proxies=[PROXY],
        ims__delivery__nameservers=[one.names.address],
    )
    change(
        away,
        ims__delivery__mode="smarthost",
        ims__delivery__smart_hosts=[f"127.0.0.1:{here.port('smtp')}"],
        routing__restrictions__allow=["127.0.0.1"],
        # Each message finds the settings as they are when it comes.
        ims__limits__messages_per_connection=1,
        ims__retry__profile="intervals",
        ims__retry__intervals=[0.0003],
    )
    yield one
    one.names.close()
    for server in (here, away):
        server.stop()
        assert "Traceback" not in server.log, server.log[-3000:]


@pytest.fixture(autouse=True)
def as_it_was(lab: Lab) -> Iterator[None]:
    before = {server.offset: server.ask("settings.export") for server in (lab.here, lab.away)}
    yield
    for server in (lab.here, lab.away):
        server.ask("settings.import", text=before[server.offset])


class Wire:
    """Port 25 of `here`, from a host that nobody trusts."""

    def __init__(self, lab: Lab, host: str = "192.0.2.7", say: bytes = b"") -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", lab.here.port("smtp")), timeout=10, source_address=(PROXY, 0)
        )
        self._file = self._socket.makefile("rb")
        self._socket.sendall(f"PROXY TCP4 {host} 192.0.2.1 1025 25\r\n".encode() + say)

    def reply(self) -> str:
        """A whole reply; empty when the other end has hung up."""
        text = ""
        while line := self._file.readline():
            text += line.decode()
            if line[3:4] != b"-":
                break
        return text

    def begin(self) -> Wire:
        """Hear the greeting and say EHLO."""
        self.reply()
        self.say("EHLO out.example")
        return self

    def bring(self, subject: str, to: str = "x@here.test", sender: str = "a@out.example") -> str:
        """Have a message delivered; the reply that decides."""
        for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>", "DATA"):
            if (said := self.say(line))[:1] not in "23":
                self.say("RSET")
                return said
        return self.say(f"From: {sender}\r\nSubject: {subject}\r\n\r\nx\r\n.")

    def say(self, *lines: str) -> str:
        """The reply to the last of these."""
        said = ""
        for line in lines:
            self._socket.sendall(line.encode() + b"\r\n")
            said = self.reply()
        return said

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()
