"""The systemd unit: the server, as it is confined by etc/imsd.service, does all of its work."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

import pytest

from tests.support import sandbox
from tests.support.clients import poll, subjects
from tests.support.servers import ROOT, RunningServer, need, run

pytestmark = pytest.mark.system

UNIT = ROOT / "etc/imsd.service"


def sandboxed(*command: str) -> list[str]:
    need("systemd-analyze")
    try:
        ctypes.CDLL(sandbox.LIBRARY)
    except OSError:
        if os.environ.get("IMSD_REQUIRE_CLIENTS") == "1":
            raise
        pytest.skip(f"{sandbox.LIBRARY} is not installed")
    return [sys.executable, sandbox.__file__, str(UNIT), *command]


def test_what_the_unit_forbids_is_forbidden() -> None:
    """Or else the test below shows nothing."""
    script = "import os, socket\n"
    for forbidden in ("os.setgroups([])", "socket.socket(socket.AF_NETLINK)"):
        script += f"try:\n {forbidden}\nexcept OSError as error:\n print(type(error).__name__, error.errno)\n"
    told = run(*sandboxed(sys.executable, "-c", script)).stdout.split("\n")
    assert told[:2] == ["PermissionError 1", "OSError 97"]


def test_the_server_works_as_the_unit_confines_it(make_server: Callable[..., RunningServer]) -> None:
    server = make_server(start=False)
    server.prefix = sandboxed()
    server.start()
    server.add_user("alice")
    server.deliver("Subject: in a box\r\n\r\nneedle\r\n", [server.address("alice")])
    assert subjects(server) == ["in a box"]
    # The processes beside it are alive, too.
    server.ask("search.rebuild")
    poll(lambda: server.ask("search.status")["indexed"] == 1)
    (server.home / "pickup/one").write_bytes(
        b"From: someone@example.org\r\nTo: alice@example.test\r\nSubject: laid down\r\n\r\nx\r\n"
    )
    assert server.process is not None
    server.process.send_signal(signal.SIGHUP)
    poll(lambda: "laid down" in subjects(server))
    server.imsctl("verify")
    assert server.stop() == 0
    assert "Traceback" not in server.log
    assert "Operation not permitted" not in server.log
