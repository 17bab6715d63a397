"""One courier holds one connection and carries messages over it.

1. Targets are tried in their order until one greets, takes EHLO (or HELO), and gives the protection
   and the login that are wanted; one that does not is passed over. So is one that takes nobody for now,
   by 4xx to MAIL or to every RCPT: another may (RFC 5321 5.1).
2. A message that requires TLS comes back when no target gives it, unless one could not be asked; a report
   about one goes then as others do (RFC 8689 4.2.1, 5).
3. A connection that was used before and turns out to be closed, or that knows no second MAIL, is
   replaced once, silently. One whose protection is not what the next message wants is replaced, too.
4. A message may be given to `carry` when the one before it is sent and not answered yet: `free` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from imsd.errors import Refusal
from imsd.mail.relay.connecting import UNREACHED, LoginRefused, Session, Transport
from imsd.mail.relay.outcomes import Insecure, Outcome, Parcel, outcome_of
from imsd.mail.relay.reached import Reached
from imsd.mail.relay.sending import send
from imsd.mail.requiring import REQUIRED
from imsd.mail.routing import Route, Target, Unroutable
from imsd.mail.security import Wanted
from imsd.mail.slots import Slots
from imsd.settings.outbound import ConnectionLimits
from imsd.settings.scheduling import TransferTime
from imsd.settings.security import Tls
from imsd.store.spool import Queued, QueuedRecipient, State
from protocols.smtp import client as smtp

_AGAIN = (smtp.Disconnected, smtp.OutOfSequence)


class Courier:
    """One connection at a time to the servers of one destination. slots: where there may be one more.
    moves: whether there may be others."""

    moves = True

    def __init__(self, transport: Transport, slots: Slots) -> None:
        self._transport = transport
        self._slots = slots
        self._session: Session | None = None
        self._slot = ""
        self._sent = 0
        self.free: Callable[[], None] = _nobody_asks
        """Called when another message may be carried, before the one that is being carried is over."""

    async def carry(self, route: Route, parcel: Parcel) -> dict[int, Outcome]:
        """Send to all recipients of the parcel; their outcomes by recipient id.

        Raises LeaseLost, and what reading the content raises.
        """
        settings = self._transport.settings
        message = parcel.message
        wants = self._transport.wanted(route)
        if message.tls != wants.asks:
            wants = replace(wants, asks=message.tls)
        outcomes: dict[int, Outcome] = {}
        turned_away: dict[int, Outcome] = {}
        tried: set[str] = set()
        left, free = parcel.recipients, self.free
        most = settings[ConnectionLimits].of(route.domain).recipients_out
        while left:
            used = self._usable(route, wants)
            if not used:
                await self.close()
                refused = await self._connect(route, wants, left, tried)
                if refused is not None and turned_away:
                    return outcomes | dict.fromkeys(refused, next(iter(turned_away.values()))) | turned_away
                if refused is not None:
                    if not _may_go_without(message, wants, refused):
                        return outcomes | refused
                    wants = replace(wants, asks="")
                    continue
            session = self._session
            assert session is not None
            if wants.asks == REQUIRED and session.wanted.asks != REQUIRED:
                # A connection that was not made for it.
                unfit = _unfit(session)
                if not _may_go_without(message, wants, _all(left, unfit)):
                    return outcomes | _all(left, unfit)
                wants = replace(wants, asks="")
            self._sent += 1
            patience = self._limit_time(session, message.priority)
            try:
                sent = await send(
                    session.client,
                    parcel,
                    left[:most],
                    str(session.target),
                    self._transport.now(),
                    wants.asks == REQUIRED,
                    free if len(left) <= most else None,
                )
            except smtp.ClientError as error:
                self._drop(session)
                if used and not patience.called and isinstance(error, _AGAIN):
                    continue
                text = f"Connection failed: {error}"
                lost = Outcome(State.WAITING, "4.4.2", text, str(session.target), reached=session.reached)
                return outcomes | _all(left, lost)
            except BaseException:
                self._drop(session)
                raise
            finally:
                if patience.active():
                    patience.cancel()
            if not session.client.usable:
                self._drop(session)
            found = {number: replace(each, reached=session.reached) for number, each in sent.outcomes.items()}
            if sent.turned_away and self.moves:
                turned_away = found | turned_away
                tried.add(session.target.host)
                await self.close()
                continue
            outcomes |= found
            left = sent.rest + left[most:]
        return outcomes

    async def close(self) -> None:
        """Say goodbye, if there is a connection."""
        session = self._session
        if session is not None:
            try:
                await session.client.quit()
            finally:
                self._drop(session)

    def _drop(self, session: Session) -> None:
        """End a connection, which may have been replaced by whoever comes behind."""
        if session is self._session:
            self.abort()
        else:
            session.client.abort()

    def abort(self) -> None:
        """End the connection at once."""
        session, self._session = self._session, None
        slot, self._slot = self._slot, ""
        if session is not None:
            session.client.abort()
        if slot:
            self._slots.give(slot)

    def _limit_time(self, session: Session, priority: int) -> Any:
        """One message does not hold a host for ever, however slowly it goes (ims_spec 3.5)."""
        transport = self._transport
        seconds = transport.settings[TransferTime].seconds(priority)
        why = f"not transferred within {seconds / 60:g} minutes"
        return transport.reactor.callLater(seconds, session.client.abort, why)

    def _usable(self, route: Route, wants: Wanted) -> bool:
        session = self._session
        most = self._transport.settings[ConnectionLimits].of(route.domain).messages_per_connection
        if session is None or not session.client.usable or self._sent >= most:
            return False
        # What is good enough for a message that requires TLS is for any other that asks for nothing.
        return session.wanted == wants or (not wants.asks and session.wanted == replace(wants, asks=REQUIRED))

    # Connecting ----------------------------------------------------------------------------

    async def _connect(
        self, route: Route, wants: Wanted, recipients: tuple[QueuedRecipient, ...], tried: Collection[str]
    ) -> dict[int, Outcome] | None:
        """Have a session; or why not, for each recipient. tried: hosts that will not do."""
        try:
            targets = await self._transport.routing.targets(route)
            policy = await self._transport.protections.policy(route, wants)
        except Unroutable as error:
            state = State.WAITING if error.temporary else State.FAILED
            outcome = Outcome(state, error.status, error.text)
            self._transport.notices.unresolved(route.domain, error.text)
            return _all(recipients, outcome)
        targets = [each for each in targets if each.host not in tried]
        worst: Outcome | None = None
        limit = self._transport.settings[ConnectionLimits].of(route.domain).per_host
        for target in targets:
            await self._slots.take(target.address, limit)
            self._slot = target.address
            try:
                self._session = await self._transport.session(target, wants, route, policy)
                self._sent = 0
                self._count("connections_out")
                self._transport.refusals.forget(each.id for each in recipients)
                return None
            except LoginRefused as error:
                self.abort()
                return self._login_refused(error, target, wants, recipients)
            except BaseException as error:
                self.abort()
                outcome = _passed_over(error, target, wants)
                self._count("connections_failed")
                self._transport.notices.unreached(str(target), route.domain, error)
            if worst is None or outcome.state is State.WAITING:
                worst = outcome
        return _all(recipients, worst or Outcome(State.WAITING, "4.4.1", "There is no other host"))

    def _count(self, name: str) -> None:
        if self._transport.counters is not None:
            self._transport.counters.count(name)

    def _login_refused(
        self, error: LoginRefused, target: Target, wants: Wanted, recipients: tuple[QueuedRecipient, ...]
    ) -> dict[int, Outcome]:
        """Our mistake or theirs, it can be mended; but not for ever (ims_spec 3.12)."""
        most = self._transport.settings[Tls].auth_retry
        refused = Outcome(State.WAITING, "4.7.8", str(error), str(target), reached=_nothing(wants))
        for_good = replace(refused, state=State.FAILED, status=error.reply.enhanced or "5.7.8")
        if error.reply.code != 535:
            return _all(recipients, refused)
        counts = self._transport.refusals
        over = {each.id for each in recipients if counts.add(each.id) >= most}
        counts.forget(over)
        return {each.id: for_good if each.id in over else refused for each in recipients}


def _may_go_without(message: Queued, wants: Wanted, refused: dict[int, Outcome]) -> bool:
    """Whether it is a report that cannot have the protection it should have (RFC 8689 5)."""
    return (
        wants.asks == REQUIRED
        and not message.reverse_path
        and any(each.status in ("5.7.10", "5.7.30") for each in refused.values())
    )


def _nothing(wants: Wanted, more: str = "") -> Reached:
    """What was wanted, and not reached. more: what the other domain asks for."""
    return Reached("", "", wanted="requiretls" if wants.asks == REQUIRED else more or wants.level)


def _unfit(session: Session) -> Outcome:
    text = "the message requires TLS, and the host that asked for its mail does not offer REQUIRETLS"
    return Outcome(State.FAILED, "5.7.30", text, reached=session.reached)


def _nobody_asks() -> None:
    """Messages come one by one."""


def _all(recipients: tuple[QueuedRecipient, ...], outcome: Outcome) -> dict[int, Outcome]:
    return dict.fromkeys((each.id for each in recipients), outcome)


def _passed_over(error: BaseException, target: Target, wants: Wanted) -> Outcome:
    """Why the next target is tried. Raises what is no matter of the target."""
    match error:
        case smtp.Rejected():
            return replace(outcome_of(error.reply, str(target)), reached=_nothing(wants))
        case smtp.ClientError():
            return Outcome(State.WAITING, "4.4.2", f"{target}: {error}")
        case Insecure():
            state = State.FAILED if error.status.startswith("5") else State.WAITING
            return Outcome(state, error.status, f"{target}: {error}", reached=_nothing(wants, error.wanted))
        case Refusal():
            return Outcome(State.WAITING, "4.3.5", f"{target}: {error.text}")
    if isinstance(error, UNREACHED):
        return Outcome(State.WAITING, "4.4.1", f"{target}: {str(error) or type(error).__name__}")
    raise error
