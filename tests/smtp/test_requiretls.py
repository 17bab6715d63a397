"""REQUIRETLS (RFC 8689 2): announced and taken under TLS alone."""

from __future__ import annotations

from typing import Any

import pytest

from protocols.smtp.grammar import BadArgument
from protocols.smtp.interfaces import Limits, Role
from protocols.smtp.parameters import MailParameters
from tests.smtp.fakes import FakeDoor, Talk


def encrypted(role: Role = Role.MX, limits: Limits | None = None) -> Talk:
    door = FakeDoor(role, limits)
    door.context = object()
    talk = Talk(door)
    greeting = b"LHLO" if role is Role.LMTP else b"EHLO"
    assert b"REQUIRETLS" not in talk.say(greeting + b" client.example\r\n")
    assert talk.say(b"STARTTLS\r\n").startswith(b"220")
    server: Any = talk.server
    server.security = type(server.security)(encrypted=True, peer="192.0.2.7")
    assert (
        b"-REQUIRETLS\r\n" in talk.say(greeting + b" client.example\r\n")
    ) is talk.door.limits().requiretls
    return talk


@pytest.mark.parametrize("role", [Role.MX, Role.LMTP])
def test_it_is_taken_under_tls(role: Role) -> None:
    talk = encrypted(role)
    assert talk.say(b"MAIL FROM:<a@example.org> requiretls SIZE=5\r\n").startswith(b"250 2.1.0")
    assert talk.door.begun[0].parameters == MailParameters(size=5, requiretls=True)


def test_it_is_refused_in_clear() -> None:
    talk = Talk()
    assert b"REQUIRETLS" not in talk.say(b"EHLO client.example\r\n")
    said = talk.say(b"MAIL FROM:<a@example.org> REQUIRETLS\r\n")
    assert said == b"530 5.7.10 REQUIRETLS needs TLS: issue a STARTTLS command first\r\n"
    assert talk.say(b"MAIL FROM:<a@example.org>\r\n").startswith(b"250")


def test_a_site_may_switch_it_off() -> None:
    talk = encrypted(limits=Limits(requiretls=False))
    assert talk.say(b"MAIL FROM:<a@example.org> REQUIRETLS\r\n").startswith(b"555 5.5.4")


def test_the_parameter_has_no_value_and_goes_to_who_offers_it() -> None:
    with pytest.raises(BadArgument):
        MailParameters.parse({b"REQUIRETLS": b"yes"})
    assert MailParameters(requiretls=True).encode({"REQUIRETLS"}) == b" REQUIRETLS"
    assert MailParameters(requiretls=True).encode({"SIZE"}) == b""
