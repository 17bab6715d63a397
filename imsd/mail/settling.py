"""What becomes of recipients after a try: written, tracked, told, and the message finished.

The sender is told before the result is written, so that a stop between the two repeats the
telling and never forgets it. Success that `Delivery.deliver_here` recorded is told after it, and
marked; start-up finds what was not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from imsd.mail.bounce import Action, Fate, wanted
from imsd.mail.fairness import again
from imsd.mail.reasons import STOPPED
from imsd.mail.recording import Recorder
from imsd.mail.relay import Outcome
from imsd.mail.reporting import Reporter
from imsd.mail.schedule import due_again, ends, is_late
from imsd.mail.work import Active, Work
from imsd.store import spool, tracking
from imsd.store.claims import Result
from imsd.store.ids import QueueId
from imsd.store.results import Settlement
from imsd.store.spool import Queued, QueuedRecipient, State
from imsd.store.tracking import Event

if TYPE_CHECKING:
    from imsd.diagnostics.diagnosis import Diagnosis
    from imsd.mail.archiving import Archive
    from imsd.plugins.plugins import Plugins
    from imsd.settings import LiveSettings
    from imsd.store.database import Database
    from imsd.store.transaction import Unit


@dataclass(slots=True)
class Verdict:
    """What is to be written, tracked and told of one piece of work."""

    results: list[Result] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    fates: dict[Action, list[Fate]] = field(default_factory=dict)

    def tell(self, fate: Fate) -> None:
        self.fates.setdefault(fate.action, []).append(fate)


class Settling:
    """Decides and writes. hold: raises LeaseLost unless the claim is ours for a while."""

    def __init__(
        self,
        db: Database,
        reporter: Reporter,
        settings: LiveSettings,
        now: Callable[[], int],
        hold: Callable[[Active], Awaitable[None]],
    ) -> None:
        self._db = db
        self._recorder = Recorder(db)
        self._reporter = reporter
        self._settings = settings
        self._now = now
        self._hold = hold
        self._closing: set[QueueId] = set()
        self.diagnosis: Diagnosis | None = None
        self.archive: Archive | None = None
        self.plugins: Plugins | None = None
        self.noticed: set[int] = set()
        """Recipients whose delay was told of while they were being tried (imsd.mail.lateness)."""

    async def settle(self, work: Work, outcomes: dict[int, Outcome]) -> None:
        message, time = work.message, self._now()
        verdict = self.judge(work, outcomes, time)
        if verdict.fates:
            await self._hold(work.active)
            for action, fates in verdict.fates.items():
                told = await self._reporter.tell(message, fates, time / 1e6)
                reason = f"{action.value}: {told}"
                verdict.events += [
                    _event(time, told.word, message, fate.recipient.address, reason) for fate in fates
                ]
        untold = any(each.id not in outcomes for each in work.recipients)
        if verdict.results:
            settlement = Settlement(work.active.claim, verdict.results, verdict.events)
            untold |= await self._recorder.write(settlement, time)
            if self.plugins is not None:
                self.plugins.tracked(verdict.events)
            await self._note(work, outcomes)
        if untold:
            await self.close(message, time)

    async def _note(self, work: Work, outcomes: dict[int, Outcome]) -> None:
        """What a try to send is to diagnostics, and to the archive."""
        if work.route is None:
            return
        archive, diagnosis = self.archive, self.diagnosis
        gone = [
            each
            for each in work.recipients
            if each.id in outcomes and outcomes[each.id].state is State.RELAYED
        ]
        if archive is not None and archive.wanted and gone:
            await archive.sent(work.message, gone)
        if diagnosis is not None and diagnosis.wants(2001):
            hosts = sorted({each.peer for each in outcomes.values() if each.peer})
            diagnosis.tell(
                2001,
                "tried to send message {queue_id} of {sender} to {hosts}: {gone} delivered, {left} not",
                queue_id=work.message.queue_id,
                sender=work.message.reverse_path or "<>",
                hosts=", ".join(hosts) or work.route.domain,
                gone=len(gone),
                left=len(outcomes) - len(gone),
            )

    def judge(self, work: Work, outcomes: dict[int, Outcome], time: int) -> Verdict:
        """Pure: what each outcome means now."""
        message, verdict = work.message, Verdict()
        for each in work.recipients:
            outcome = outcomes.get(each.id)
            if outcome is None:
                continue  # Delivered and recorded already.
            state, status, text = outcome.state, outcome.status, outcome.text
            due, warned, word = 0, each.warned, "relayed"
            again_at = due_again(message, each.attempts, time, self._settings)
            if state is State.RELAYED:
                asked = not outcome.reported and wanted(each.notify, Action.RELAYED)
                # RFC 2852 4.1.4: a trace, or a server that knows nothing of the deadline.
                traced = outcome.traced and each.notify != "NEVER"
                if message.reverse_path and (asked or traced):
                    verdict.tell(_fate(each, Action.RELAYED, outcome))
            elif state is State.WAITING and again_at is not None:
                word, due = "deferred", again_at
                if work.parks:
                    # It was asked for once: the next who asks starts it again.
                    state, text = State.PARKED, f"{work.parks}. {text}"
                if self._late(message, each, time):
                    warned = True
                    # RFC 2852 4.1.3: that its time is over is what is told.
                    over = "4.4.7" if message.by_mode and time >= message.deliver_by else ""
                    verdict.tell(
                        _fate(each, Action.DELAYED, outcome, over, until=ends(message, self._settings))
                    )
            else:
                word = "failed"
                if state is State.WAITING:
                    # RFC 3463 3.5: X.4.7, delivery time expired; what was temporary until the end stays so.
                    text = f"Not delivered in time. {text}"
                    status, state = "4.4.7", State.FAILED
                    if message.by_mode.startswith("R") and time >= message.deliver_by:
                        status = "5.4.7"  # RFC 2852 4.1.3: its time is over, whatever the reason was.
                if wanted(each.notify, Action.FAILED):
                    verdict.tell(_fate(each, Action.FAILED, outcome, status, text))
            noted = f"{text} (TLS {outcome.tls})" if outcome.tls else text
            verdict.results.append(Result(each.id, state, noted, due, warned, again(due, message.priority)))
            event = _event(time, word, message, each.address, noted, outcome.peer)
            verdict.events.append(_protected(event, outcome))
        return verdict

    def _late(self, message: Queued, recipient: QueuedRecipient, time: int) -> bool:
        return (
            bool(message.reverse_path)
            and not recipient.warned
            and recipient.id not in self.noticed
            and is_late(message, time, self._settings)
            and wanted(recipient.notify, Action.DELAYED)
        )

    async def close(self, message: Queued, time: int) -> None:
        """Tell of deliveries here whose success is to be reported, then finish."""
        if message.id in self._closing:
            return  # Whoever is at it finishes the message too.
        self._closing.add(message.id)
        try:
            recipients = await self._db.read(spool.recipients_of, message.id)
            fates = [Fate(each, _DONE[each.state], "2.1.5") for each in recipients if _untold(each)]
            events: list[Event] = []
            for action in _DONE.values():
                some = [fate for fate in fates if fate.action is action]
                if some and message.reverse_path:
                    told = await self._reporter.tell(message, some, time / 1e6)
                    reason = f"{action.value}: {told}"
                    events += [
                        _event(time, told.word, message, fate.recipient.address, reason) for fate in some
                    ]
            await self._db.write(_finish, message.id, [fate.recipient.id for fate in fates], events)
        finally:
            self._closing.discard(message.id)

    async def give_up(
        self,
        message: Queued,
        recipients: Iterable[QueuedRecipient],
        notify: bool,
        text: str = STOPPED,
        status: str = "5.7.1",
        word: str = "deleted",
    ) -> None:
        """Remove a message; its sender is told if notify. word: of the tracking."""
        time = self._now()
        still = [each for each in recipients if each.state <= State.HELD]
        events = [_event(time, word, message, each.address, text) for each in still]
        fates = [
            Fate(each, Action.FAILED, status, text)
            for each in still
            if notify and wanted(each.notify, Action.FAILED)
        ]
        if fates:
            told = await self._reporter.tell(message, fates, time / 1e6)
            events.append(_event(time, told.word, message, "", f"failed: {told}"))
        await self._db.write(_remove, message.id, events)


def _fate(
    recipient: QueuedRecipient,
    action: Action,
    outcome: Outcome,
    status: str = "",
    text: str = "",
    until: int = 0,
) -> Fate:
    shown = text or outcome.text
    return Fate(recipient, action, status or outcome.status, shown, outcome.peer, outcome.diagnostic, until)


def _event(time: int, word: str, message: Queued, recipient: str, reason: str, peer: str = "") -> Event:
    return Event(
        time, word, message.queue_id, b"", message.reverse_path, recipient, reason, peer, message.size
    )


def _protected(event: Event, outcome: Outcome) -> Event:
    """With the protection that was wanted and the one that was reached."""
    reached = outcome.reached
    if reached is None:
        return event
    return replace(
        event,
        tls_wanted=reached.wanted,
        tls_reached=reached.version,
        tls_cipher=reached.cipher,
        tls_verified=reached.by,
        tls_name=reached.name,
    )


_DONE: Final = {State.DELIVERED: Action.DELIVERED, State.EXPANDED: Action.EXPANDED}


def _untold(recipient: QueuedRecipient) -> bool:
    """Delivered here or to a list's members, success asked for, and not told yet."""
    return recipient.state in _DONE and not recipient.warned and "SUCCESS" in recipient.notify.split(",")


# Units -------------------------------------------------------------------------------------


def _remove(unit: Unit, message: QueueId, events: list[Event]) -> None:
    if spool.remove(unit, message) and events:
        tracking.track(unit, *events)


def _finish(unit: Unit, message: QueueId, told: list[int], events: list[Event]) -> None:
    if told:
        spool.reported(unit, told)
    if events:
        tracking.track(unit, *events)
    spool.finish(unit, message)
