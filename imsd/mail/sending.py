"""Sending limits: who sends more than he may has his mail held, not returned.

1. Counted is what leaves, by messages and recipients, over an hour and a day; by mailbox and by the
   domain of its address. Only who has logged in is counted: the server's own reports are not. What the
   mailbox's entry says (imsd.directory.allowances) goes before the site's settings.
2. What would go beyond is accepted and held in the queue, whole; mail to people here is delivered
   as ever. It leaves when an administrator releases it (`imsctl queue release`). Held mail is not
   counted, so that whoever is below his limit again sends again.
3. The administrator hears of it by mail, once an hour for each mailbox or domain.
4. Counters are this process's own and bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from imsd.directory.allowances import ANY
from imsd.mail.pace import Pace
from imsd.settings.sending import Allowance, Sending

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

REMEMBERED: Final = 10_000
"""Mailboxes whose own limits are known for `limited`."""

Alert = Callable[[str, str], None]
"""Tells the administrator: subject and text."""


class SendingLimits:
    """The counters of one server. clock: seconds since 1970."""

    log = Logger()

    def __init__(self, settings: LiveSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._paces = {
            "messages_per_hour": Pace(HOUR),
            "messages_per_day": Pace(DAY),
            "recipients_per_hour": Pace(HOUR),
            "recipients_per_day": Pace(DAY),
        }
        self._told = Pace(HOUR)
        self._own: OrderedDict[str, Mapping[str, int]] = OrderedDict()
        self.alert: Alert = lambda subject, text: None

    @property
    def active(self) -> bool:
        """Whether the site has limits."""
        return self._settings[Sending].active

    def allowed(self, address: str, own: Mapping[str, int]) -> dict[str, int | None]:
        """What a mailbox may; None: any number. own: what its entry says."""
        found = _allowance(self._settings[Sending].of_mailbox(address))
        return found | {limit: None if most == ANY else most for limit, most in own.items()}

    def used(self, address: str) -> dict[str, int]:
        """What a mailbox has sent in each limit's time."""
        now, key = self._clock(), address.casefold()
        return {limit: round(pace.used(key, now)) for limit, pace in self._paces.items()}

    def hold(self, address: str, recipients: int, own: Mapping[str, int] | None = None) -> str:
        """May a mailbox send a message to so many? "" and it is counted, or the limit that holds it.

        own: limits of its entry, which go before the settings.
        """
        page, own = self._settings[Sending], own or {}
        domain = address.rpartition("@")[2]
        self._note(address.casefold(), own)
        asked = [(address.casefold(), self.allowed(address, own))]
        row = page.of_domain(domain)
        if row is not None:
            asked.append((f"@{row.domain}", _allowance(row)))
        now = self._clock()
        for key, allowed in asked:
            for name, amount in (("messages", 1), ("recipients", recipients)):
                for span in ("hour", "day"):
                    limit = f"{name}_per_{span}"
                    most = allowed[limit]
                    if most is not None and self._paces[limit].used(key, now) + amount > most:
                        self._paces[limit].refuse(key, now)
                        self._tell(limit, key, address, most)
                        return f"{limit} of {key}"
        for key, _ in asked:
            for limit, pace in self._paces.items():
                pace.add(key, 1 if limit.startswith("messages") else recipients, now)
        return ""

    def _note(self, key: str, own: Mapping[str, int]) -> None:
        self._own.pop(key, None)
        if own:
            self._own[key] = own
            if len(self._own) > REMEMBERED:
                self._own.popitem(last=False)

    def _tell(self, limit: str, key: str, address: str, most: int) -> None:
        self.log.warn(
            "mail of {address} is held: {limit} of {key} is {most}",
            address=address, limit=limit, key=key, most=most, event_id=20_010,
        )  # fmt: skip
        if self._told.take(key, 1, 1, self._clock()):
            self.alert(
                f"Mail of {address} is held",
                f"{key} has reached its sending limit ({limit}: {most}).\n\n"
                "What it sends elsewhere is kept in the queue until you let it leave:\n\n"
                "    imsctl queue list\n    imsctl queue release ID\n    imsctl queue delete ID\n\n"
                "An account that sends more than its owner would may have been taken over:\n"
                "then change its password first.\n",
            )

    # For the administrator -----------------------------------------------------------------

    def limited(self) -> list[dict[str, Any]]:
        """Who has reached a limit."""
        page, now, rows = self._settings[Sending], self._clock(), []
        for limit, pace in self._paces.items():
            for each in pace.over(1, now):
                if each.key[0] == "@":
                    row_of = page.of_domain(each.key[1:])
                    most = _allowance(row_of)[limit] if row_of is not None else None
                else:
                    most = self.allowed(each.key, self._own.get(each.key, {}))[limit]
                if most is not None and (each.used >= most or each.refused):
                    row = {"limit": f"ims.sending.{limit}", "who": each.key, "used": each.used}
                    rows.append({**row, "allowed": most, "refused": each.refused})
        return rows

    def forget(self, who: str) -> bool:
        """Let a mailbox, or @domain, begin anew; whether it was known."""
        known = [pace.forget(who.casefold()) for pace in (*self._paces.values(), self._told)]
        return any(known)


def _allowance(page: Allowance) -> dict[str, int | None]:
    """A row of the settings, where 0 is any number."""
    return {
        limit: getattr(page, limit) or None
        for limit in ("messages_per_hour", "messages_per_day", "recipients_per_hour", "recipients_per_day")
    }
