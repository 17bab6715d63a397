"""Debian's Thunderbird without a screen, told what to do through its remote protocol (Marionette).

Nothing of it is replaced: its own account, folder, compose and address-book code talks to the
server. Scripts run with the functions of thunderbird.js.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.support.servers import PASSWORD, RunningServer, need

LIBRARY = Path(__file__).with_suffix(".js").read_text("utf-8")
START = 60.0
PATIENCE = 30.0
PREFERENCES: dict[str, object] = {
    "app.update.disabledForTesting": True,
    "datareporting.policy.dataSubmissionEnabled": False,
    "mail.biff.alert.show_preview": False,
    "mail.biff.play_sound": False,
    "mail.biff.show_alert": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.shell.checkDefaultClient": False,
    "mailnews.confirm.moveFoldersToTrash": False,
    "mailnews.start_page.enabled": False,
    # INBOX stays selected; else its connection may be taken to synchronise another folder.
    "mail.server.default.autosync_offline_stores": False,
    "mail.server.default.delete_model": 1,
    "toolkit.telemetry.enabled": False,
}


class ScriptFailed(AssertionError):
    """A script threw; its message and stack."""


class Marionette:
    """The remote protocol: `length:json` in both directions, each command answered by its number."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE * 2)
        self._lines = self._socket.makefile("rb")
        self._number = 0
        self._read()  # The greeting.
        # Who is asked "Delete the folder?" says yes.
        self.call("WebDriver:NewSession", capabilities={"alwaysMatch": {"unhandledPromptBehavior": "accept"}})
        self.call("Marionette:SetContext", value="chrome")
        self.call("WebDriver:SetTimeouts", script=int(PATIENCE * 1000))

    def call(self, name: str, **parameters: object) -> Any:
        self._number += 1
        text = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(text), text))
        _, number, error, result = self._read()
        assert number == self._number
        if error:
            raise ScriptFailed(f"{error['error']}: {error['message']}")
        return result

    def _read(self) -> Any:
        length = b""
        while (octet := self._lines.read(1)) != b":":
            assert octet, "Thunderbird closed the connection"
            length += octet
        return json.loads(self._lines.read(int(length)))

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Thunderbird:
    """One profile and the process that uses it."""

    def __init__(self, folder: Path) -> None:
        program = need("thunderbird")
        self._profile = folder / "profile"
        self._profile.mkdir()
        (self._profile / "user.js").write_text(
            "".join(
                f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
                for name, value in {**PREFERENCES, "marionette.port": 0}.items()
            ),
            "utf-8",
        )
        with (folder / "thunderbird.out").open("wb") as out:
            self._process = subprocess.Popen(
                [
                    *(program, "--headless", "--no-remote", "--profile", str(self._profile)),
                    *("--marionette", "-remote-allow-system-access"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "HOME": str(folder), "MOZ_CRASHREPORTER_DISABLE": "1"},
                start_new_session=True,
            )
        try:
            self._remote = Marionette(self._port())
        except BaseException:
            self._end()
            raise

    def _port(self) -> int:
        told = self._profile / "MarionetteActivePort"
        give_up = time.monotonic() + START
        while time.monotonic() < give_up:
            if told.exists() and (port := told.read_text("utf-8").strip()):
                return int(port)
            assert self._process.poll() is None, "Thunderbird ended"
            time.sleep(0.05)
        raise AssertionError("Thunderbird did not start")

    def run(self, script: str, *given: object) -> Any:
        """Run a script with `given` as its arguments; what it returns."""
        result = self._remote.call(
            "WebDriver:ExecuteAsyncScript",
            script=f"""
                const done = arguments[arguments.length - 1];
                const given = Array.from(arguments).slice(0, -1);
                (async () => {{ {LIBRARY} {script} }})().then(
                    value => done({{ value: value === undefined ? null : value }}),
                    error => done({{ error: `${{error}} ${{error.stack || ""}}` }}));
            """,
            args=list(given),
            newSandbox=False,
        )["value"]
        if result is None:  # A dialogue came up, and was answered.
            return None
        if "error" in result:
            raise ScriptFailed(result["error"])
        return result["value"]

    def until(self, script: str, *given: object) -> Any:
        """Run a script again and again until it returns something that holds; that."""
        give_up = time.monotonic() + PATIENCE
        while not (value := self.run(script, *given)):
            assert time.monotonic() < give_up, f"it did not happen: {script}"
            time.sleep(0.1)
        return value

    def trust(self, server: RunningServer) -> None:
        """Make an exception for the server's certificate, as people do who see the warning."""
        text = (server.home / "tls/server.crt").read_text("ascii").split("-----")[2]
        names = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions", "ldaps")
        self.run("trust(...given);", "".join(text.split()), [server.port(name) for name in names])

    def account(self, server: RunningServer, user: str, kind: str = "imap", starttls: bool = False) -> None:
        """An account as the account dialogue makes it, with an outgoing server."""
        incoming, outgoing, tls = (kind, "submission", 2) if starttls else (f"{kind}s", "submissions", 3)
        self.run(
            "account(...given);",
            *(user, PASSWORD, kind, server.port(incoming), tls, server.port(outgoing), tls),
        )

    def close(self) -> None:
        self._remote.close()
        self._end()

    def _end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
