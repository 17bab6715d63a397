"""Questions to the name system about who connects."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet import udp
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.python import log

from imsd.mail import lookups
from tests.support.stores import run


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


class Told:
    """Answers from a table."""

    def __init__(self, *names: str) -> None:
        self._names = names

    async def ask(self, name: str, kind: str) -> tuple[str, ...]:
        return self._names if kind == "PTR" else ("192.0.2.1",)


@pytest.mark.parametrize(
    "odd",
    [
        "x)\r\nx-verified: yes\r\ny: (y.evil.test",
        "a b.test",
        "a(b.test",
        "\ufffd.test",
        "",
        "a\0.test",
        "-.test",
    ],
)
def test_what_is_no_name_of_a_host_is_nobodys_name(odd: str) -> None:
    """It would stand in the Received line, and ended it."""
    payload = dns.Record_PTR(odd.encode("ascii", "replace") or b".")
    assert run(lookups.host_name(Told(lookups._text(payload)), "192.0.2.1")) == ""  # type: ignore[arg-type]
    assert run(lookups.host_name(Told(odd, "mx-1.a_b.test"), "192.0.2.1")) == "mx-1.a_b.test"  # type: ignore[arg-type]
