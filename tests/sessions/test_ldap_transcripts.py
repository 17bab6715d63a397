"""What real programs said to this server (tests/transcripts/ldap), said again, and answered as it was.

They were recorded with `tests.support.ldap_transcripts` before a running server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door
from protocols.ldap.reader import Reader
from protocols.ldap.server import LdapConnection
from tests.directory.support import open_directory, viewer
from tests.ldap.fake import Transport
from tests.sessions.test_ldap_clients import PEOPLE, RECIPIENTS, Authenticator
from tests.support.ldap_transcripts import frames, summary
from tests.support.stores import StoreReactor, open_store, run

SCRIPTS = sorted((Path(__file__).parents[1] / "transcripts" / "ldap").glob("*.txt"))


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    administrator = run(directory.administrator())
    assert administrator is not None
    run(directory.set_password(administrator.account, "s3cret-enough"))
    asking = viewer(directory, "administrator")
    for uid, given, surname in PEOPLE:
        person = {
            "objectClass": "inetOrgPerson", "cn": f"{given} {surname}", "givenName": given, "sn": surname,
            "uid": uid, "mail": f"{uid}@example.test", "userPassword": f"{uid}-password",
        }  # fmt: skip
        run(
            directory.add_entry(
                f"cn={uid},{RECIPIENTS}", [(n, [v.encode()]) for n, v in person.items()], asking
            )
        )
    run(directory.add_group("staff@example.test", name="Staff", members=["alice", "suzan"], owner="alice"))
    yield directory
    run(database.close())


class Peer:
    """One connection of a program."""

    def __init__(self, door: Door, reactor: StoreReactor) -> None:
        self._reactor = reactor
        self._reader = Reader(1 << 30)
        self._transport = Transport(peerAddress=IPv4Address("TCP", "127.0.0.1", 4444))
        self._connection = LdapConnection(reactor, door, lambda: None)
        self._connection.makeConnection(self._transport)

    def say(self, message: bytes) -> list[str]:
        async def turn() -> None:
            waiting: Deferred[None] = Deferred()
            self._reactor.callFromThread(waiting.callback, None)
            await waiting

        self._connection.dataReceived(message)
        for _ in range(10_000):
            self._reactor.advance(0)
            if not self._connection.operations:
                break
            run(turn())
        answered = [summary(each) for each in frames(self._reader, self._transport.value())]
        self._transport.clear()
        return answered


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_programs_are_answered_as_they_were(
    script: Path, directory: Directory, store_reactor: StoreReactor
) -> None:
    door = Door(directory, directory.settings, Authenticator(directory))  # type: ignore[arg-type]
    peers: dict[str, Peer] = {}
    recorded, answered = defaultdict(list), defaultdict(list)
    for line in script.read_text().splitlines():
        if line.startswith("#"):
            continue
        who, _, said = line.partition(": ")
        number = who[1:]
        if who.startswith("S"):
            recorded[number].append(said)
            continue
        if number not in peers:
            peers[number] = Peer(door, store_reactor)
        answered[number] += peers[number].say(bytes.fromhex(said))
    for number, said in answered.items():
        assert said == recorded[number]
    assert len(recorded) == len(peers)


def test_there_are_some() -> None:
    assert len(SCRIPTS) >= 6
