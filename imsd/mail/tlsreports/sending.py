"""A report a day to each domain that asks for it (RFC 8460 4.1, 5).

1. A day is reported on the next, from `tls_reports.hour` on; each report some time within
   `tls_reports.spread_min`, so that those who get many do not get them at once.
2. First the domain's record is looked up; then each destination has a row of its own, is claimed for a
   while and tried, and again after 10 minutes, 20, 40, ... for a day (5.5). Nodes that share a store share
   the rows.
3. By mail a report goes with the null reverse-path and NOTIFY=NEVER, whatever TLS there is, and is counted
   in no report (3): nothing follows from it. It must carry a DKIM signature (5.3): where there is no key for
   our domain none goes by mail.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger

from imsd.errors import NoSuchEntry, Refusal
from imsd.mail.envelope import Addressee, Envelope
from imsd.mail.names import LookupFailed, Names
from imsd.mail.requiring import REPORT
from imsd.mail.tlsreports.letter import letter
from imsd.mail.tlsreports.posting import Undelivered
from imsd.rounds import Rounds
from imsd.settings.tls_reports import TlsReports
from imsd.store import tls_received
from imsd.store import tls_results as rows
from imsd.store.blobs import new_blob
from imsd.store.tls_results import DAY, Report
from imsd.trust import tlsrpt
from imsd.trust.tlsrpt import Heading
from protocols.message.summary import summarize

if TYPE_CHECKING:
    from imsd.directory.directory import Directory
    from imsd.mail.delivery import Delivery
    from imsd.settings import LiveSettings
    from imsd.store.database import Database

ROUND: Final = 60.0
"""Seconds between looks at what is due."""
MINUTE: Final = 60_000_000
LEASE: Final = 10 * MINUTE
"""For so long a report that is claimed is nobody else's."""
WAIT: Final = 10 * MINUTE
THIN: Final = 3
"""Days for which what went well without a policy is kept."""
TRIES: Final = 8
"""With waits that double, a day."""

Post = Callable[[str, bytes], Awaitable[str]]


class TlsReporter:
    """Looks every minute. post: by HTTPS, raises Undelivered. now: microseconds."""

    log = Logger()

    def __init__(
        self,
        db: Database,
        delivery: Delivery,
        directory: Directory,
        settings: LiveSettings,
        names: Names,
        post: Post,
        reactor: Any,
        now: Callable[[], int],
    ) -> None:
        self._db = db
        self._delivery = delivery
        self._directory = directory
        self._settings = settings
        self._names = names
        self._post = post
        self._now = now
        self._tidied = -1
        failed = "reports on TLS could not be sent; it is tried again"
        self._rounds = Rounds(self.look, reactor, self.log, failed)

    def start(self) -> None:
        self._rounds.start(ROUND)

    def stop(self) -> None:
        """Nothing further is begun; what is being sent is claimed, and comes again."""
        self._rounds.stop()

    async def look(self) -> None:
        """Do what is due."""
        page, now = self._settings[TlsReports], self._now()
        today = now // DAY
        if self._tidied != today:
            await self._tidy(today, page.keep_days)
            self._tidied = today
        if page.send == "off":
            return
        since = today * DAY + page.hour * 60 * MINUTE
        after = ""
        while now >= since and (domains := await self._db.read(rows.unplanned, today - 1, after)):
            await self._db.write(rows.plan, today - 1, domains, since, page.spread_min * MINUTE)
            after = domains[-1]
        while await self._db.read(rows.are_due, self._now()):
            claimed = await self._db.write(rows.claim, self._now(), self._now() + LEASE)
            await DeferredList(
                [Deferred.fromCoroutine(self._one(each)) for each in claimed], consumeErrors=True
            )

    async def _tidy(self, today: int, keep: int) -> None:
        while await self._db.write(rows.thin, today - THIN):
            pass
        while await self._db.write(rows.expire, today - keep):
            pass
        while await self._db.write(tls_received.expire, (today - keep) * DAY):
            pass

    async def _one(self, report: Report) -> None:
        """Raises nothing but CancelledError and what the store raises: one report keeps none from another."""
        try:
            if report.rua:
                note = await self._send(await self._heading(report.day, report.domain), report.rua)
                await self._db.write(rows.settle, report, "sent", 0, note)
            else:
                await self._divide(report)
        except (CancelledError, GeneratorExit):
            raise
        except (Undelivered, LookupFailed, Refusal) as error:
            await self._again(report, error.text if isinstance(error, Refusal) else str(error))
        except Exception:
            self.log.failure("report on TLS to {domain} could not be sent", domain=report.domain)
            await self._again(report, "Internal error")

    async def _again(self, report: Report, why: str) -> None:
        due = self._now() + (WAIT << report.attempts)
        state = "waiting" if report.attempts + 1 < TRIES else "failed"
        await self._db.write(rows.settle, report, state, due, why)
        self.log.info(
            "report on TLS to {domain} is not delivered to {rua}: {why}",
            domain=report.domain, rua=report.rua or "anybody", why=why,
        )  # fmt: skip

    async def destinations(self, domain: str) -> tuple[str, ...]:
        """Where a domain wants reports. Raises LookupFailed."""
        return tlsrpt.destinations(await self._names.texts(f"_smtp._tls.{domain}"))

    async def _divide(self, report: Report) -> None:
        wanted = await self.destinations(report.domain)
        fine, why = self.sendable(wanted)
        if fine:
            await self._db.write(rows.divide, report, fine, self._now())
            return
        await self._db.write(rows.settle, report, "none", 0, why or "the domain asks for none")

    def sendable(self, wanted: Sequence[str]) -> tuple[list[str], str]:
        """The destinations that are served, and why others are not."""
        send, why = self._settings[TlsReports].send, ""
        if send == "off":
            return [], "tls_reports.send is off"
        by_mail = send == "all" and self._is_signed()
        fine = [uri for uri in wanted if by_mail or not tlsrpt.mail_address(uri)]
        if len(fine) < len(wanted):
            why = "tls_reports.send is https"
            if send == "all":
                why = "by mail they need a DKIM key for our domain"
        return fine, why

    async def send_now(self, domain: str, day: int) -> list[tuple[str, str]]:
        """What was counted of a day so far, reported at once; each destination, and what became of it.

        Raises NoSuchEntry, LookupFailed and refusals.
        """
        wanted = await self.destinations(domain)
        if not wanted:
            raise NoSuchEntry(f"{domain} asks for no reports (_smtp._tls.{domain})")
        heading = replace(await self._heading(day, domain), token=secrets.token_hex(4))
        told = []
        for uri in wanted:
            try:
                told.append((uri, await self._send(heading, uri)))
            except Undelivered as error:
                told.append((uri, f"failed: {error}"))
        return told

    def _contact(self) -> str:
        served = self._directory.domains.served
        return self._settings[TlsReports].contact or f"postmaster@{served[0] if served else 'localhost'}"

    def _is_signed(self) -> bool:
        signer = self._delivery.signer
        return signer is not None and signer.signs(self._contact().rpartition("@")[2])

    async def _heading(self, day: int, domain: str) -> Heading:
        page = self._settings[TlsReports]
        organization, _ = await self._directory.place()
        return Heading(page.organization or organization, self._contact(), day, domain)

    async def _send(self, heading: Heading, uri: str) -> str:
        """Raises Undelivered, refusals; what became of it."""
        results = await self._db.read(rows.of, heading.day, heading.domain)
        if not results:
            raise NoSuchEntry(f"Nothing was counted of {heading.domain} on that day")
        packed = await self._db.in_thread(lambda: tlsrpt.encode(tlsrpt.report(heading, results)))
        to = tlsrpt.mail_address(uri)
        if not to:
            return f"posted: {await self._post(uri, packed)}"
        data = letter(heading, to, packed, self._now() / 1e6, secrets.token_hex(12))
        addressee = Addressee(to, None, ("NEVER",))
        if self._directory.serves(to.rpartition("@")[2]):
            addressee = replace(addressee, recipient=await self._directory.resolve(to))
        envelope = Envelope("", (addressee,), tls=REPORT)
        accepted = await self._delivery.accept(envelope, new_blob(data, summarize(data)))
        return f"mailed: {accepted.queue_id}"
