"""A Postfix of a test's own: its own folders and port, on loopback, stopped by its pid. Needs root, which its
processes give up themselves; without it the test is skipped, and without the package, too, or fails on CI."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

DAEMONS = "/usr/lib/postfix/sbin"
START = 30.0


def available() -> None:
    if not Path(DAEMONS, "master").exists():
        if os.environ.get("IMSD_REQUIRE_CLIENTS") == "1":
            pytest.fail("postfix is not installed and IMSD_REQUIRE_CLIENTS=1")
        pytest.skip("postfix is not installed")
    if os.geteuid() != 0:
        pytest.skip("Postfix is started by root alone")


class Postfix:
    """Listens on 127.0.0.1:port; `settings` are lines of main.cf. plain: a port without extensions."""

    def __init__(self, folder: Path, port: int, *settings: str, plain: int = 0) -> None:
        available()
        self.port = port
        self.log = folder / "log"
        config, queue, data = folder / "etc", folder / "queue", folder / "data"
        for each in (config, queue, data):
            each.mkdir(parents=True)
        # Its processes are not root, and the folders of tests are root's alone.
        for each in (folder, *folder.parents[:4]):
            if each.stat().st_uid == 0 and each != Path("/tmp"):
                each.chmod(each.stat().st_mode | 0o011)
        shutil.chown(data, "postfix")
        lines = [
            "compatibility_level = 3.6",
            f"queue_directory = {queue}",
            f"data_directory = {data}",
            "command_directory = /usr/sbin",
            f"daemon_directory = {DAEMONS}",
            "mail_owner = postfix",
            "setgid_group = postdrop",
            "myhostname = postfix.test",
            "mydestination =",
            "inet_interfaces = 127.0.0.1",
            "inet_protocols = ipv4",
            "mynetworks = 127.0.0.0/8",
            "smtpd_recipient_restrictions = permit_mynetworks, reject",
            f"maillog_file = {self.log}",
            f"maillog_file_prefixes = {folder}",
            "smtputf8_enable = yes",
            *settings,
        ]
        (config / "main.cf").write_text("\n".join(lines) + "\n")
        master = Path("/usr/share/postfix/master.cf.dist").read_text()
        master = "\n".join(
            line for line in master.splitlines() if not line.startswith(("smtp      inet", "pickup"))
        )
        listening = [f"127.0.0.1:{port} inet n - n - - smtpd"]
        if plain:
            without = "smtpd_discard_ehlo_keywords=8bitmime,chunking,dsn,pipelining,size,smtputf8,starttls"
            listening.append(f"127.0.0.1:{plain} inet n - n - - smtpd -o {without}")
        (config / "master.cf").write_text("\n".join([*listening, master]) + "\n")
        subprocess.run(["postfix", "-c", str(config), "check"], check=False, capture_output=True, timeout=60)
        self._process = subprocess.Popen(
            [f"{DAEMONS}/master", "-c", str(config), "-d"],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def wait(self) -> None:
        """Until it greets."""
        import socket

        end = time.monotonic() + START
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as peer:
                    if peer.recv(100).startswith(b"220"):
                        return
            except OSError:
                time.sleep(0.1)
        self.stop()
        pytest.fail(f"Postfix did not start\n{self.said()}")
