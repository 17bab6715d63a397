"""imsd-sendmail and the pickup folder, with the server running and not, and killed in between."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import subjects
from tests.support.servers import RunningServer

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def home(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    one.imsctl("settings", "set", "pickup.seconds", "0.5")
    yield one
    one.stop()


def sendmail(home: RunningServer, *arguments: str, text: str, check: bool = True) -> int:
    script = str(Path(sys.executable).with_name("imsd-sendmail"))
    done = subprocess.run(
        [script, *arguments],
        input=text,
        text=True,
        env={**os.environ, "IMSD_HOME": str(home.home)},
        capture_output=True,
        timeout=30,
    )
    assert not check or done.returncode == 0, done.stderr
    return done.returncode


def arrived(home: RunningServer, subject: str) -> int:
    give_up = time.monotonic() + 20
    while (count := subjects(home, "alice").count(subject)) == 0 and time.monotonic() < give_up:
        time.sleep(0.1)
    return count


def test_recipients_on_the_command_line(home: RunningServer) -> None:
    sendmail(
        home, "-oi", "-f", "cron@example.org", home.address("alice"), text="Subject: cron\n\ndone\n.\nx\n"
    )
    assert arrived(home, "cron") == 1


def test_recipients_from_the_header(home: RunningServer) -> None:
    alice = home.address("alice")
    sendmail(home, "-t", "-i", "-F", "The Machine", text=f"To: {alice}\nSubject: header\n\nhello\n")
    assert arrived(home, "header") == 1


def test_nobody_named(home: RunningServer) -> None:
    assert sendmail(home, text="Subject: nobody\n\n", check=False) == 2
    assert sendmail(home, "bad address", text="Subject: nobody\n\n", check=False) == 2
    assert sendmail(home, "--home", "/nonexistent", "a@example.org", text="x", check=False) == 66


def test_while_the_server_is_down_and_killed(home: RunningServer) -> None:
    alice = home.address("alice")
    home.stop()
    for number in range(20):
        sendmail(home, "-i", "-f", "cron@example.org", alice, text=f"Subject: down {number}\n\nhello\n")
    home.start()
    time.sleep(0.3)
    home.kill()
    home.start()
    assert [arrived(home, f"down {number}") for number in range(20)] == [1] * 20
    assert [path.name for path in (home.home / "pickup").iterdir()] == ["archive"]
