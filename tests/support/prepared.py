"""Programs of this checkout, forked from a process that has imported them.

Importing the server takes more processor time than everything a short test asks of it. So one
process of each worker imports it once, opens nothing, has one thread and no reactor, and forks:
what runs in the child is `twistd` or `imsctl` from their first line on, with arguments, environment,
folder and open files of its own. tests/system/test_starting.py, test_readme.py and test_wheel.py
start the real scripts, and IMSD_TEST_FORK=0 starts all of them so.

    worker --(argv, environment, folder; stdin, stdout, stderr)--> this process --fork--> child
    worker --(wait, pid)-----------------------------------------> this process: its exit status
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

LONGEST = 1 << 17
"""Bytes of a request: the environment is most of it."""
LOOK = 0.01
"""Seconds between looks at whether a child has ended."""

_asking = threading.Lock()
_control: socket.socket | None = None


class Forked:
    """A child of the prepared process, with the part of Popen that tests use."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask({"wait": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        give_up = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if give_up is not None and time.monotonic() > give_up:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(LOOK)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork(
    command: list[str],
    environment: dict[str, str],
    folder: Path,
    stdin: IO[bytes],
    stdout: IO[bytes],
    stderr: IO[bytes],
) -> Forked:
    """Run "twistd" or "imsctl", the last part of the command's first word, with its arguments."""
    asked = {"command": command, "environment": environment, "folder": str(folder)}
    return Forked(_ask(asked, [stdin.fileno(), stdout.fileno(), stderr.fileno()]))


def possible(extra: dict[str, str]) -> bool:
    """Whether a child would see these variables: those of the interpreter and of libraries it would not."""
    return os.environ.get("IMSD_TEST_FORK") != "0" and all(name.startswith("IMSD_") for name in extra)


def _ask(what: dict[str, Any], files: list[int] | None = None) -> Any:
    with _asking:
        control = _control or _begin()
        socket.send_fds(control, [json.dumps(what).encode()], files or [])
        answer = control.recv(LONGEST)
    if not answer:
        raise RuntimeError("the prepared process has ended")
    return json.loads(answer)


def _begin() -> socket.socket:
    global _control
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    root = Path(__file__).parent.parent.parent
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.prepared", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        cwd=root,
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    _control = ours

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(control: socket.socket) -> Callable[[], None] | None:
    """Answer until nobody asks any more; in a child, what it is to run."""
    while True:
        data, files, _, _ = socket.recv_fds(control, LONGEST, 3)
        if not data:
            return None
        asked = json.loads(data)
        if "wait" in asked:
            pid, status = os.waitpid(asked["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            control.close()
            return _child(asked, files)
        for file in files:
            os.close(file)
        control.send(json.dumps(answer).encode())


def _child(asked: dict[str, Any], files: list[int]) -> Callable[[], None]:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    os.chdir(asked["folder"])
    sys.argv = asked["command"]
    from twisted.scripts import twistd

    from imsd import ctl

    return {"twistd": twistd.run, "imsctl": ctl.main}[Path(sys.argv[0]).name]


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    # A Ctrl-C in the terminal is for the tests, which then close the socket.
    interrupted = signal.signal(signal.SIGINT, signal.SIG_IGN)

    import twisted.scripts.twistd

    from imsd import ctl, tap

    assert twisted.scripts.twistd and tap
    ctl.whole()
    assert "twisted.internet.reactor" not in sys.modules
    assert threading.active_count() == 1
    gc.collect()
    gc.freeze()
    program = _serve(control)
    if program is not None:
        signal.signal(signal.SIGINT, interrupted)
        _end(program)


def _end(program: Callable[[], None]) -> None:
    """Run it and end as an interpreter does, but for taking apart what belongs to all children."""
    status = 0
    try:
        program()
    except SystemExit as ended:
        if isinstance(ended.code, int):
            status = ended.code
        elif ended.code is not None:
            print(ended.code, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _main()
