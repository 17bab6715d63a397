"""Questions to the name system about who connects."""

from __future__ import annotations

from typing import Any

from twisted.internet import udp
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.python import log

from imsd.mail import lookups


class Reading:
    """A reactor as far as a port needs one."""

    def addReader(self, _: Any) -> None:
        """It reads."""

    def removeReader(self, _: Any) -> None:
        """It reads no more."""

    removeWriter = removeReader


def test_the_port_of_a_question_is_no_news() -> None:
    assert lookups.MOST_ASKED  # Importing it is what makes ports quiet.
    said: list[Any] = []
    log.addObserver(said.append)
    try:
        protocol = dns.DNSDatagramProtocol(None, reactor=Clock())
        port = udp.Port(0, protocol, "127.0.0.1", 512, Reading())
        port.startListening()
        port.connectionLost()
    finally:
        log.removeObserver(said.append)
    assert said == []
