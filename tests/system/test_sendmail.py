"""imsd-sendmail and the pickup folder, with the server running and not, and killed in between."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import subjects, texts
from tests.support.servers import RunningServer, environment

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def home(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    one.set("pickup.seconds", "0.5")
    yield one
    one.stop()


def sendmail(home: RunningServer, *arguments: str, text: str, check: bool = True) -> int:
    script = str(Path(sys.executable).with_name("imsd-sendmail"))
    done = subprocess.run(
        [script, *arguments],
        input=text,
        text=True,
        env={**environment(), "IMSD_HOME": str(home.home)},
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


def test_what_programs_hand_over(home: RunningServer) -> None:
    alice = home.address("alice")
    sendmail(home, "-i", "-f", "a@one.test", "alice", text="just text\nFrom: nobody\n")
    sendmail(
        home, "-i", "-f", "a@two.test", f"{alice},bob@far.invalid", "-F", "Jörg", text="Subject: two\n\nx\n"
    )
    text = "From someone Mon Jan  1 00:00:00 2024\nX-Sender: <a@other.test>\nSubject: three\n\nx\n"
    sendmail(home, "-i", "-f", "a@three.test", alice, text=text)
    assert arrived(home, "three") == 1
    letters = {text.partition(b"\r\n")[0]: text for text in texts(home)}
    assert letters[b"Return-Path: <a@one.test>"].endswith(b"\r\n\r\njust text\r\nFrom: nobody\r\n")
    two = letters[b"Return-Path: <a@two.test>"]
    assert b"\r\nFrom: =?utf-8?" in two.replace(b"UTF", b"utf") and two.isascii()
    assert b"\r\nReceived: by localhost (imsd-sendmail, from user " in two
    three = letters[b"Return-Path: <a@three.test>"]
    assert b"\r\nX-Sender: <a@other.test>\r\n" in three and b"From someone" not in three


def test_nobody_named(home: RunningServer) -> None:
    assert sendmail(home, text="Subject: nobody\n\n", check=False) == 64
    assert sendmail(home, "bad address", text="Subject: nobody\n\n", check=False) == 64
    assert sendmail(home, "--home", "/nonexistent", "a@example.org", text="x", check=False) == 66
    assert sendmail(home, "--home", f"/{'x' * 300}", "a@example.org", text="x", check=False) == 75


def test_what_reports_are_asked_for(home: RunningServer) -> None:
    alice = home.address("alice")
    asked = ("-i", "-f", alice, "-N", "success", "-R", "hdrs", "-Vjob+2B1")
    sendmail(home, *asked, alice, text="Subject: told\n\nx\n")
    assert arrived(home, "Delivered: told") == 1
    (report,) = (text for text in texts(home, "alice") if b"Subject: Delivered: told" in text)
    assert b"\r\nOriginal-Envelope-Id: job+1\r\n" in report
    sendmail(home, "-i", "-f", alice, "-Nnever", "gone@example.test", alice, text="Subject: quiet\n\nx\n")
    assert arrived(home, "quiet") == 1
    assert not any("Not delivered: quiet" in each for each in subjects(home, "alice"))
    for wrong in (("-N", "sometimes"), ("-R", "half"), ("-V", "a b")):
        assert sendmail(home, *wrong, alice, text="Subject: wrong\n\n", check=False) == 64


def test_other_words_of_sendmail(home: RunningServer) -> None:
    """What is not a letter is none, least of all one to `-bp`."""
    alice = home.address("alice")
    for words in (("-bv",), ("-bd",), ("-Z", alice), ("-t", "-N", "never")):
        assert sendmail(home, *words, text=f"To: {alice}\nSubject: no letter\n\n", check=False) == 64
    for words in (("-bp",), ("-bi",), ("-q",), ("-q15m",)):
        assert sendmail(home, *words, text="Subject: no letter\n\n") == 0
    sendmail(
        home, "-oem", "-odi", "-Ac", "-U", "-G", "-n", "-h5", "-f", alice, alice, text="Subject: last\n\n"
    )
    assert arrived(home, "last") == 1 and "no letter" not in subjects(home, "alice")


def test_it_speaks_smtp_and_tells_of_recipients(home: RunningServer) -> None:
    alice = home.address("alice")
    said = f"EHLO me\nMAIL FROM:<{alice}>\nRCPT TO:<{alice}>\nDATA\nSubject: by dialogue\n\nx\n.\nQUIT\n"
    sendmail(home, "-bs", text=said)
    assert arrived(home, "by dialogue") == 1
    assert sendmail(home, "-bv", alice, "alice", text="") == 0
    assert sendmail(home, "-bv", alice, "gone@example.test", text="", check=False) == 67
    assert sendmail(home, "-bv", "www-data", text="") == 0, "the postmaster's"


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
