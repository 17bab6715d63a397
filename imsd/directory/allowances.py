"""How much a mailbox may send elsewhere, as its entry says: attributes in place of the site's `ims.sending`.

    imsSendMessagesPerHour, imsSendMessagesPerDay
    imsSendRecipientsPerHour, imsSendRecipientsPerDay

Absent: as the site has it. 0: nothing leaves. -1: any number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ATTRIBUTES: Final = {
    "messages_per_hour": "imsSendMessagesPerHour",
    "messages_per_day": "imsSendMessagesPerDay",
    "recipients_per_hour": "imsSendRecipientsPerHour",
    "recipients_per_day": "imsSendRecipientsPerDay",
}
"""Limit of `ims.sending` to attribute."""

ANY: Final = -1


def allowance_of(values: Mapping[str, tuple[bytes, ...]]) -> Mapping[str, int]:
    """What an entry's attributes, by key, say; what they do not say is not in it."""
    found: dict[str, int] = {}
    for limit, name in ATTRIBUTES.items():
        held = values.get(name.lower())
        if held:
            try:
                found[limit] = max(ANY, int(held[0]))
            except ValueError:
                continue
    return found
