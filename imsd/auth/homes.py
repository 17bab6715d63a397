"""Which server a mailbox is on (ims_spec 7.3, 12.3: Home-MTA and Home-MDB)."""

from __future__ import annotations

from imsd.settings import LiveSettings
from imsd.settings.referrals import Referrals


def elsewhere(settings: LiveSettings, home: str) -> str:
    """The host of another server; "" where the mailbox is here. home: `Person.home`."""
    host = settings[Referrals].servers.get(home, "") if home else ""
    return "" if host == settings.server else host
