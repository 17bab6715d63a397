"""Clients behind a load balancer or a mail proxy, on the running server."""

from __future__ import annotations

import contextlib
import imaplib
import json
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.protocols.test_proxied import binary
from tests.support.nameserver import NameServer
from tests.support.servers import PASSWORD, RunningServer

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def names() -> Iterator[NameServer]:
    one = NameServer()
    one.zone["7.2.0.192.in-addr.arpa", "PTR"] = ["mail.lab.test."]
    one.zone["mail.lab.test", "A"] = ["192.0.2.7"]
    yield one
    one.close()


@pytest.fixture(scope="module")
def target(make_server: Callable[..., RunningServer], names: NameServer) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    one.ask("settings.set", key="ims.delivery.nameservers", value=json.dumps([names.address]))
    yield one
    one.stop()


@pytest.fixture
def behind(target: RunningServer) -> Iterator[RunningServer]:
    """Everybody comes through a proxy."""
    target.ask("settings.set", key="admission.proxies", value='["127.0.0.0/8"]')
    yield target
    target.ask("settings.reset", key="admission.proxies")


class Wire:
    def __init__(
        self, server: RunningServer, header: bytes = b"", listener: str = "smtp", tls: Any = None
    ) -> None:
        self.wire: Any = socket.create_connection(("127.0.0.1", server.port(listener)), timeout=10)
        if header:
            self.wire.sendall(header)
        if tls is not None:
            self.wire = tls.wrap_socket(self.wire, server_hostname="localhost")
        self.file = self.wire.makefile("rb")

    def reply(self) -> str:
        text = ""
        while line := self.file.readline():
            text += line.decode()
            if line[3:4] != b"-":
                break
        return text

    def say(self, line: str) -> str:
        self.wire.sendall(line.encode() + b"\r\n")
        return self.reply()

    def deliver(self) -> None:
        for line in ("MAIL FROM:<x@lab.test>", "RCPT TO:<alice@example.test>", "DATA"):
            assert self.say(line)[0] in "23"
        assert self.say("Subject: s\r\n\r\nx\r\n.").startswith("250 ")

    def close(self) -> None:
        self.file.close()
        self.wire.close()


def received(server: RunningServer) -> str:
    """The trace of the newest message of alice's."""
    imap = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=10)
    imap.login("alice@example.test", PASSWORD)
    imap.select("INBOX")
    parts: Any = imap.fetch("*", "(BODY.PEEK[HEADER.FIELDS (RECEIVED)])")[1]
    imap.logout()
    return str(parts[0][1].decode())


HEADERS = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 25\r\n", "(mail.lab.test [192.0.2.7])"),
    (binary(), "(mail.lab.test [192.0.2.7])"),
    (binary("2001:db8::7", "2001:db8::1"), "([IPv6:2001:db8::7])"),
    (b"PROXY UNKNOWN\r\n", "([127.0.0.1])"),
    (binary(command=0x20), "([127.0.0.1])"),
    # Nobody becomes this machine by saying so.
    (b"PROXY TCP4 127.0.0.1 127.0.0.1 4321 25\r\n", "([127.0.0.1])"),
]


@pytest.mark.parametrize(("header", "shown"), HEADERS)
def test_far_end_is_who_brings_the_mail(behind: RunningServer, header: bytes, shown: str) -> None:
    behind.ask("settings.set", key="admission.proxies", value='["127.0.0.0/8"]')
    wire = Wire(behind, header)
    assert wire.reply().startswith("220 ")
    assert "250" in wire.say("EHLO client.test")
    wire.deliver()
    wire.close()
    behind.ask("settings.reset", key="admission.proxies")
    assert f"Received: from client.test {shown}" in received(behind)


def test_lists_and_greylist_are_about_the_far_end(behind: RunningServer, names: NameServer) -> None:
    names.zone["7.2.0.192.bl.lab.test", "A"] = ["127.0.0.2"]
    behind.ask("settings.set", key="ims.dnsbl.lists", value='[{"zone": "bl.lab.test"}]')
    behind.ask("settings.set", key="ims.greylist.enabled", value="true")
    behind.ask("settings.set", key="ims.greylist.delay_seconds", value="1")
    try:
        replies = []
        for source, pause in (("192.0.2.7", 0.0), ("192.0.2.8", 0.0), ("192.0.2.8", 1.1)):
            time.sleep(pause)
            wire = Wire(behind, binary(source))
            wire.reply()
            wire.say("EHLO client.test")
            wire.say("MAIL FROM:<x@lab.test>")
            replies.append(wire.say("RCPT TO:<alice@example.test>"))
            wire.close()
        assert replies[0] == "550 5.7.1 Your address is on bl.lab.test\r\n"
        assert replies[1].startswith("451 4.7.1 Greylisted, try again in ")
        assert replies[2].startswith("250 ")
    finally:
        for key in ("ims.dnsbl.lists", "ims.greylist.enabled", "ims.greylist.delay_seconds"):
            behind.ask("settings.reset", key=key)


def test_rules_are_about_the_far_end(behind: RunningServer) -> None:
    behind.ask(
        "settings.set", key="ims.accept.hosts", value='[{"network": "192.0.2.0/24", "action": "reject"}]'
    )
    try:
        wire = Wire(behind, binary())
        assert wire.reply().startswith("521 ")
        wire.close()
    finally:
        behind.ask("settings.reset", key="ims.accept.hosts")


def test_passwords_are_not_asked_for_in_the_clear_by_a_proxy_on_this_machine(behind: RunningServer) -> None:
    wire = Wire(behind, binary(tlvs=b"\x20\x00\x05\x01\x00\x00\x00\x00"))
    wire.reply()
    assert "AUTH" not in wire.say("EHLO client.test")
    assert wire.say("STARTTLS").startswith("220 ")
    wire.file.close()
    wire.wire = behind.tls().wrap_socket(wire.wire, server_hostname="localhost")
    wire.file = wire.wire.makefile("rb")
    assert "AUTH" in wire.say("EHLO client.test")
    wire.deliver()
    wire.close()


def test_header_comes_before_the_handshake(behind: RunningServer) -> None:
    wire = Wire(behind, binary(), "submissions", behind.tls())
    assert wire.reply().startswith("220 ")
    assert "AUTH" in wire.say("EHLO client.test")
    wire.close()
    imap = Wire(behind, binary(), "imaps", behind.tls())
    assert imap.file.readline().startswith(b"* OK ")
    imap.close()


@pytest.mark.parametrize("start", [b"EHLO x\r\n", b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n"])
def test_proxy_without_a_header_is_cut_off(behind: RunningServer, start: bytes) -> None:
    wire = Wire(behind, start)
    with contextlib.suppress(ConnectionResetError):
        assert wire.wire.recv(100) == b""
    wire.close()


def test_nobody_elses_header_is_believed(target: RunningServer) -> None:
    wire = Wire(target, b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 25\r\n")
    assert wire.reply().startswith("220 ")
    assert wire.reply().startswith("500 5.5.1 ")
    wire.close()


def test_xclient(target: RunningServer) -> None:
    target.ask("settings.set", key="smtp.xclient_hosts", value='["127.0.0.1"]')
    try:
        wire = Wire(target)
        wire.reply()
        assert "XCLIENT NAME ADDR" in wire.say("EHLO proxy.test")
        assert wire.say("XCLIENT ADDR=192.0.2.99 NAME=other.lab.test").startswith("220 ")
        wire.say("EHLO client.test")
        wire.deliver()
        assert "Received: from client.test (other.lab.test [192.0.2.99])" in received(target)
        assert wire.say("STARTTLS").startswith("220 ")
        wire.file.close()
        wire.wire = target.tls().wrap_socket(wire.wire, server_hostname="localhost")
        wire.file = wire.wire.makefile("rb")
        wire.say("EHLO client.test")
        wire.deliver()
        wire.close()
        assert "[192.0.2.99]" in received(target)
    finally:
        target.ask("settings.reset", key="smtp.xclient_hosts")
    wire = Wire(target)
    wire.reply()
    assert "XCLIENT" not in wire.say("EHLO proxy.test")
    assert wire.say("XCLIENT ADDR=192.0.2.99").startswith("550 5.7.0 ")
    wire.close()
