"""The same against the directory itself, whoever sends it being an administrator."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from imsd import errors
from imsd.auth.account import Account
from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door
from protocols.ldap import client
from protocols.ldap.messages import BindRequest, Simple
from protocols.ldap.server import LdapConnection
from protocols.security import Security
from tests.directory.support import configure, open_directory
from tests.sessions.test_ldap import Logins
from tests.support.malformed import Siege, recorded
from tests.support.stores import StoreReactor, open_store, run

COUNT = int(os.environ.get("IMSD_MALFORMED", "1500"))
RECIPIENTS = "cn=Recipients,ou=Main,o=Example"


class Authenticator(Logins):
    def mechanisms(self, security: Security) -> list[str]:
        return ["PLAIN", "SCRAM-SHA-256"]

    async def scram(self, authcid: str, security: Security) -> Any:
        raise errors.AuthenticationFailed

    def watch_rights(self, account: Account, moved: Any) -> Any:
        return SimpleNamespace(stop=lambda: None)

    async def external(self, authzid: str, security: Security) -> Any:
        raise errors.AuthenticationFailed


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    for name in ("ann", "x"):
        run(directory.add_user(f"{name}@example.test", name=name, password=f"{name}s"))
    run(directory.add_group("staff@example.test", members=["ann"]))
    yield directory
    run(database.close())


async def turn(reactor: StoreReactor) -> None:
    waiting: Deferred[None] = Deferred()
    reactor.callFromThread(waiting.callback, None)
    await waiting


@pytest.mark.parametrize("who", ["administrator", "ann", ""])
def test_the_directory_takes_it(directory: Directory, store_reactor: StoreReactor, who: str) -> None:
    configure(directory, ldap__anonymous="true")
    door = Door(directory, directory.settings, Authenticator(directory))  # type: ignore[arg-type]

    def settle(connection: LdapConnection) -> None:
        for number in range(60):
            store_reactor.advance(0)
            if not connection.operations:
                return
            run(turn(store_reactor))
            if number > 20:
                time.sleep(0.001)  # a thread of the store is at work

    passwords = {"administrator": b"secret", "ann": b"anns"}

    class Bound(LdapConnection):
        """Bound before the first malformed message, so that this is about the directory."""

        def opened(self) -> None:
            super().opened()
            if who:
                self.dataReceived(client.write(1, BindRequest(3, who, Simple(passwords[who]))))
                settle(self)
                self.flush()
                self.transport.clear()

    person = f"cn=x,{RECIPIENTS}"
    seeds = [each for each in recorded(RECIPIENTS, person, b"xs") if each[5:6] not in b"\x42"]
    siege = Siege(lambda: Bound(store_reactor, door, lambda: None), settle, seeds)
    before = directory.following
    siege.run(COUNT // 3)
    siege._again()
    settle(siege.connection)
    assert directory.following == before, "searches that stay open end with their connection"
    assert siege.outcomes["answered"] > COUNT // 12
    person_now = run(directory.person_by_login("administrator"))
    assert person_now is not None and person_now.is_admin
