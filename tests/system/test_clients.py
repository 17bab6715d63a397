"""What people's clients say, word for word, to the running server.

IMAP4: tests/transcripts/clients. POP3: tests/transcripts/pop3-clients, in the same form.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.imap4.test_transcripts import TRANSCRIPTS, Runner, pattern, play
from tests.support.clients import imap
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system

PATIENCE = 20


class RealClient:
    """A connection whose lines are read when they are wanted."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.lines = self.socket.makefile("rb")


class RealRunner(Runner):
    """Plays scripts to a server, as a person of his own."""

    password = PASSWORD

    def __init__(self, server: RunningServer, alias: str, protocol: str) -> None:
        self.port = server.port(protocol)
        self.server = server
        self.user = server.add_user(alias)
        self.alias = alias
        self.real: dict[str, RealClient] = {}
        self.heard: dict[str, list[bytes]] = {}
        self.skipping: dict[str, bool] = {}

    def client(self, number: str) -> RealClient:  # type: ignore[override]
        if number not in self.real:
            self.real[number] = RealClient(self.port)
            self.heard[number] = []
        return self.real[number]

    def send(self, number: str, data: bytes) -> None:
        self.client(number).socket.sendall(data)

    def directive(self, words: list[str], body: bytes) -> None:
        owner = imap(self.server, self.alias)
        if words[0] == "mailbox":
            owner.create(f"{words[1]} (USE ({words[2]}))")
        elif words[0] == "message":
            assert owner.append(words[1], None, None, body)[0] == "OK"  # type: ignore[arg-type]
        else:
            raise AssertionError(words)
        owner.logout()

    def expect(self, number: str, line: str, where: str) -> None:
        if line == "...":
            self.skipping[number] = True
            return
        wanted = pattern(line)
        skipping = self.skipping.pop(number, False)
        while True:
            came = self.client(number).lines.readline()
            if wanted.fullmatch(came.removesuffix(b"\r\n")):
                return
            assert skipping and came, f"{where}: {came!r} where {line!r} was expected"


SCRIPTS = {
    protocol: sorted((TRANSCRIPTS / folder).glob("*.txt"))
    for protocol, folder in (("imap", "clients"), ("pop3", "pop3-clients"))
}


@pytest.mark.parametrize(
    ("protocol", "script"),
    [(protocol, script) for protocol, scripts in SCRIPTS.items() for script in scripts],
    ids=lambda value: value if isinstance(value, str) else value.stem,
)
def test_a_client_is_served(server: RunningServer, protocol: str, script: Path) -> None:
    alias = re.sub("[^a-z0-9]", "", script.stem) + protocol
    play(RealRunner(server, alias, protocol), script)


def test_each_protocol_has_its_clients() -> None:
    names = {protocol: [script.stem for script in scripts] for protocol, scripts in SCRIPTS.items()}
    assert names["imap"] == names["pop3"] == ["apple-mail", "ios-mail", "k9", "outlook", "thunderbird"]
