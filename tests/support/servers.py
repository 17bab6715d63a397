"""A real `twistd imsd` in a child process, for tests/system.

The fixture `server` is one server for all tests of a module that only add to it; `make_server`
makes one of a test's own (to kill, to fill, to configure).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest

from imsd import config
from imsd.ctl import client
from tests.support import prepared

ROOT = Path(__file__).parent.parent.parent
DOMAIN = "example.test"
PASSWORD = "s3cret-enough"
START = 40.0


def environment() -> dict[str, str]:
    """The environment of children: this checkout first on the path."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    given = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    if given.pop("PYTHONDONTWRITEBYTECODE", ""):
        # Compiling the server takes half a second of each start; the checkout stays as it is.
        given.setdefault("PYTHONPYCACHEPREFIX", str(Path(tempfile.gettempdir()) / "imsd-test-bytecode"))
    return given


_reserved: list[Any] = []


OFFSETS = [thousand + step for thousand in range(11_000, 31_000, 1_000) for step in range(23) if step % 4 < 2]
"""Offsets at which no port of one server is a port of another, whatever is up or down. All are
below the ports that the system gives to clients, which come and go."""


def free_offset() -> int:
    """A port offset at which every listener's port is free, and is ours while this process lives."""
    folder = Path(tempfile.gettempdir()) / "imsd-test-ports"
    folder.mkdir(exist_ok=True)
    start = os.getpid() * 37
    for step in range(len(OFFSETS)):
        offset = OFFSETS[(start + step) % len(OFFSETS)]
        lock = (folder / str(offset)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if all(_is_free(port + offset) for port in config.STANDARD_PORTS.values()):
            _reserved.append(lock)
            return offset
        lock.close()
    raise RuntimeError("no free ports")


def free_port() -> int:
    """A port for a program of ours, which is ours while this process lives; on any loopback address."""
    return config.STANDARD_PORTS["smtp"] + free_offset()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def need(program: str) -> str:
    """The path of a client program; without it the test is skipped, or fails on CI."""
    found = shutil.which(program)
    if found is None:
        if os.environ.get("IMSD_REQUIRE_CLIENTS") == "1":
            pytest.fail(f"{program} is not installed and IMSD_REQUIRE_CLIENTS=1")
        pytest.skip(f"{program} is not installed")
    return found


def run_imsctl(*arguments: str, input: str | None = None, timeout: float = 60, check: bool = True) -> Any:
    """Run imsctl to its end, as `run` does."""
    if not prepared.possible({}):
        return run(sys.executable, "-m", "imsd.ctl", *arguments, input=input, timeout=timeout, check=check)
    command = ["imsctl", *arguments]
    with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
        stdin.write((input or "").encode())
        stdin.seek(0)
        process = prepared.fork(command, environment(), Path.cwd(), stdin, stdout, stderr)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        out, err = (_everything(file) for file in (stdout, stderr))
    if check and status:
        pytest.fail(f"{' '.join(command)} exited with {status}\n{out}\n{err}")
    return subprocess.CompletedProcess(command, status, out, err)


def _everything(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def run(*command: str, input: str | None = None, timeout: float = 60, check: bool = True) -> Any:
    """Run a program to its end; its output is in the failure when `check` finds one."""
    done = subprocess.run(
        command, input=input, capture_output=True, text=True, timeout=timeout, env=environment(), check=False
    )
    if check and done.returncode:
        pytest.fail(f"{' '.join(command)} exited with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@dataclass
class RunningServer:
    """One home and the process that serves it. prefix: a program, with arguments, that runs it."""

    home: Path
    offset: int
    process: subprocess.Popen[bytes] | prepared.Forked | None = None
    environment: dict[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()

    def port(self, name: str) -> int:
        return config.STANDARD_PORTS[name] + self.offset

    def address(self, alias: str) -> str:
        return alias if "@" in alias else f"{alias}@{DOMAIN}"

    @property
    def log(self) -> str:
        path = self.home / "twistd.out"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self, **extra: str) -> None:
        """Start it and wait until every listener is up. extra: environment variables."""
        assert self.process is None
        more = {**self.environment, **extra}
        command, variables = self._command(), {**environment(), **more}
        with (self.home / "twistd.out").open("ab") as out, Path(os.devnull).open("rb") as nothing:
            if not self.prefix and prepared.possible(more):
                self.process = prepared.fork(command, variables, self.home, nothing, out, out)
            else:
                self.process = subprocess.Popen(
                    command, stdout=out, stderr=out, stdin=nothing, env=variables, cwd=self.home
                )
        self.wait_until_up()

    def fail_to_start(self, *options: str, **extra: str) -> tuple[int, str]:
        """Start it where it cannot; the exit status and everything it said."""
        command = self._command()
        done = subprocess.run(
            [command[0], *options, *command[1:]],
            capture_output=True,
            text=True,
            env={**environment(), **self.environment, **extra},
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _command(self) -> list[str]:
        twistd = Path(sys.executable).with_name("twistd")
        return [*self.prefix, str(twistd), "--nodaemon", "--pidfile=", "imsd", "--home", str(self.home)]

    def wait_until_up(self) -> None:
        give_up = time.monotonic() + START
        while time.monotonic() < give_up:
            assert self.process is not None
            if self.process.poll() is not None:
                pytest.fail(f"the server ended with {self.process.returncode}\n{self.log[-5000:]}")
            try:
                client.call(self.home / "run/control.sock", "status", {}, timeout=10)
                return
            except (client.NotRunning, OSError):
                time.sleep(0.02)
        pytest.fail(f"the server was not up after {START} s\n{self.log[-5000:]}")

    def stop(self, how: int = signal.SIGTERM, timeout: float = 40) -> int:
        """Send a signal, wait for the end; the exit status (negative: the signal)."""
        process, self.process = self.process, None
        if process is None:
            return 0
        try:
            process.send_signal(how)
        except ProcessLookupError:
            pass  # It has ended by itself.
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the server did not stop within {timeout} s\n{self.log[-5000:]}")

    def kill(self) -> None:
        """SIGKILL, as a power failure would."""
        self.stop(signal.SIGKILL)

    def imsctl(self, *arguments: str, input: str | None = None, check: bool = True) -> Any:
        return run_imsctl("--home", str(self.home), *arguments, input=input, check=check)

    def ask(self, operation: str, **arguments: Any) -> Any:
        """An operation over the control socket."""
        return client.call(self.home / "run/control.sock", operation, arguments)

    def set(self, key: str, value: str) -> None:
        """Change a setting: over the control socket, by imsctl where no server runs."""
        if self.process is None:
            self.imsctl("settings", "set", key, value)
        else:
            self.ask("settings.set", key=key, value=value)

    def reset(self, key: str) -> None:
        """Put a setting back to its default."""
        self.ask("settings.reset", key=key)

    def add_user(self, alias: str, **more: Any) -> str:
        """A person with PASSWORD; the address."""
        address = self.address(alias)
        name = f"{alias.capitalize()} Tester"
        self.ask("user.add", address=address, password=PASSWORD, name=name, **more)
        return address

    def tls(self) -> ssl.SSLContext:
        """A client context that trusts this server's certificate and checks names."""
        return ssl.create_default_context(cafile=str(self.home / "tls/server.crt"))

    def deliver(self, message: bytes | str, to: list[str], sender: str = "someone@example.org") -> None:
        """Hand a message to port 25."""
        import smtplib

        with smtplib.SMTP("127.0.0.1", self.port("smtp"), timeout=20) as smtp:
            smtp.sendmail(sender, to, message)


def set_up(one: RunningServer, database_url: str = "sqlite") -> None:
    """Make the home, as an administrator does."""
    one.imsctl(
        *("setup", "--yes", "--domain", DOMAIN, "--organization", "Example"),
        *("--hostname", "localhost", "--listen", "127.0.0.1", "--port-offset", str(one.offset)),
        *("--admin-password", PASSWORD, "--database-url", database_url),
    )


@pytest.fixture(scope="session")
def pattern_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as setup makes it, which nobody starts; making each test's anew takes two seconds."""
    home = tmp_path_factory.mktemp("pattern")
    set_up(RunningServer(home, 0))
    return home


@pytest.fixture(scope="session")
def make_server(
    tmp_path_factory: pytest.TempPathFactory, pattern_home: Path
) -> Iterator[Callable[..., RunningServer]]:
    """Makes homes; the servers still running at the end are stopped.

    Homes with the embedded store are copies of one, so they have one certificate, too; `own`
    makes one with its own.
    """
    made: list[RunningServer] = []

    def make(
        start: bool = True,
        database_url: str = "sqlite",
        home: Path | None = None,
        own: bool = False,
        **extra: str,
    ) -> RunningServer:
        home = home or tmp_path_factory.mktemp("home")
        one = RunningServer(home, free_offset(), environment=dict(extra))
        made.append(one)
        if own or database_url != "sqlite":
            set_up(one, database_url)
        else:
            shutil.copytree(pattern_home, home, dirs_exist_ok=True)
            written = home / "imsd.toml"
            text = written.read_text("utf-8")
            assert "port_offset = 0 " in text
            written.write_text(text.replace("port_offset = 0 ", f"port_offset = {one.offset} "), "utf-8")
        if start:
            one.start()
        return one

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def server(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    """One running server with alice and bob."""
    one = make_server()
    one.add_user("alice")
    one.add_user("bob")
    yield one
    one.stop()
