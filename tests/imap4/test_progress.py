"""RFC 9585 INPROGRESS: told every ten seconds, growing, never behind the tagged response."""

from __future__ import annotations

from typing import Any

from protocols.imap4.progress import INTERVAL, Progress
from tests.support.imap4 import Client, FakeView, world_with


class Reports:
    def __init__(self) -> None:
        self.now = 0.0
        self.sent: list[bytes] = []
        self.progress = Progress(lambda: self.now, self.sent.append)

    def at(self, now: float, done: int, goal: int = 0) -> bytes:
        self.now = now
        self.progress.report(done, goal)
        sent, self.sent[:] = b"".join(self.sent), []
        return sent.partition(b"]")[0].removeprefix(b"* OK [INPROGRESS ")


def test_one_notification_an_interval() -> None:
    reports = Reports()
    reports.progress.begin(b"a1")
    assert reports.at(INTERVAL - 1, 5, 100) == b""
    assert reports.at(INTERVAL, 6, 100) == b'("a1" 6 100)'
    assert reports.at(INTERVAL + 9, 7, 100) == b""
    # Who does not work in order is not told backwards.
    assert reports.at(INTERVAL * 2, 3, 100) == b'("a1" 7 100)'


def test_what_is_done_never_reaches_the_goal() -> None:
    reports = Reports()
    reports.progress.begin(b"a1")
    assert reports.at(20, 100, 100) == b""
    assert reports.at(21, 0, 100) == b""


def test_a_second_step_has_no_known_goal() -> None:
    reports = Reports()
    reports.progress.begin(b"a1")
    assert reports.at(10, 90, 100) == b'("a1" 90 100)'
    reports.at(11, 100, 100)
    assert reports.at(20, 7, 40) == b'("a1" 107 NIL)'
    assert reports.at(30, 39, 40) == b'("a1" 139 NIL)'


def test_a_tag_with_a_bracket_is_not_told() -> None:
    reports = Reports()
    reports.progress.begin(b"a]1")
    assert reports.at(10, 1) == b"(NIL 1 NIL)"


def test_nothing_is_told_of_a_command_that_ended() -> None:
    reports = Reports()
    reports.at(99, 1, 2)
    reports.progress.begin(b"a1")
    reports.progress.end()
    assert reports.at(199, 1, 2) == b""
    # Each command has its own time.
    reports.progress.begin(b"a2")
    assert reports.at(200, 1, 2) == b""


def test_a_long_search_tells_and_then_answers(monkeypatch: Any) -> None:
    client = Client(world_with(2)).select()
    search = FakeView.search

    async def slow(self: Any, key: Any, comparator: str = "") -> Any:
        client.clock.advance(INTERVAL)
        self.account.progress(1, 2)
        return await search(self, key)

    monkeypatch.setattr(FakeView, "search", slow)
    assert client.say(b"a SEARCH ALL") == (
        b'* OK [INPROGRESS ("a" 1 2)] Still at work\r\n* SEARCH 1 2\r\na OK SEARCH completed\r\n'
    )
    client.clock.advance(INTERVAL)
    client.world.accounts[0].progress(1, 2)
    assert client.heard() == b""
