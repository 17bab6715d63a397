"""Content synchronization and persistent searches over a directory."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from imsd import errors
from imsd.directory import synchronizing
from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door, Identity
from protocols.ldap import ber, client, responses, syncing
from protocols.ldap.controls import NONE, Controls
from protocols.ldap.filters import parse
from protocols.ldap.messages import Control, Deref, Scope, SearchRequest
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.session import singly
from protocols.ldap.syncing import PERSISTING, Answer, PersistentSearch, SyncRequest
from tests.directory.support import configure
from tests.sessions.test_ldap import HERE, RECIPIENTS, bind, directory, door
from tests.support.stores import run

__all__ = ["directory", "door"]


class Consumer:
    """A copy that is kept by RFC 4533, in one search after another."""

    def __init__(self, identity: Identity, text: str = "(uid=*)", base: str = RECIPIENTS) -> None:
        self.identity = identity
        self.text, self.base = text, base
        self.attributes: tuple[str, ...] = ("uid",)
        self.copy: dict[bytes, str] = {}
        self.cookie = b""
        self.sent: list[str] = []
        self._answers: AsyncGenerator[bytes | Answer, None] | None = None
        self._next: Deferred[Any] | None = None

    def _search(self, asked: SyncRequest, notes: list[Control], deref: Deref = Deref.NEVER) -> Any:
        test = parse(self.text)
        request = SearchRequest(self.base, Scope.SUBTREE, deref, 0, 0, False, test, self.attributes)
        return self.identity.search(request, Controls(sync=asked), notes.append)

    def poll(self, reload: bool = False) -> list[str]:
        notes: list[Control] = []
        self.sent = []
        present: set[bytes] = set()

        async def gather() -> None:
            async for answer in self._search(SyncRequest(False, self.cookie, reload), notes):
                if answer:
                    present.update(self.take(answer))

        run(gather())
        [done] = [each for each in notes if each.oid == syncing.SYNC_DONE]
        self.cookie = ber.Cursor(done.value or b"").enter().octets()
        self.copy = {uuid: name for uuid, name in self.copy.items() if uuid in present}
        return self.sent

    def take(self, answer: bytes | Answer) -> set[bytes]:
        """What is known to be there by this answer."""
        assert isinstance(answer, Answer)
        operation: Any = client.read(responses.message(1, answer.operation, answer.controls)).operation
        if hasattr(operation, "oid"):
            assert operation.oid == syncing.SYNC_INFO
            cursor = ber.Cursor(operation.value)
            if cursor.data[0] == 0xA2:
                self.cookie = cursor.enter(0xA2).octets()
                return set()
            inside, found = cursor.enter(0xA3).enter(ber.SET), set()
            while inside.more:
                found.add(inside.octets())
            return found
        [control] = answer.controls
        inside = ber.Cursor(control.value or b"").enter()
        state, uuid = inside.integer(ber.ENUMERATED), inside.octets()
        self.cookie = inside.octets() if inside.more else self.cookie
        name = operation.dn.partition(",")[0].partition("=")[2]
        self.sent.append(f"{syncing.State(state).name.lower()} {name or self.copy[uuid]}")
        if state == syncing.State.DELETE:
            del self.copy[uuid]
        else:
            self.copy[uuid] = name
        return {uuid}

    # The persist stage

    def persist(self) -> None:
        self.notes: list[Control] = []
        self._answers = self._search(SyncRequest(True, self.cookie), self.notes)
        self.persisting = False
        self.error: BaseException | None = None
        self._next = Deferred.fromCoroutine(self._run(self._answers))
        self._next.addErrback(lambda failure: setattr(self, "error", failure.value))

    async def _run(self, answers: Any) -> None:
        async for answer in answers:
            if answer is PERSISTING:
                self.persisting = True
            elif answer:
                self.take(answer)

    def stop(self) -> None:
        assert self._next is not None
        self._next.cancel()

    @property
    def names(self) -> set[str]:
        return set(self.copy.values())


@pytest.fixture
def admin(door: Door) -> Identity:
    return bind(door, "administrator", "secret")


def settle(directory: Directory) -> None:
    """Let the reactor deliver what is under way."""
    run(directory.db.read(lambda tx: None))


def test_a_copy_is_kept_by_polling(admin: Identity, directory: Directory) -> None:
    copy = Consumer(admin)
    assert copy.poll() == ["add administrator", "add ann"] and copy.poll() == []
    run(directory.add_user("bob@example.test"))
    assert copy.poll() == ["add bob"]
    run(directory.change("ann", {"title": ["Cook"]}))
    assert copy.poll() == ["add ann"]
    run(directory.delete_user("bob", delete_mailbox=True))
    assert copy.poll() == [] and copy.names == {"ann", "administrator"}
    run(directory.add_group("team@example.test", members=["ann"]))
    assert copy.poll() == ["add team"]


def test_a_cookie_survives_a_restart(admin: Identity, door: Door, directory: Directory) -> None:
    copy = Consumer(admin)
    copy.poll()
    directory.cache.stop()
    run(directory.cache.start())
    directory.cache.forget_answers()
    again = Consumer(bind(door, "administrator", "secret"))
    again.copy, again.cookie = copy.copy, copy.cookie
    assert again.poll() == [] and again.names == {"ann", "administrator"}


def test_a_name_that_changes_is_a_change_of_all_that_show_it(admin: Identity, directory: Directory) -> None:
    run(directory.add_group("team@example.test", members=["ann"]))
    copy = Consumer(admin)
    copy.poll()
    run(directory.rename_entry(f"cn=ann,{RECIPIENTS}", "cn=anne", True, None, _server()))
    assert sorted(copy.poll()) == ["add anne", "add team"]
    run(directory.rename_entry(RECIPIENTS, "cn=People", True, None, _server()))
    copy.base = RECIPIENTS.replace("Recipients", "People")
    with pytest.raises(Failed):
        copy.poll()
    assert sorted(copy.poll(reload=True)) == ["add administrator", "add anne", "add team"]


def _server() -> Any:
    from imsd.directory.access import SERVER

    return SERVER


def test_a_cookie_of_another_copy_is_refused_or_begun_anew(
    admin: Identity, door: Door, directory: Directory
) -> None:
    copy = Consumer(admin)
    copy.poll()
    for other in (
        Consumer(admin, "(uid=a*)"),
        Consumer(bind(door, "ann", "anns")),
        Consumer(admin, base="o=Example"),
    ):
        other.cookie = copy.cookie
        with pytest.raises(Failed) as refused:
            other.poll()
        assert refused.value.result.code is ResultCode.SYNC_REFRESH_REQUIRED
        assert "add ann" in other.poll(reload=True)
    mine = Consumer(admin)
    for cookie in (b"nonsense", b"csn=x#000000#000#000000", copy.cookie.replace(b"csn=1970", b"csn=1990")):
        mine.cookie = cookie
        with pytest.raises(Failed):
            mine.poll()
    mine.cookie = copy.cookie
    configure(directory, ldap__attributes='{"uid": "administrator"}')
    with pytest.raises(Failed):
        mine.poll()


@given(st.integers(0, 10**12), st.binary(max_size=40))
def test_cookies_are_read_as_they_were_written(number: int, garbage: bytes) -> None:
    assert synchronizing.number_of(synchronizing.cookie(number, "abcdef"), "abcdef") == number
    assert synchronizing.number_of(synchronizing.cookie(number, "abcdef"), "abcdee") is None
    synchronizing.number_of(garbage, "abcdef")


def test_a_copy_has_not_the_state_of_passwords(admin: Identity) -> None:
    """It changes with logins, of which no feed tells."""

    def written(asked: Controls) -> bytes:
        request = SearchRequest(
            RECIPIENTS, Scope.ONE, Deref.NEVER, 0, 0, False, parse("(uid=*)"), ("+", "pwdReset")
        )

        async def gather() -> bytes:
            found = [
                each.operation if isinstance(each, Answer) else each
                async for each in singly(admin.search(request, asked))
            ]
            return b"".join(found)

        return run(gather())

    plain, copied = written(NONE), written(Controls(sync=SyncRequest(False)))
    for name in (b"pwdChangedTime", b"numSubordinates", b"hasSubordinates"):
        assert name in plain and name not in copied
    assert b"entryUUID" in copied


def test_a_filter_of_what_follows_from_others_gives_everything_again(
    admin: Identity, directory: Directory
) -> None:
    run(directory.add_group("staff@example.test", members=["administrator"]))
    copy = Consumer(admin, f"(memberOf=cn=staff,{RECIPIENTS})")
    assert copy.poll() == ["add administrator"]
    run(directory.change_members("staff@example.test", ["ann"]))
    assert sorted(copy.poll()) == ["add administrator", "add ann"]
    run(directory.change_members("staff@example.test", [], ["administrator"]))
    assert copy.poll() == ["add ann"] and copy.names == {"ann"}
    copy.persist()
    wait_for(directory, lambda: copy.error)
    assert isinstance(copy.error, Failed)
    assert copy.error.result.code is ResultCode.UNWILLING_TO_PERFORM


def test_aliases_are_not_followed_while_searching(admin: Identity) -> None:
    async def gather() -> None:
        async for _ in Consumer(admin)._search(SyncRequest(False), [], Deref.ALWAYS):
            pass

    with pytest.raises(Failed) as refused:
        run(gather())
    assert refused.value.result.code is ResultCode.PROTOCOL_ERROR


# Persisting --------------------------------------------------------------------------------


def wait_for(directory: Directory, condition: Any) -> None:
    for _ in range(200):
        if condition():
            return
        settle(directory)
        time.sleep(0.001)
    raise AssertionError("it did not come")


def test_changes_are_told(admin: Identity, directory: Directory) -> None:
    copy = Consumer(admin, "(|(title=*)(uid=administrator))")
    copy.persist()
    wait_for(directory, lambda: copy.persisting)
    assert copy.sent == ["add administrator"] and copy.cookie
    run(directory.change("ann", {"title": ["Cook"]}))
    wait_for(directory, lambda: copy.sent[-1] == "add ann")
    run(directory.change("ann", {"uid": ["annie"]}))
    wait_for(directory, lambda: copy.sent[-1] == "modify ann")
    run(directory.change("annie", {"title": ["Chef"]}))  # nothing that is shown
    run(directory.change("annie", {"title": []}))
    wait_for(directory, lambda: copy.sent[-1].startswith("delete"))
    assert len(copy.sent) == 4 and copy.names == {"administrator"}
    copy.stop()
    wait_for(directory, lambda: directory.following == 0)
    assert copy.poll() == [] and copy.names == {"administrator"}


def test_who_is_behind_refreshes(
    admin: Identity, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Consumer(admin)
    copy.persist()
    wait_for(directory, lambda: copy.persisting)
    monkeypatch.setattr(synchronizing, "BEHIND", 0)
    run(directory.add_user("bob@example.test"))
    wait_for(directory, lambda: copy.error is not None)
    assert isinstance(copy.error, Failed)
    assert copy.error.result.code is ResultCode.SYNC_REFRESH_REQUIRED
    [done] = copy.notes
    copy.cookie = ber.Cursor(done.value or b"").enter().octets()
    copy.poll()
    assert copy.names == {"administrator", "ann", "bob"}


def test_what_other_nodes_did_is_found_by_its_numbers(admin: Identity, directory: Directory) -> None:
    from imsd.store.changes import DIRECTORY, Missed

    run(directory.add_user("bob@example.test"))
    copy = Consumer(admin)
    copy.persist()
    wait_for(directory, lambda: copy.persisting)
    feed = directory.db.feed
    publish, feed.publish = feed.publish, lambda change: None  # type: ignore[method-assign]
    run(directory.change("ann", {"uid": ["annie"]}))
    run(directory.delete_user("bob", delete_mailbox=True))
    feed.publish = publish  # type: ignore[method-assign]
    feed.publish(Missed(DIRECTORY, 0, 10_000))
    wait_for(directory, lambda: copy.names == {"administrator", "ann"})
    assert copy.sent[3:] == ["modify ann", "delete bob"]
    copy.stop()


def test_searches_that_stay_open_are_counted(admin: Identity, door: Door, directory: Directory) -> None:
    configure(directory, ldap__persistent_searches="1", ldap__anonymous="true")
    first, second = Consumer(admin), Consumer(bind(door, "ann", "anns"))
    first.persist()
    wait_for(directory, lambda: first.persisting)
    second.persist()
    wait_for(directory, lambda: second.error is not None)
    assert isinstance(second.error, errors.LimitReached)
    anyone = door.anonymous(HERE)
    assert anyone is not None
    third = Consumer(anyone)
    third.persist()
    wait_for(directory, lambda: third.error is not None)
    assert isinstance(third.error, errors.NotPermitted)
    first.stop()
    wait_for(directory, lambda: directory.following == 0)


def test_who_loses_rights_is_told_no_more(door: Door, directory: Directory) -> None:
    run(directory.change("ann", {"imsAdministrator": ["TRUE"]}))
    copy = Consumer(bind(door, "ann", "anns"))
    copy.persist()
    wait_for(directory, lambda: copy.persisting)
    run(directory.change("ann", {"imsAdministrator": []}))
    wait_for(directory, lambda: copy.error is not None)
    assert isinstance(copy.error, errors.NotPermitted)


@pytest.mark.parametrize("notify", [True, False])
def test_a_persistent_search(admin: Identity, directory: Directory, notify: bool) -> None:
    asked = Controls(persistent=PersistentSearch(15, True, notify))
    request = SearchRequest(RECIPIENTS, Scope.SUBTREE, Deref.NEVER, 0, 0, False, parse("(uid=*)"), ("uid",))
    found: list[tuple[str, bytes | None]] = []
    began = []

    async def gather() -> None:
        async for answer in admin.search(request, asked):
            if answer is PERSISTING:
                began.append(True)
            elif isinstance(answer, Answer):
                entry: Any = client.read(responses.message(1, answer.operation)).operation
                found.append((entry.dn, answer.controls[0].value if answer.controls else None))

    going = Deferred.fromCoroutine(gather())
    going.addErrback(lambda failure: None)
    wait_for(directory, lambda: began)
    run(directory.add_user("bob@example.test"))
    wait_for(directory, lambda: len(found) == 1)
    run(directory.rename_entry(f"cn=bob,{RECIPIENTS}", "cn=rob", True, None, _server()))
    wait_for(directory, lambda: len(found) == 2)
    run(directory.delete_user("bob@example.test", delete_mailbox=True))
    wait_for(directory, lambda: len(found) == 3)
    going.cancel()
    names = [dn.partition(",")[0] for dn, _ in found]
    assert names == ["cn=bob", "cn=rob", "cn=rob"]
    types = [value and ber.Cursor(value).enter().integer(ber.ENUMERATED) for _, value in found]
    assert types == ([1, 8, 2] if notify else [None, None, None])
