"""What open-relay testers try, against the running server: whatever stands around an address of somebody
else's, it is taken apart before the question whether we relay (ims_spec 3.11.1, 4.4)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.servers import RunningServer

pytestmark = pytest.mark.system

VICTIM = "victim@elsewhere.test"

PROBES = [
    # Plain, and as testers vary it.
    "<victim@elsewhere.test>",
    "<VICTIM@ELSEWHERE.TEST>",
    "<victim@elsewhere.test.>",
    "victim@elsewhere.test",
    "< victim@elsewhere.test >",
    "<victim@elsewhere.test> ",
    "<victim@[192.0.2.1]>",
    "<victim@[IPv6:2001:db8::1]>",
    "<victim@localhost>",
    "<victim@elsewhere.test@example.test>",
    "<victim@example.test@elsewhere.test>",
    # The %-hack.
    "<victim%elsewhere.test@example.test>",
    "<victim%elsewhere.test@example.test.>",
    "<victim%elsewhere.test@EXAMPLE.test>",
    "<victim%elsewhere.test@[127.0.0.1]>",
    "<victim%elsewhere.test@>",
    "<victim%elsewhere.test>",
    "<victim%elsewhere.test%example.test@example.test>",
    "<victim%elsewhere.test%sub.elsewhere.test@example.test>",
    '<"victim%elsewhere.test"@example.test>',
    # Quoted addresses.
    '<"victim@elsewhere.test"@example.test>',
    '<"victim@elsewhere.test">',
    '<"victim"@elsewhere.test>',
    '<"victim\\@elsewhere.test"@example.test>',
    '<"victim@elsewhere.test "@example.test>',
    '<"victim@elsewhere.test."@example.test>',
    '<""victim@elsewhere.test""@example.test>',
    # Bang paths.
    "<elsewhere.test!victim>",
    "<elsewhere.test!victim@example.test>",
    "<elsewhere.test!victim@[127.0.0.1]>",
    "<example.test!elsewhere.test!victim@example.test>",
    "<elsewhere.test!victim%example.test@example.test>",
    '<"elsewhere.test!victim"@example.test>',
    # Source routes.
    "<@example.test:victim@elsewhere.test>",
    "<@example.test,@elsewhere.test:victim@elsewhere.test>",
    "<@elsewhere.test:victim@elsewhere.test>",
    "<@[127.0.0.1]:victim@elsewhere.test>",
    "<@example.test:victim%elsewhere.test@example.test>",
    "<@example.test:elsewhere.test!victim@example.test>",
    # Encapsulated.
    "<IMCEASMTP-victim+40elsewhere+2Etest@example.test>",
    "<imceasmtp-victim+40elsewhere+2etest@example.test>",
    "<IMCEASMTP-victim+25elsewhere+2Etest+40example+2Etest@example.test>",
    "<IMCEASMTP-IMCEASMTP-victim+2B40elsewhere+2B2Etest+40example+2Etest@example.test>",
    '<"IMCEASMTP-victim+40elsewhere+2Etest"@example.test>',
    "<IMCEASMTP-victim+40elsewhere+2Etest+0D+0A@example.test>",
    "<IMCEAX400-c=US+3Ba= +3Bp=Org+3Bs=Victim+3B@example.test>",
    "<IMCEAMS-NET_PO_VICTIM@example.test>",
]

INWARD = [
    "<alice@example.test>",
    "<ALICE@Example.TEST>",
    "<alice@example.test.>",
    '<"alice"@example.test>',
    "<@elsewhere.test:alice@example.test>",
    "<alice%example.test@example.test>",
    "<example.test!alice@example.test>",
    '<"alice@example.test"@example.test>',
    '<"alice@example.test."@example.test>',
    "<IMCEASMTP-alice+40example+2Etest@example.test>",
    "<alice%example.test@[127.0.0.1]>",
    "<postmaster>",
    "<Postmaster@[127.0.0.1]>",
]


class Peer:
    def __init__(self, server: RunningServer) -> None:
        self.wire = socket.create_connection(("127.0.0.1", server.port("smtp")), timeout=10)
        self.file = self.wire.makefile("rb")
        self.reply()
        self.say(b"EHLO tester.test")

    def reply(self) -> str:
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return line.decode()

    def say(self, line: bytes) -> str:
        self.wire.sendall(line + b"\r\n")
        return self.reply()

    def close(self) -> None:
        self.file.close()
        self.wire.close()


@pytest.fixture(scope="module")
def target(make_server: Callable[..., RunningServer]) -> Iterator[RunningServer]:
    one = make_server()
    one.add_user("alice")
    one.ask("settings.set", key="smtp.refused_recipients", value="1000")
    one.ask("settings.set", key="smtp.bad_commands", value="1000")
    yield one
    one.stop()


@pytest.mark.parametrize(
    "sender", ["", "spam@elsewhere.test", "alice@example.test", "victim@elsewhere.test", "x@[127.0.0.1]"]
)
def test_nothing_around_an_address_gets_mail_relayed(target: RunningServer, sender: str) -> None:
    peer = Peer(target)
    accepted = []
    try:
        assert peer.say(f"MAIL FROM:<{sender}>".encode()).startswith("250 ")
        for probe in PROBES:
            reply = peer.say(f"RCPT TO:{probe}".encode())
            if not reply.startswith(("550 5.7.1 ", "550 5.1.1 ", "501 5.1.3 ", "501 5.5.4 ", "550 5.4.4 ")):
                accepted.append((probe, reply))
        assert accepted == []
        # Nobody was taken, so there is nothing to send.
        assert peer.say(b"DATA").startswith("554 ")
    finally:
        peer.close()
    assert target.ask("queue.list") == []


@pytest.mark.parametrize("recipient", INWARD)
def test_the_same_forms_reach_our_own(target: RunningServer, recipient: str) -> None:
    peer = Peer(target)
    try:
        peer.say(b"MAIL FROM:<x@elsewhere.test>")
        assert peer.say(f"RCPT TO:{recipient}".encode()).startswith("250 ")
    finally:
        peer.close()
