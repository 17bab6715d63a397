"""The catalogue of events (ims_spec 10): number, category, and the level from which on it is logged.

What went wrong is always logged. What merely happens is logged where an administrator wants to see it:
`diagnostics.*` has a level for each category (ims_spec 3.9).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, NamedTuple

Level = Literal["none", "minimum", "medium", "maximum"]

LEVELS: Final[dict[str, int]] = {"none": 0, "minimum": 1, "medium": 3, "maximum": 5}
"""The numbers that these levels have always had."""


class Category(StrEnum):
    INITIALIZATION = "Initialization/Termination"
    ADDRESSING = "Addressing"
    TRANSFER = "Message Transfer"
    INTERFACE = "SMTP Interface Events"
    PROCESSING = "Internal Processing"
    PROTOCOL_LOG = "SMTP Protocol Log"
    ARCHIVAL = "Message Archival"


class Event(NamedTuple):
    """level: 0 for what is always logged."""

    category: Category
    level: int = 0


EVENTS: Final[dict[int, Event]] = {
    1018: Event(Category.TRANSFER),
    2001: Event(Category.TRANSFER, LEVELS["medium"]),
    2002: Event(Category.TRANSFER, LEVELS["medium"]),
    2003: Event(Category.INTERFACE, LEVELS["maximum"]),
    2004: Event(Category.PROTOCOL_LOG),
    2006: Event(Category.INTERFACE),
    3010: Event(Category.INTERFACE),
    3011: Event(Category.INTERFACE),
    3018: Event(Category.TRANSFER),
    3019: Event(Category.TRANSFER),
    4007: Event(Category.INITIALIZATION),
    4020: Event(Category.INITIALIZATION),
    4037: Event(Category.PROCESSING),
    4051: Event(Category.INTERFACE, LEVELS["medium"]),
    4086: Event(Category.INITIALIZATION),
    4087: Event(Category.INITIALIZATION),
    4098: Event(Category.PROCESSING),
    4106: Event(Category.INTERFACE),
    4115: Event(Category.PROCESSING),
    4123: Event(Category.PROCESSING, LEVELS["minimum"]),
    4151: Event(Category.INTERFACE),
    4164: Event(Category.TRANSFER),
    4183: Event(Category.INTERFACE),
    4192: Event(Category.TRANSFER),
    10_000: Event(Category.ADDRESSING),
    20_001: Event(Category.INITIALIZATION, LEVELS["minimum"]),
    20_002: Event(Category.INITIALIZATION, LEVELS["minimum"]),
    20_003: Event(Category.ADDRESSING, LEVELS["medium"]),
    20_010: Event(Category.TRANSFER),
    20_020: Event(Category.INITIALIZATION),
    20_021: Event(Category.PROCESSING),
    20_022: Event(Category.TRANSFER),
    20_023: Event(Category.PROCESSING),
    20_024: Event(Category.PROCESSING),
    20_025: Event(Category.PROCESSING),
    20_030: Event(Category.ADDRESSING),
    20_031: Event(Category.TRANSFER),
    20_040: Event(Category.INTERFACE),
    20_050: Event(Category.ARCHIVAL),
    20_060: Event(Category.TRANSFER),
    20_070: Event(Category.ADDRESSING),
}
