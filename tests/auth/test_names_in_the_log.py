"""What strangers call themselves is a line of the log, and nothing that a terminal obeys."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from imsd.auth.account import Proved
from imsd.auth.checkers import counted
from imsd.auth.names import SHOWN, legible
from imsd.auth.throttle import Throttle
from imsd.errors import AuthenticationFailed
from imsd.settings.logins import Logins


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("joe@example.org", "joe@example.org"),
        ("Jörg Müller", "Jörg Müller"),
        ("bo\n2026-11-25T00:00:00 all is well", "bo\ufffd2026-11-25T00:00:00 all is well"),
        ("e\x1b[2Jve\x07", "e\ufffd[2Jve\ufffd"),
        ("a\u202eb\u2028c\x85d\0", "a\ufffdb\ufffdc\ufffdd\ufffd"),
        ("x" * SHOWN, "x" * SHOWN),
        ("x" * (SHOWN + 1), "x" * SHOWN + "..."),
    ],
)
def test_what_is_shown(name: str, shown: str) -> None:
    assert legible(name) == shown


def test_a_failed_login_is_told_so() -> None:
    async def wrong() -> Proved:
        raise AuthenticationFailed

    told: list[object] = []

    def heard(event: dict[str, object]) -> None:
        if event.get("event_id") == 4183:
            told.append(event["name"])

    globalLogPublisher.addObserver(heard)
    try:
        throttle = Throttle(Logins, Clock().seconds)
        attempt = Deferred.fromCoroutine(counted(throttle, "e\x1b[2J\nve", "192.0.2.1", wrong))
        SynchronousTestCase().failureResultOf(attempt, AuthenticationFailed)
    finally:
        globalLogPublisher.removeObserver(heard)
    assert told == ["e\ufffd[2J\ufffdve"]
