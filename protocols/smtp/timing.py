"""When a message is to go: priority (RFC 6710), deadline (RFC 2852) and release time (RFC 4865) in MAIL."""

import re
from datetime import UTC, datetime

from protocols.smtp.grammar import BadArgument
from protocols.values import value

MOST_SECONDS = 999_999_999

# priority-value = (["-"] NZDIGIT) / "0" (RFC 6710 7)
_PRIORITY = re.compile(rb"-?[1-9]|0")
# by-value = by-time ";" by-mode [by-trace]; by-time = ["-" / "+"] 1*9digit (RFC 2852 4)
_BY = re.compile(rb"([-+]?[0-9]{1,9});([NnRr])([Tt]?)")
# date-time (RFC 3339 5.6)
_DATE_TIME = re.compile(rb"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[-+]\d\d:\d\d)", re.ASCII)


def parse_priority(text: bytes) -> int:
    """-9 to 9, higher is more urgent."""
    if not _PRIORITY.fullmatch(text):
        raise BadArgument("MT-PRIORITY: -9 to 9 expected")
    return int(text)


@value(frozen=True, slots=True)
class By:
    """seconds: until the message is to be delivered; negative: late already. returns: it is returned then
    (R); else its sender is told, and it goes on (N). trace: each hop that takes it over tells."""

    seconds: int
    returns: bool
    trace: bool = False

    @property
    def mode(self) -> str:
        return ("R" if self.returns else "N") + ("T" if self.trace else "")

    def encode(self) -> bytes:
        seconds = max(-MOST_SECONDS, min(MOST_SECONDS, self.seconds))
        return b"%d;%b" % (seconds, self.mode.encode("ascii"))


def parse_by(text: bytes) -> By:
    match = _BY.fullmatch(text)
    if match is None:
        raise BadArgument("BY: seconds;N or seconds;R expected")
    by = By(int(match[1]), match[2].upper() == b"R", bool(match[3]))
    if by.returns and by.seconds <= 0:
        # RFC 2852 4: with R the time has to be positive.
        raise BadArgument("BY: a time above 0 expected with R")
    return by


@value(frozen=True, slots=True)
class Hold:
    """Until when a message is kept back: for so many seconds, or until a time (microseconds).

    text: as it was asked for, for Future-Release-Request (RFC 4865 5.1.2).
    """

    seconds: int = 0
    until: int = 0
    text: str = ""


def parse_hold_for(text: bytes) -> Hold:
    # future-release-integer = %x31-39 *8DIGIT
    if not text.isdigit() or len(text) > 9 or text.startswith(b"0"):
        raise BadArgument("HOLDFOR: seconds expected")
    return Hold(seconds=int(text), text=f"for;{text.decode('ascii')}")


def parse_hold_until(text: bytes) -> Hold:
    if not _DATE_TIME.fullmatch(text):
        raise BadArgument("HOLDUNTIL: a date and time as 2030-01-31T12:00:00Z expected")
    word = text.decode("ascii").upper()
    try:
        moment = datetime.fromisoformat(word.replace("Z", "+00:00"))
        until = round(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise BadArgument("HOLDUNTIL: no such date and time") from None
    return Hold(until=until, text=f"until;{word}")


def date_time(seconds: float) -> str:
    """A time as EHLO announces it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
