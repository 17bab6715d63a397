"""Sending limits: who sends more than he may has his mail held, not returned.

1. Counted is what leaves, by messages and recipients, over an hour and a day; by mailbox and by the
   domain of its address. Only who has logged in is counted: the server's own reports are not. What the
   mailbox's entry says (imsd.directory.allowances) goes before the site's settings.
2. What would go beyond is accepted and held in the queue, whole; mail to people here is delivered
   as ever. It leaves when an administrator releases it (`imsctl queue release`). Held mail is not
   counted, so that whoever is below his limit again sends again.
3. The administrator hears of it by mail, once an hour for each mailbox or domain.
4. What was sent is counted in the store: a restart clears nothing, and servers that share it count together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from imsd.directory.allowances import ANY
from imsd.mail.pace import Pace
from imsd.settings.sending import Allowance, Sending
from imsd.store import sent
from imsd.store.sent import Used

if TYPE_CHECKING:
    from imsd.settings import LiveSettings
    from imsd.store.database import Database

HOUR: Final = 3600.0
LISTED: Final = 100

REMEMBERED: Final = 10_000
"""Mailboxes whose own limits are known for `limited`."""

Alert = Callable[[str, str], None]
"""Tells the administrator: subject and text."""


class SendingLimits:
    """clock: seconds since 1970."""

    log = Logger()

    def __init__(self, db: Database, settings: LiveSettings, clock: Callable[[], float]) -> None:
        self._db = db
        self._settings = settings
        self._clock = clock
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

    async def used(self, address: str) -> Used:
        """What a mailbox has sent in each limit's time."""
        return await self._db.read(sent.used, address.casefold(), self._clock())

    async def hold(self, address: str, recipients: int, own: Mapping[str, int] | None = None) -> str:
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
        over = await self._db.write(sent.take, asked, recipients, self._clock())
        if over is None:
            return ""
        self._tell(over.limit, over.who, address, over.most)
        return f"{over.limit} of {over.who}"

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

    async def limited(self) -> list[dict[str, Any]]:
        """Who has reached a limit."""
        page, rows = self._settings[Sending], []
        for who, used in (await self._db.read(sent.busy, self._clock())).items():
            if who[0] == "@":
                row_of = page.of_domain(who[1:])
                allowed = _allowance(row_of) if row_of is not None else {}
            else:
                allowed = self.allowed(who, self._own.get(who, {}))
            left = {limit: most - used.of(limit) for limit, most in allowed.items() if most is not None}
            # Who has been refused and has something left wanted more than that at once.
            least = min(left.values()) if left and used.refused else 0
            for limit, room in left.items():
                if room <= max(0, least):
                    row = {"limit": f"ims.sending.{limit}", "who": who, "used": used.of(limit)}
                    rows.append({**row, "allowed": used.of(limit) + room, "refused": used.refused})
        return rows[:LISTED]

    async def forget(self, who: str) -> bool:
        """Let a mailbox, or @domain, begin anew; whether it was known."""
        self._told.forget(who.casefold())
        return await self._db.write(sent.forget, who.casefold())


def _allowance(page: Allowance) -> dict[str, int | None]:
    """A row of the settings, where 0 is any number."""
    return {
        limit: getattr(page, limit) or None
        for limit in ("messages_per_hour", "messages_per_day", "recipients_per_hour", "recipients_per_day")
    }
