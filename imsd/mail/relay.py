"""Mail to other servers: one courier holds one connection and carries messages over it.

1. Targets are tried in their order until one greets and takes EHLO (or HELO); what refuses the
   connection, is silent or greets with 4xx or 5xx is passed over.
2. STARTTLS is used when offered, without asking who is there (RFC 7435): if the handshake fails
   the same target is tried in clear. What must be secret needs a policy, not this module.
3. Every recipient gets its own outcome. A connection lost before the reply to the content is
   temporary: the other side may have the message, and gets it twice rather than never.
4. Content that has 8-bit lines is converted for a server without 8BITMIME (RFC 6152 3); a
   message that needs SMTPUTF8 is refused for a server without it (RFC 6531 3.2).
5. A connection that was used before and turns out to be closed is replaced once, silently.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from zope.interface import implementer

from imsd.mail.downgrade import Unconvertible
from imsd.mail.routing import Route, Routing, Target, Unroutable
from imsd.mail.slots import Slots
from imsd.mail.terms import NotInTime, after, terms
from imsd.settings.queue import Queue
from imsd.store import tables
from imsd.store.spool import Queued, QueuedRecipient, State
from protocols.smtp import client as smtp
from protocols.smtp.parameters import EIGHT_BIT, SEVEN_BIT, MailParameters, RcptParameters
from protocols.smtp.responses import Reply

if TYPE_CHECKING:
    from imsd.settings import LiveSettings


class LeaseLost(Exception):
    """The claim is somebody else's: nothing more may be sent under it (rule 24)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient.

    state: RELAYED, FAILED, or WAITING for "not now". status: RFC 3463. text: the other server's
    words, or ours. peer: who said it, "" if nobody was reached. reported: the other server
    promised to report (it offers DSN). traced: the deadline asks for a report of this hop (RFC 2852).
    """

    state: State
    status: str
    text: str
    peer: str = ""
    reported: bool = False
    traced: bool = False

    @property
    def diagnostic(self) -> str:
        """Diagnostic-Code of RFC 3464 2.3.6, empty when no server said anything."""
        return f"smtp; {self.text}" if self.peer else ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some recipients of one message, all at one destination.

    content: opens the octets; True asks for lines without 8-bit characters. utf8: addresses
    or header need SMTPUTF8.
    """

    message: Queued
    recipients: tuple[QueuedRecipient, ...]
    content: Callable[[bool], AsyncIterator[bytes]]
    utf8: bool = False


@implementer(IOpenSSLClientConnectionCreator)
class Unverified:
    """TLS against listeners, not against impostors: any certificate will do."""

    def __init__(self, host: str) -> None:
        self._host = host

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_verify(SSL.VERIFY_NONE, lambda *_: True)
        connection = SSL.Connection(context, None)
        if not self._host.startswith("[") and not self._host.replace(".", "").isdigit():
            connection.set_tlsext_host_name(self._host.encode("idna"))
        return connection


class Courier:
    """One connection at a time to the servers of one destination."""

    def __init__(
        self,
        reactor: Any,
        hostname: str,
        routing: Routing,
        settings: LiveSettings,
        slots: Slots,
        timeouts: smtp.Timeouts | None = None,
        now: Callable[[], int] = tables.now,
    ) -> None:
        self._now = now
        self._reactor = reactor
        self._hostname = hostname
        self._routing = routing
        self._settings = settings
        self._slots = slots
        self._timeouts = timeouts
        self._client: smtp.Client | None = None
        self._target: Target | None = None
        self._sent = 0

    @property
    def peer(self) -> str:
        return str(self._target) if self._target is not None else ""

    async def carry(self, route: Route, parcel: Parcel) -> dict[int, Outcome]:
        """Send to all recipients of the parcel; their outcomes by recipient id.

        Raises LeaseLost, and what reading the content raises.
        """
        while True:
            used = self._usable()
            if not used:
                await self.close()
                refused = await self._connect(route)
                if refused is not None:
                    return dict.fromkeys((each.id for each in parcel.recipients), refused)
            client = self._client
            assert client is not None
            self._sent += 1
            try:
                return await self._transaction(client, parcel)
            except smtp.ClientError as error:
                peer = self.peer
                self.abort()
                if used and isinstance(error, smtp.Disconnected):
                    continue
                outcome = Outcome(State.WAITING, "4.4.2", f"Connection failed: {error}", peer)
                return dict.fromkeys((each.id for each in parcel.recipients), outcome)
            except BaseException:
                self.abort()
                raise

    async def close(self) -> None:
        """Say goodbye, if there is a connection."""
        client = self._client
        if client is not None:
            try:
                await client.quit()
            finally:
                self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        client, self._client = self._client, None
        target, self._target = self._target, None
        if client is not None:
            client.abort()
        if target is not None:
            self._slots.give(target.address)

    def _usable(self) -> bool:
        client = self._client
        return (
            client is not None
            and client.usable
            and self._sent < self._settings[Queue].messages_per_connection
        )

    # Connecting ----------------------------------------------------------------------------

    async def _connect(self, route: Route) -> Outcome | None:
        """Be connected and greeted; or why not."""
        try:
            targets = await self._routing.targets(route)
        except Unroutable as error:
            state = State.WAITING if error.temporary else State.FAILED
            return Outcome(state, error.status, error.text)
        worst: Outcome | None = None
        for target in targets:
            await self._slots.take(target.address, self._settings[Queue].connections_per_host)
            self._target = target
            try:
                self._client = await self._greeted(target)
                self._sent = 0
                return None
            except smtp.Rejected as error:
                outcome = _outcome(error.reply, str(target))
            except smtp.ClientError as error:
                outcome = Outcome(State.WAITING, "4.4.2", f"{target}: {error}")
            except (ConnectError, ConnectionLost, OSError) as error:
                outcome = Outcome(State.WAITING, "4.4.1", f"{target}: {_said(error)}")
            except BaseException:
                self.abort()
                raise
            self.abort()
            if worst is None or outcome.state is State.WAITING:
                worst = outcome
        return worst

    async def _greeted(self, target: Target) -> smtp.Client:
        client = await self._reached(target)
        try:
            await client.hello(self._hostname)
            if "STARTTLS" in client.extensions:
                try:
                    await client.starttls(Unverified(target.host))
                except smtp.Rejected:
                    if not client.usable or client.encrypted:
                        raise
                except (smtp.Disconnected, smtp.BadReply):
                    client.abort()
                    client = await self._reached(target)
                    await client.hello(self._hostname)
        except BaseException:
            client.abort()
            raise
        return client

    async def _reached(self, target: Target) -> smtp.Client:
        kind = TCP6ClientEndpoint if ":" in target.address else TCP4ClientEndpoint
        seconds = self._settings[Queue].connect_seconds
        endpoint = kind(self._reactor, target.address, target.port, timeout=seconds)
        return await smtp.connect(endpoint, self._reactor, self._timeouts)

    # Sending -------------------------------------------------------------------------------

    async def _transaction(self, client: smtp.Client, parcel: Parcel) -> dict[int, Outcome]:
        message, peer = parcel.message, self.peer
        ids = [each.id for each in parcel.recipients]
        try:
            asked = terms(message, client.extensions, self._now())
        except NotInTime as error:
            return dict.fromkeys(ids, Outcome(State.FAILED, "5.4.7", f"{peer} {error}"))
        body = message.body
        convert = body != SEVEN_BIT and not _takes(client, body)
        if convert:
            body = SEVEN_BIT
        parameters = MailParameters(
            size=0 if convert else message.size + len(asked.field),
            body=body,
            smtputf8=parcel.utf8,
            ret=message.ret,
            envid=message.envid,
            mt_priority=message.mt_priority,
            by=asked.by,
        )
        recipients = [(each.address, _parameters(each)) for each in parcel.recipients]
        try:
            replies = await client.envelope(message.reverse_path, recipients, parameters)
        except smtp.MissingExtension as error:
            # RFC 6531 3.6: 5.6.7 when it is the address or header that needs the extension.
            outcome = Outcome(State.FAILED, "5.6.7", f"{peer}: {error}")
            return dict.fromkeys(ids, outcome)
        except smtp.Rejected as error:
            return dict.fromkeys(ids, _outcome(error.reply, peer))
        except ValueError as error:
            return dict.fromkeys(ids, Outcome(State.FAILED, "5.1.3", f"Address cannot be sent: {error}"))
        outcomes = {
            number: _outcome(reply, peer)
            for number, reply in zip(ids, replies, strict=True)
            if not reply.positive
        }
        accepted = [number for number in ids if number not in outcomes]
        if not client.usable:
            # 421 among the replies: what was accepted before it is not sent any more.
            lost = Outcome(State.WAITING, "4.4.2", "The server closed the connection", peer)
            return outcomes | dict.fromkeys(accepted, lost)
        if not accepted:
            try:
                await client.reset()
            except smtp.ClientError:
                self.abort()
            return outcomes
        try:
            content = parcel.content(convert)
            reply = await client.data(after(asked.field, content) if asked.field else content)
        except Unconvertible:
            # RFC 6152 3: never 8-bit octets to who does not take them.
            self.abort()
            text = f"{peer} does not take 8-bit content, and this message cannot be converted"
            return outcomes | dict.fromkeys(accepted, Outcome(State.FAILED, "5.6.3", text))
        except smtp.ClientError as error:
            # Nobody knows whether it arrived: never a silent repeat on this connection.
            self.abort()
            lost = Outcome(State.WAITING, "4.4.2", f"Connection failed while sending: {error}", peer)
            return outcomes | dict.fromkeys(accepted, lost)
        outcome = _outcome(reply, peer, reported="DSN" in client.extensions)
        if asked.traced:
            outcome = replace(outcome, traced=True)
        return outcomes | dict.fromkeys(accepted, outcome)


def _takes(client: smtp.Client, body: str) -> bool:
    if body == EIGHT_BIT:
        return "8BITMIME" in client.extensions
    return {"BINARYMIME", "CHUNKING"} <= client.extensions.keys()


def _parameters(recipient: QueuedRecipient) -> RcptParameters:
    notify = tuple(recipient.notify.split(",")) if recipient.notify else ()
    return RcptParameters(notify, recipient.orcpt_type, recipient.orcpt)


def _outcome(reply: Reply, peer: str, reported: bool = False) -> Outcome:
    if reply.positive:
        return Outcome(State.RELAYED, reply.enhanced or "2.0.0", str(reply), peer, reported)
    if reply.permanent:
        return Outcome(State.FAILED, reply.enhanced or _status(reply), str(reply), peer)
    return Outcome(State.WAITING, reply.enhanced or _status(reply), str(reply), peer)


_STATUS = {
    421: "4.3.2", 450: "4.2.0", 451: "4.3.0", 452: "4.3.1",
    550: "5.1.1", 551: "5.1.6", 552: "5.2.2", 553: "5.1.3", 554: "5.0.0",
}  # fmt: skip


def _status(reply: Reply) -> str:
    """An enhanced code where the server gave none."""
    return _STATUS.get(reply.code, f"{reply.code // 100}.0.0")


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
