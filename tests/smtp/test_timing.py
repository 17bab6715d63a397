"""MT-PRIORITY (RFC 6710), DELIVERBY (RFC 2852), FUTURERELEASE (RFC 4865): what MAIL takes and refuses."""

from __future__ import annotations

import pytest

from protocols.smtp.grammar import BadArgument
from protocols.smtp.interfaces import Limits, Role
from protocols.smtp.parameters import MailParameters
from protocols.smtp.timing import By, Hold, date_time, parse_by, parse_hold_until
from tests.smtp.fakes import FakeDoor, Talk

TIMED = Limits(deliver_by=30, hold=86_400)


def mail(parameters: str, role: Role = Role.SUBMISSION, limits: Limits = TIMED) -> str:
    door = FakeDoor(role, limits)
    talk = Talk(door, "127.0.0.1")
    talk.say(b"EHLO client.example\r\n")
    if role.submission:
        assert talk.say(b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n").startswith(b"235")
    return talk.say(f"MAIL FROM:<a@example.org> {parameters}\r\n".encode()).decode()


@pytest.mark.parametrize(
    ("parameters", "reply"),
    [
        ("MT-PRIORITY=9", "250 2.1.0"),
        ("mt-priority=-9", "250 2.1.0"),
        ("MT-PRIORITY=0", "250 2.1.0"),
        ("MT-PRIORITY=-0", "501 5.5.4"),
        ("MT-PRIORITY=10", "501 5.5.4"),
        ("MT-PRIORITY=+3", "501 5.5.4"),
        ("MT-PRIORITY", "501 5.5.4"),
        ("BY=120;R", "250 2.1.0"),
        ("BY=+120;nt", "250 2.1.0"),
        ("BY=-5;N", "250 2.1.0"),
        ("BY=29;R", "555 5.4.7"),
        ("BY=29;N", "250 2.1.0"),
        ("BY=0;R", "501 5.5.4"),
        ("BY=-5;R", "501 5.5.4"),
        ("BY=1234567890;N", "501 5.5.4"),
        ("BY=5", "501 5.5.4"),
        ("BY=5;X", "501 5.5.4"),
        ("HOLDFOR=60", "250 2.1.0"),
        ("HOLDFOR=86400", "250 2.1.0"),
        ("HOLDFOR=86401", "501 5.5.4"),
        ("HOLDFOR=0", "501 5.5.4"),
        ("HOLDFOR=007", "501 5.5.4"),
        ("HOLDUNTIL=1970-01-01T12:00:00Z", "250 2.1.0"),
        ("HOLDUNTIL=1970-01-01T13:00:00.5+01:00", "250 2.1.0"),
        ("HOLDUNTIL=1999-01-01T12:00:00Z", "501 5.5.4"),
        ("HOLDUNTIL=1970-02-30T12:00:00Z", "501 5.5.4"),
        ("HOLDUNTIL=tomorrow", "501 5.5.4"),
        ("HOLDFOR=5 HOLDUNTIL=1970-01-01T12:00:00Z", "501 5.5.4"),
        # RFC 4865 5.2.2: released after it is to be delivered, whatever happens then.
        ("HOLDFOR=600 BY=500;R", "501 5.5.4"),
        ("HOLDFOR=600 BY=500;N", "501 5.5.4"),
        ("HOLDFOR=600 BY=600;N", "250 2.1.0"),
    ],
)
def test_what_mail_takes(parameters: str, reply: str) -> None:
    assert mail(parameters).startswith(reply)


def test_what_is_not_offered_is_not_taken() -> None:
    assert mail("HOLDFOR=60", Role.MX).startswith("555 5.5.4")
    assert mail("HOLDFOR=60", limits=Limits()).startswith("555 5.5.4")
    assert mail("BY=60;R", limits=Limits()).startswith("555 5.5.4")


def test_what_is_announced() -> None:
    heard = Talk(FakeDoor(Role.SUBMISSION, TIMED), "127.0.0.1").say(b"EHLO client.example\r\n").decode()
    assert "250-MT-PRIORITY MIXER\r\n" in heard
    assert "250-DELIVERBY 30\r\n" in heard
    assert "250-FUTURERELEASE 86400 1970-01-02T00:00:00Z\r\n" in heard
    heard = Talk(FakeDoor(Role.MX, Limits(deliver_by=0, hold=60))).say(b"EHLO client.example\r\n").decode()
    assert "250-DELIVERBY\r\n" in heard and "FUTURERELEASE" not in heard


def test_a_lowered_priority_is_told_with_the_content() -> None:
    door = FakeDoor()
    talk = Talk(door)
    talk.say(b"EHLO client.example\r\n")
    talk.say(b"MAIL FROM:<a@example.org> MT-PRIORITY=6\r\n")
    talk.say(b"RCPT TO:<b@example.test>\r\n")
    door.begun[0].lowered = 0
    talk.say(b"DATA\r\n")
    told = talk.say(b"Subject: x\r\n\r\nx\r\n.\r\n")
    assert told.startswith(b"250 2.3.6 0 is the new priority assigned to the message")


def test_values() -> None:
    assert parse_by(b"-7;nT") == By(-7, False, True)
    assert By(90, True).encode() == b"90;R" and By(-(10**12), False, True).encode() == b"-999999999;NT"
    assert parse_hold_until(b"1970-01-01t00:00:01z") == Hold(
        until=1_000_000, text="until;1970-01-01T00:00:01Z"
    )
    assert date_time(0) == "1970-01-01T00:00:00Z"
    with pytest.raises(BadArgument):
        parse_by(b"1;R;T")
    parameters = MailParameters(mt_priority=-4, by=By(5, True), hold=Hold(seconds=5))
    assert parameters.encode({"MT-PRIORITY", "DELIVERBY"}) == b" MT-PRIORITY=-4 BY=5;R"
    assert parameters.encode(()) == b""
