"""Starts that cannot be: one sentence that says what to mend, and exit status 1; and privileges."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imsd import config
from tests.support.clients import subjects
from tests.support.servers import RunningServer, environment, free_offset

pytestmark = pytest.mark.system

NOBODY = "nobody"


@pytest.fixture(scope="module")
def template(make_server: Callable[..., RunningServer]) -> RunningServer:
    """A home with alice, at rest."""
    one = make_server(start=False)
    one.imsctl("user", "add", one.address("alice"), "--password", "s3cret-enough")
    return one


@pytest.fixture
def copy(template: RunningServer, tmp_path: Path) -> Iterator[RunningServer]:
    """One test's own copy of it."""
    home = tmp_path / "home"
    shutil.copytree(template.home, home, symlinks=True)
    one = RunningServer(home, template.offset)
    yield one
    one.stop()


def refused(server: RunningServer, *options: str) -> str:
    """What a start that cannot be says."""
    status, text = server.fail_to_start(*options)
    assert status == 1, text
    assert "Traceback" not in text, text
    return text


def test_a_database_that_is_garbage(copy: RunningServer) -> None:
    for file in (copy.home / "data").glob("imsd.db*"):
        file.unlink()
    (copy.home / "data/imsd.db").write_bytes(b"this is no database at all\n" * 1000)
    text = refused(copy)
    assert f"imsd cannot start: {copy.home / 'data/imsd.db'} cannot be used" in text


def test_a_store_without_an_organisation(copy: RunningServer) -> None:
    """As where the disk of the data is not mounted: mail must wait elsewhere, and not come back."""
    shutil.rmtree(copy.home / "data")
    assert "imsd cannot start: the store has no organisation: restore it, mount what holds it" in refused(
        copy
    )


def test_a_schema_of_a_newer_imsd(copy: RunningServer) -> None:
    store = sqlite3.connect(copy.home / "data/imsd.db")
    store.execute("UPDATE store SET value = '9999' WHERE name IN ('schema', 'oldest')")
    store.commit()
    store.close()
    assert "schema 9999; this program knows" in refused(copy)


def test_a_home_that_another_server_has_open(copy: RunningServer) -> None:
    copy.start()
    assert copy.process is not None
    file = copy.home / config.FILE
    text = file.read_text()
    file.write_text(text.replace(f"port_offset = {copy.offset} ", f"port_offset = {free_offset()} "))
    assert f"is in use by process {copy.process.pid}" in refused(copy)
    file.write_text(text)


def test_a_port_that_another_program_has(copy: RunningServer) -> None:
    copy.start()
    assert f"port {copy.port('smtp')}: another program has it" in refused(copy)


def test_a_certificate_that_is_not_there(copy: RunningServer) -> None:
    (copy.home / "tls/server.key").unlink()
    assert "server.key: no such file" in refused(copy)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("[listeners]", "[listeners", "imsd.toml:"),
        ("port_offset =", "port_ofset =", "server.port_ofset: no such option"),
        ('url = "sqlite"', 'url = "mysql://x"', "database.url"),
    ],
)
def test_a_mistake_in_the_configuration(copy: RunningServer, line: str, instead: str, said: str) -> None:
    file = copy.home / config.FILE
    file.write_text(file.read_text().replace(line, instead))
    assert said in refused(copy)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_home_that_may_not_be_written(copy: RunningServer) -> None:
    # The home is root's; the server becomes nobody, who may read it and no more.
    for place, _, files in os.walk(copy.home):
        os.chmod(place, 0o755)
        for file in files:
            os.chmod(Path(place) / file, 0o644)
    _let_through(copy.home)
    user = pwd.getpwnam(NOBODY)
    text = refused(copy, "--uid", str(user.pw_uid), "--gid", str(user.pw_gid))
    assert "imsd cannot start: " in text
    assert "ermission denied" in text or "cannot be written" in text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_privileges_are_dropped_after_the_ports_are_bound(copy: RunningServer) -> None:
    user = pwd.getpwnam(NOBODY)
    _let_through(copy.home)
    for place, folders, files in os.walk(copy.home):
        for name in ("", *folders, *files):
            os.chown(Path(place) / name, user.pw_uid, user.pw_gid)
    low = _low_ports(copy)
    twistd, *rest = copy._command()
    with (copy.home / "twistd.out").open("ab") as out:
        copy.process = subprocess.Popen(
            [twistd, "--uid", str(user.pw_uid), "--gid", str(user.pw_gid), *rest],
            stdout=out,
            stderr=out,
            env=environment(),
            cwd=copy.home,
        )
    copy.wait_until_up()
    status = Path(f"/proc/{copy.process.pid}/status")
    if status.exists():
        ids = dict(line.split(":", 1) for line in status.read_text().splitlines())
        # Real, effective, saved, file system.
        assert ids["Uid"].split() == [str(user.pw_uid)] * 4
        assert ids["Gid"].split() == [str(user.pw_gid)] * 4
        assert ids["Groups"].split() in ([], [str(user.pw_gid)])
    big = b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 40_000
    with smtplib.SMTP("127.0.0.1", low or copy.port("smtp"), timeout=20) as smtp:
        smtp.sendmail("x@example.org", [copy.address("alice")], big)
    assert subjects(copy) == ["big"]
    for file in (copy.home / "data").rglob("*"):
        assert file.stat().st_uid == user.pw_uid, file
        assert file.stat().st_mode & 0o077 == 0, file
    assert (copy.home / "run/control.sock").stat().st_uid == user.pw_uid


def _low_ports(server: RunningServer) -> int:
    """Move SMTP to a port that only root may bind, if one is free; the port, or 0."""
    for port in range(700, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        file = server.home / config.FILE
        text = file.read_text()
        # The offset is taken off again: ports below it cannot be written otherwise.
        ports = {name: number + server.offset for name, number in config.STANDARD_PORTS.items()}
        text = text.replace(f"port_offset = {server.offset} ", "port_offset = 0 ")
        for name, number in config.STANDARD_PORTS.items():
            text = text.replace(
                f"\n{name} = {number}\n", f"\n{name} = {port if name == 'smtp' else ports[name]}\n"
            )
        file.write_text(text)
        return port
    return 0


def _let_through(folder: Path) -> None:
    """Everybody may pass through the folders above; pytest makes them its user's alone."""
    for parent in folder.parents:
        if parent.stat().st_uid == os.getuid() and parent not in (Path("/"), Path("/tmp")):
            parent.chmod(parent.stat().st_mode | 0o011)
