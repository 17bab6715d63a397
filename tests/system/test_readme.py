"""README.md, "In a minute", followed word for word in a copy of what is tracked.

It makes a virtual environment of its own (pip's cache helps) and uses the fixed ports of the
demonstration, so it is skipped where something else has them.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imsd import config
from tests.support.servers import ROOT, need

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("readme")]

INSTALL = 400.0
"""Seconds for a virtual environment with everything in it."""

EXPECTED = {
    "swaks": "250 2",
    "curl": "Subject:",
    "ldapsearch": "uid: alice",
    ".venv/bin/imsctl": "127.0.0.1:1025",
}
"""What the output of a command holds, by its first word."""


def blocks() -> list[str]:
    """The shell blocks of the section."""
    section = (ROOT / "README.md").read_text().split("## In a minute")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def commands(block: str) -> list[str]:
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files, without what they built."""
    need("make")
    for port in config.STANDARD_PORTS.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port + 1000))
            except OSError:
                pytest.skip(f"port {port + 1000} is taken")
    folder = tmp_path_factory.mktemp("stranger") / "imsd"
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout")
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """A stranger's: nothing of this checkout or its virtual environment in it."""
    kept = ("HOME", "LANG", "TERM", "TMPDIR")
    drop = {str(Path(sys.executable).parent)}
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part not in drop)
    base = str(Path(sys.base_prefix) / "bin")
    pip = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "UV_"))}
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    own = {key: os.environ[key] for key in kept if key in os.environ}
    # A falsy value enables it, as pip's documentation has it: what is not run need not be compiled.
    quick = {"PIP_NO_COMPILE": "0"}
    return {**own, **pip, **proxies, **quick, "PATH": f"{base}{os.pathsep}{path}"}


@pytest.fixture(scope="module")
def demonstration(checkout: Path, environment: dict[str, str]) -> Iterator[Path]:
    """`make run` in the foreground of another terminal."""
    (start,) = commands(blocks()[0])
    assert start == "make run"
    output = checkout / "output"
    with output.open("wb") as out:
        process = subprocess.Popen(
            start.split(),
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            # A job in the background has it ignored; a terminal's has not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        give_up = time.monotonic() + INSTALL
        while "is up on" not in output.read_text("utf-8", "replace"):
            assert process.poll() is None, output.read_text("utf-8", "replace")[-3000:]
            assert time.monotonic() < give_up, output.read_text("utf-8", "replace")[-3000:]
            time.sleep(0.2)
        yield checkout
    finally:
        # As Ctrl-C does: to make and to what it runs.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def test_it_says_how_to_connect(demonstration: Path) -> None:
    said = (demonstration / "output").read_text("utf-8", "replace")
    assert "alice@example.test" in said
    assert "swaks --server 127.0.0.1:1025" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("command", commands(blocks()[1]))
def test_each_command_does_what_it_says(
    demonstration: Path, environment: dict[str, str], command: str
) -> None:
    program = command.split()[0]
    if not program.startswith("."):
        need(program)
    done = subprocess.run(
        command, shell=True, cwd=demonstration, env=environment, timeout=60,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert EXPECTED[program] in done.stdout
