"""Starting, stopping, and what an administrator is told when that does not work."""

from __future__ import annotations

import json
import signal
import smtplib
import socket
import ssl
import subprocess
import time
from collections.abc import Callable

import pytest

from imsd import config, tls
from tests.support.servers import RunningServer, environment

pytestmark = pytest.mark.system


def test_status_names_every_listener(server: RunningServer) -> None:
    answer = json.loads(server.imsctl("status", "--json").stdout)
    assert answer["running"] is True
    expected = {f"127.0.0.1:{server.port(name)}" for name in config.STANDARD_PORTS}
    assert set(answer["listening"]) == expected


@pytest.mark.parametrize(
    ("listener", "greeting"),
    [("smtp", b"220 "), ("submission", b"220 "), ("pop3", b"+OK "), ("imap", b"* OK ")],
)
def test_each_clear_text_listener_greets(server: RunningServer, listener: str, greeting: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port(listener)), timeout=10) as peer:
        assert peer.recv(4096).startswith(greeting)


@pytest.mark.parametrize("listener", ["submissions", "pop3s", "imaps", "ldaps"])
def test_each_tls_listener_shows_the_certificate(server: RunningServer, listener: str) -> None:
    peer = socket.create_connection(("127.0.0.1", server.port(listener)), timeout=10)
    with server.tls().wrap_socket(peer, server_hostname="localhost") as shielded:
        assert shielded.version() in ("TLSv1.2", "TLSv1.3")


def test_counters_are_told_by_their_names(server: RunningServer) -> None:
    before = json.loads(server.imsctl("stats", "--json").stdout)
    server.deliver(b"Subject: x\r\n\r\nx", [server.add_user("counted")])
    after = json.loads(server.imsctl("stats", "--json").stdout)
    grown = {name for name, value in after.items() if value > before[name]}
    assert {"Inbound Messages Total", "Connections Total Inbound", "Inbound Messages/Hr"} <= grown
    lines = server.imsctl("stats", "--prometheus").stdout.splitlines()
    assert f"exchange_imc_inbound_messages_total {after['Inbound Messages Total']}" in lines


def test_a_second_server_on_the_home_is_refused_and_says_why(server: RunningServer) -> None:
    command = server._command()
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert done.returncode != 0
    assert "another program has it" in done.stdout + done.stderr


def test_a_home_that_is_no_home_is_a_usage_error(server: RunningServer) -> None:
    command = [*server._command()[:-1], str(server.home / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=60, check=False)
    assert done.returncode == 1
    assert "setup" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_stopping_says_goodbye_between_commands_and_ends_with_0(
    make_server: Callable[..., RunningServer],
) -> None:
    one = make_server()
    idle = socket.create_connection(("127.0.0.1", one.port("smtp")), timeout=10)
    idle.recv(4096)
    started = time.monotonic()
    assert one.stop(signal.SIGTERM) == 0
    assert idle.recv(4096).startswith(b"421 ")
    assert time.monotonic() - started < 10


def test_stopping_lets_a_message_under_way_finish(make_server: Callable[..., RunningServer]) -> None:
    one = make_server()
    one.add_user("alice")
    assert one.process is not None
    smtp = smtplib.SMTP("127.0.0.1", one.port("smtp"), timeout=20)
    smtp.ehlo("client.example.org")
    smtp.mail("someone@example.org")
    smtp.rcpt(one.address("alice"))
    smtp.putcmd("DATA")
    assert smtp.getreply()[0] == 354
    one.process.terminate()
    time.sleep(1)
    smtp.send(b"Subject: late\r\n\r\nstill welcome\r\n.\r\n")
    assert smtp.getreply()[0] == 250
    assert smtp.getreply()[0] == 421
    assert one.process.wait(30) == 0
    one.stop()
    one.start()
    assert one.ask("user.show", who=one.address("alice"))["messages"] == 1


def test_certificates_are_read_again_on_hangup(make_server: Callable[..., RunningServer]) -> None:
    one = make_server()
    tls.make_self_signed("renewed.example.test", one.home / "tls/server.crt", one.home / "tls/server.key")
    assert one.process is not None
    one.process.send_signal(signal.SIGHUP)
    give_up = time.monotonic() + 10
    while True:
        pem = ssl.get_server_certificate(("127.0.0.1", one.port("imaps")))
        if pem.split() == (one.home / "tls/server.crt").read_text().split():
            break
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_changed_settings_take_effect_at_once(server: RunningServer) -> None:
    server.imsctl("settings", "set", "admission.loopback_exempt", "false")
    server.imsctl("settings", "set", "admission.per_address", "1")
    try:
        held = socket.create_connection(("127.0.0.1", server.port("pop3")), timeout=10)
        assert held.recv(100).startswith(b"+OK")
        with socket.create_connection(("127.0.0.1", server.port("pop3")), timeout=10) as second:
            assert second.recv(100).startswith(b"-ERR [SYS/TEMP]")
        held.close()
    finally:
        server.imsctl("settings", "reset", "admission.per_address")
        server.imsctl("settings", "reset", "admission.loopback_exempt")


def test_settings_survive_a_round_trip_as_toml(server: RunningServer, tmp_path: object) -> None:
    before = server.imsctl("settings", "export").stdout
    server.imsctl("settings", "set", "admission.per_minute", "1234")
    text = server.imsctl("settings", "export").stdout
    assert "[admission]\nper_minute = 1234\n" in text
    assert "1234" not in before
    file = server.home / "settings.toml"
    file.write_text(text)
    server.imsctl("settings", "reset", "admission.per_minute")
    dry = server.imsctl("settings", "import", "--dry-run", str(file)).stdout
    assert "admission.per_minute: 6000 -> 1234" in dry
    assert server.imsctl("settings", "get", "admission.per_minute").stdout == "6000\n"
    server.imsctl("settings", "import", str(file))
    assert server.imsctl("settings", "get", "admission.per_minute").stdout == "1234\n"
    server.imsctl("settings", "reset", "admission.per_minute")


def test_imsctl_works_on_a_store_at_rest(make_server: Callable[..., RunningServer]) -> None:
    one = make_server(start=False)
    assert one.imsctl("status", check=False).returncode == 1
    one.imsctl("user", "add", one.address("dora"), "--password", "-", input="s3cret-enough\n")
    assert one.address("dora") in one.imsctl("user", "list").stdout
    one.start()
    assert one.address("dora") in one.imsctl("user", "list").stdout
