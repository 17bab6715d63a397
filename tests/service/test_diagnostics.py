"""Files that are turned over, and what of a conversation may be written down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from imsd.diagnostics import diagnosis, files
from imsd.diagnostics.files import MOMENT, Growing
from imsd.diagnostics.protocol import Trace
from imsd.events import EVENTS
from tests.support.stores import run


def at_once(function: Any, *args: Any) -> Any:
    try:
        return succeed(function(*args))
    except OSError as error:
        return fail(error)


def test_a_file_is_turned_over_and_the_oldest_goes(tmp_path: Path) -> None:
    clock = Clock()
    growing = Growing(tmp_path / "log" / "x.log", lambda: (20, 3), clock, at_once)
    for number in range(5):
        growing.write(f"line {number} {'.' * 14}")
        growing.write("short")
        clock.advance(MOMENT)
    found = {each.name: each.read_text() for each in (tmp_path / "log").iterdir()}
    assert found.keys() == {"x.log.1", "x.log.2"}
    assert found["x.log.1"].startswith("line 4")
    assert found["x.log.2"].startswith("line 3")
    growing.write("another")
    run(growing.close())
    assert (tmp_path / "log" / "x.log").read_text() == "another\n"


def test_what_a_slow_disk_does_not_take_is_missing_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST", 10)
    clock, path = Clock(), tmp_path / "x.log"
    growing = Growing(path, lambda: (10**6, 3), clock, at_once)
    for line in ("12345", "1234", "lost", "lost"):
        growing.write(line)
    clock.advance(MOMENT)
    assert path.read_text() == "12345\n1234\n(2 lines are missing here)\n"


def test_lines_that_come_while_others_are_written_are_behind_them(tmp_path: Path) -> None:
    clock, begun = Clock(), []

    def slow(function: Any, *args: Any) -> Any:
        done: Deferred[None] = Deferred()
        begun.append((done, lambda: function(*args)))
        return done

    growing = Growing(tmp_path / "x.log", lambda: (10**6, 3), clock, slow)
    growing.write("first")
    clock.advance(MOMENT)
    growing.write("second")
    clock.advance(10 * MOMENT)
    assert len(begun) == 1
    closing = growing.close()
    waiting = Deferred.fromCoroutine(closing)
    for done, write in begun:
        write()
        done.callback(None)
    assert waiting.called
    assert (tmp_path / "x.log").read_text() == "first\nsecond\n"


def test_a_disk_that_is_full_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "x.log"
    path.mkdir()
    growing = Growing(path, lambda: (10**6, 3), clock, at_once)
    growing.write("lost")
    clock.advance(MOMENT)
    path.rmdir()
    growing.write("there")
    clock.advance(MOMENT)
    assert path.read_text() == "there\n(1 lines are missing here)\n"


@pytest.mark.parametrize(
    ("heard", "known", "written"),
    [
        (b"EHLO client.example", True, "<<< EHLO client.example"),
        (b"AUTH PLAIN AGJvYgBzM2NyZXQ=", True, "<<< AUTH PLAIN (hidden)"),
        (b"auth login dXNlcg==", True, "<<< auth login (hidden)"),
        (b"AUTH LOGIN", True, "<<< AUTH LOGIN"),
        (b"AGJvYgBzM2NyZXQ=", False, "<<< (no command, 16 octets)"),
        (b"MAIL FROM:<\x00\x1b[31m>", True, "<<< MAIL FROM:<\\x00\\x1b[31m>"),
        ("NOOP ü".encode(), True, "<<< NOOP ü"),
        (b"NOOP \xff", True, "<<< NOOP \\xff"),
        (b"x" * 5_000, True, "<<< " + "x" * 4_096),
    ],
)
def test_what_is_heard(heard: bytes, known: bool, written: str) -> None:
    lines: list[str] = []
    Trace(lines.append, 3).heard(heard, known)
    assert lines == [written]


def test_answers_to_a_challenge_are_hidden() -> None:
    lines: list[str] = []
    trace = Trace(lines.append, 3)
    trace.said(b"AUTH SCRAM-SHA-256 biwsbj1ib2I=\r\n")
    trace.heard(b"334 cj1yYW5kb20=")
    trace.said(b"Yz1iaXdzLHI9\r\n")
    trace.heard(b"235 2.7.0 Welcome")
    trace.said(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
    assert lines == [
        ">>> AUTH SCRAM-SHA-256 (hidden)",
        "<<< 334 (hidden)",
        ">>> (hidden)",
        "<<< 235 2.7.0 Welcome",
        ">>> MAIL FROM:<a@b>",
        ">>> RCPT TO:<c@d>",
    ]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        (1, ["met"]),
        (3, ["met", "<<< NOOP", ">>> 250 OK", "<<< Subject: x"]),
        (5, ["met", "<<< NOOP", ">>> 250 OK", "<<< Subject: x", "<<< ", "<<< hello"]),
    ],
)
def test_levels(level: int, written: list[str]) -> None:
    lines: list[str] = []
    trace = Trace(lines.append, level)
    trace.note("met")
    trace.heard(b"NOOP")
    trace.said(b"250 OK\r\n")
    trace.header(b"Subject: x\r\n")
    trace.content(b"Subject: x\r\n\r\nhello\r\n")
    assert lines == written


def test_every_event_has_a_category_as_the_documentation_has() -> None:
    path = Path(__file__).parent.parent.parent / "docs" / "events.md"
    rows = re.findall(r"^\| (\d+) \| [^|]+\| ([^|]+) \|", path.read_text("utf-8"), re.MULTILINE)
    assert {int(number): category for number, category in rows} == {
        number: event.category.value for number, event in EVENTS.items()
    }
    assert {event.category for event in EVENTS.values() if event.level} <= diagnosis.PAGES.keys()
