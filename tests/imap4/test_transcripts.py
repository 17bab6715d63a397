"""Transcripts: C:/S: scripts named by RFC section, run against the fake application.

# comment
@ messages 3            three messages in INBOX (uid 1 to 3)
@ mailbox Drafts \\Drafts    a mailbox, with special use
@ message INBOX         the lines up to `@ end` are one more message of INBOX
@ subscribe Drafts
@ login | @ select INBOX     what a session that is no subject of the script does first
C: a1 NOOP              what the client sends (C2: a second connection)
C| text                 the same without CRLF
S: a1 OK <*>            what the server sends; <*> is anything within the line
S: ...                  any lines up to the next one that fits

Those of `transcripts/clients` are what people's clients say; tests/system/test_clients.py plays them
to the running server too. {USER}, {PASSWORD} and {PLAIN} (RFC 4616, in base64) stand for a login.
"""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path

import pytest

from tests.support.imap4 import Client, World, message

TRANSCRIPTS = Path(__file__).parent.parent / "transcripts"
SCRIPTS = sorted((TRANSCRIPTS / "imap4").glob("*.txt")) + sorted((TRANSCRIPTS / "clients").glob("*.txt"))


def pattern(line: str) -> re.Pattern[bytes]:
    parts = [re.escape(part.encode()) for part in line.split("<*>")]
    return re.compile(b".*".join(parts), re.DOTALL)


class Runner:
    """Plays scripts to the fake application."""

    user, password = "alice", "secret"

    def __init__(self) -> None:
        self.world = World()
        self.clients: dict[str, Client] = {}
        self.heard: dict[str, list[bytes]] = {}
        self.skipping: dict[str, bool] = {}

    def client(self, number: str) -> Client:
        if number not in self.clients:
            self.clients[number] = Client(self.world)
            self.heard[number] = self.clients[number].greeting.splitlines()
        return self.clients[number]

    def send(self, number: str, data: bytes) -> None:
        self.client(number).server.dataReceived(data)
        self.hear()

    def directive(self, words: list[str], body: bytes) -> None:
        if words[0] == "messages":
            for number in range(1, int(words[1]) + 1):
                self.world.boxes["INBOX"].add(message(f"Message {number}"))
        elif words[0] == "mailbox":
            self.world.make(words[1]).special_use = tuple(word.encode() for word in words[2:])
        elif words[0] == "message":
            self.world.boxes[words[1]].add(body)
        elif words[0] == "subscribe":
            self.world.subscribed.add(words[1])
        elif words[0] in ("login", "select"):
            for number in words[2:] or ["1"]:
                client = self.client(number)
                client.login()
                if words[0] == "select":
                    client.say(b"s SELECT " + words[1].encode())
                self.heard[number] = []
        else:
            raise AssertionError(words)

    def expect(self, number: str, line: str, where: str) -> None:
        self.client(number)
        heard = self.heard[number]
        if line == "...":
            self.skipping[number] = True
            return
        wanted = pattern(line)
        if self.skipping.pop(number, False):
            while heard and not wanted.fullmatch(heard[0]):
                heard.pop(0)
        assert heard, f"{where}: nothing was said where {line!r} was expected"
        assert wanted.fullmatch(heard[0]), f"{where}: {heard[0]!r} where {line!r} was expected"
        heard.pop(0)

    def hear(self) -> None:
        for number, client in self.clients.items():
            self.heard[number].extend(client.heard().splitlines())


def play(runner: Runner, script: Path) -> None:
    plain = b64encode(f"\0{runner.user}\0{runner.password}".encode()).decode()
    lines = iter(enumerate(script.read_text(encoding="utf-8").splitlines(), 1))
    current = ""
    for count, line in lines:
        where = f"{script.name}:{count}"
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("@ "):
            body = b""
            if line.startswith("@ message "):
                for _, text in lines:
                    if text == "@ end":
                        break
                    body += text.encode() + b"\r\n"
            runner.directive(line[2:].split(), body)
            continue
        found = re.fullmatch(r"([CS])(\d?)([:|]) ?(.*)", line)
        assert found is not None, where
        side, number, kind, text = found.groups()
        number = number or "1"
        last, current = current, side + number
        if side == "C":
            runner.client(number)
            for name, value in (("USER", runner.user), ("PASSWORD", runner.password), ("PLAIN", plain)):
                text = text.replace("{" + name + "}", value)
            if last != f"C{number}":  # else it is pipelined
                left = runner.heard[number]
                assert not left or runner.skipping.pop(number, False), f"{where}: unexpected {left!r}"
                runner.heard[number] = []
            runner.send(number, text.encode() + (b"\r\n" if kind == ":" else b""))
        else:
            runner.expect(number, text, where)
    for number, left in runner.heard.items():
        assert not left or runner.skipping.get(number), f"{script.name}: unexpected {left!r}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
@pytest.mark.parametrize("delayed", [False, True], ids=["at-once", "delayed"])
def test_transcript(script: Path, delayed: bool) -> None:
    """Also with a store that answers every question in another turn of the reactor."""
    runner = Runner()
    runner.world.delayed = delayed
    play(runner, script)
