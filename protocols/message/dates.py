"""Dates of header fields (RFC 5322 3.3 and 4.3), read leniently and written strictly."""

import re
import time
from datetime import UTC, datetime, timedelta, timezone

from protocols.message.mime import without_comments

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec")
_MONTH = {name: number for number, name in enumerate(_MONTHS, 1)}
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# RFC 5322 4.3 obs-zone; one-letter military zones say nothing reliable and are +0000.
_ZONES = {
    b"ut": 0, b"gmt": 0, b"utc": 0, b"z": 0, b"est": -300, b"edt": -240, b"cst": -360, b"cdt": -300,
    b"mst": -420, b"mdt": -360, b"pst": -480, b"pdt": -420, b"cet": 60, b"cest": 120, b"met": 60,
    b"mest": 120, b"bst": 60, b"jst": 540, b"msk": 180, b"eet": 120, b"eest": 180, b"wet": 0, b"west": 60,
}  # fmt: skip

# [day-name ","] day month year hour ":" minute [":" second] zone, with what is seen in the wild.
_DATE = re.compile(
    rb"(?:[A-Za-z]{2,10}\.?,?)?\s*([0-9]{1,2})[\s\-./]+([A-Za-z]{3,9})\.?[\s\-./,]+([0-9]{2,5})"
    rb"(?:[\s,T]+(?:at\s+)?([0-9]{1,2})\s*[:.]\s*([0-9]{1,2})"
    rb"(?:\s*[:.]\s*([0-9]{1,2})(?:[.,][0-9]+)?)?(?:\s*([AaPp][Mm]\b))?)?"
    rb"\s*(?:(?:GMT|UTC?)?([+\-])\s*([0-9]{1,2}):?([0-9]{2})?|([A-Za-z]{1,5}))?"
)
# asctime: day-name month day time year
_ASCTIME = re.compile(
    rb"(?:[A-Za-z]{3,9},?\s+)?([A-Za-z]{3,9})\.?\s+([0-9]{1,2}),?\s+"
    rb"(?:([0-9]{4}),?\s+)?([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?(?:\s*([AaPp][Mm]\b))?"
    rb"(?:\s*([+\-])([0-9]{2}):?([0-9]{2})|\s+([A-Za-z]{2,5}))?(?:\s+([0-9]{4}))?"
)
# ISO 8601, which some programs write.
_ISO = re.compile(
    rb"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T\s]+([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,][0-9]+)?)?)?"
    rb"\s*(?:([+\-])([0-9]{2}):?([0-9]{2})|([A-Za-z]{1,5}))?"
)


def parse(value: bytes) -> datetime | None:
    """The moment, with the zone it was written in; None when it cannot be read.

    Two-digit years are 2000 to 2049 and 1950 to 1999, three-digit ones 1900 and up
    (RFC 5322 4.3). A leap second becomes second 59. An unknown zone is read as +0000.
    """
    value = without_comments(value[:200]).strip()
    match = _DATE.match(value)
    if match is not None:
        day, name, year, *clock = match.groups()
        return _moment(year, _MONTH.get(name[:3].lower(), 0), day, *clock)
    match = _ISO.match(value)
    if match is not None:
        year, digits, day, hour, minute, second, *zone = match.groups()
        return _moment(year, int(digits), day, hour, minute, second, None, *zone)
    match = _ASCTIME.match(value)
    if match is not None:
        name, day, early, *clock, late = match.groups()
        month = _MONTH.get(name[:3].lower(), 0)
        year = early or late
        if year is not None:
            return _moment(year, month, day, *clock)
    return None


def _moment(
    year: bytes,
    month: int,
    day: bytes,
    hour: bytes | None,
    minute: bytes | None,
    second: bytes | None,
    half: bytes | None,
    sign: bytes | None,
    zone_hour: bytes | None,
    zone_minute: bytes | None,
    zone: bytes | None,
) -> datetime | None:
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 50 else 1900
    elif len(year) == 3:
        number += 1900
    if sign is not None:
        offset = int(zone_hour or b"0") * 60 + int(zone_minute or b"0")
        if sign == b"-":
            offset = -offset
    else:
        offset = _ZONES.get(zone.lower(), 0) if zone is not None else 0
    if not -1440 < offset < 1440:
        offset = 0
    hours = int(hour or b"0")
    if half is not None and hours <= 12:
        hours = hours % 12 + (12 if half in (b"pm", b"PM", b"Pm", b"pM") else 0)
    try:
        seconds = min(int(second or b"0"), 59)
        moment = datetime(number, month, int(day), hours, int(minute or b"0"), seconds, tzinfo=_zone(offset))
        moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return moment


def _zone(minutes: int) -> timezone:
    return UTC if minutes == 0 else timezone(timedelta(minutes=minutes))


def microseconds(moment: datetime) -> int:
    """Microseconds since the epoch, the store's time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format(seconds: float, offset: int = 0) -> bytes:
    """date-time of RFC 5322 3.3 for a moment since the epoch, in a zone offset minutes east of UTC."""
    at = time.gmtime(int(seconds) + offset * 60)
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    return (
        f"{_DAY_NAMES[at.tm_wday]}, {at.tm_mday:02d} {_MONTH_NAMES[at.tm_mon - 1]} {at.tm_year:04d} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d} {sign}{hours:02d}{minutes:02d}"
    ).encode("ascii")
