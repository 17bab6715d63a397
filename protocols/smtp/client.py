"""The SMTP client: one connection, driven by `async def` methods, one caller at a time.

    client = await connect(endpoint, clock)
    await client.hello("mx.example.test")
    if "STARTTLS" in client.extensions:
        await client.starttls(creator)
    results = await client.envelope("a@example.test", ["b@example.net"], MailParameters(size=n))
    if any(reply.positive for reply in results):
        reply = await client.data(pieces)
    await client.quit()

What can go wrong is a `ClientError`: `Rejected` carries the server's reply, `TimedOut`,
`Disconnected` and `BadReply` mean that the connection is of no use any more (it is closed).
Time-outs are those of RFC 5321 4.5.3.2. Replies are bounded in line length and in lines.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from protocols.sasl import BadExchange
from protocols.sasl.client import STRONGEST, Binding, ClientExchange, choose
from protocols.smtp.responses import Reply
from protocols.smtp.transactions import Transactions
from protocols.smtp.wire import (
    BadReply,
    ClientError,
    Disconnected,
    MissingExtension,
    OutOfSequence,
    Rejected,
    TimedOut,
    Timeouts,
    Wire,
)

__all__ = [
    "BadReply",
    "Client",
    "ClientError",
    "Disconnected",
    "MissingExtension",
    "OutOfSequence",
    "Rejected",
    "TimedOut",
    "Timeouts",
    "connect",
]


async def connect(
    endpoint: IStreamClientEndpoint,
    clock: IReactorTime,
    timeouts: Timeouts | None = None,
    traced: Callable[[], Any] | None = None,
) -> Client:
    """Connect and read the greeting. Raises what the endpoint raises, or a ClientError.

    traced: called when the connection is made; gives what the conversation is written by (ITrace), or None.
    """
    timeouts = timeouts or Timeouts()

    def made() -> Wire:
        # The greeting may come in the turn in which the connection is made.
        wire = Wire(clock)
        wire.trace = traced() if traced is not None else None
        return wire

    factory = Factory.forProtocol(made)
    factory.noisy = False
    wire: Any = await endpoint.connect(factory)
    client = Client(wire, timeouts)
    try:
        greeting = await wire.reply(timeouts.greeting)
    except BaseException:
        client.abort()
        raise
    client.greeting = greeting
    if greeting.code != 220:
        client.abort()
        raise Rejected(greeting, "greeting")
    return client


Run = Callable[[Callable[[bytes], bytes], bytes], Awaitable[bytes]]


async def run_here(respond: Callable[[bytes], bytes], challenge: bytes) -> bytes:
    """The default for `auth`: no thread."""
    return respond(challenge)


class Client(Transactions):
    """A connected client."""

    def __init__(self, wire: Wire, timeouts: Timeouts) -> None:
        super().__init__(wire, timeouts)
        self._name = ""
        self.greeting = Reply(220, "", "")

    async def hello(self, name: str) -> None:
        """EHLO, and HELO where that is not understood (RFC 5321 3.2)."""
        self._name = name
        self.extensions = {}
        reply = await self._command(f"EHLO {name}", self._times.hello)
        if reply.code == 250:
            for line in reply.text.split("\n")[1:]:
                keyword, _, parameters = line.strip().partition(" ")
                # "AUTH=LOGIN" of old servers is the same as "AUTH LOGIN".
                if keyword.upper().startswith("AUTH="):
                    keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}".strip()
                    parameters = f"{self.extensions.get('AUTH', '')} {parameters}".strip()
                self.extensions[keyword.upper()] = parameters
            return
        if reply.code >= 500:
            reply = await self._command(f"HELO {name}", self._times.hello)
        if reply.code != 250:
            raise Rejected(reply, "HELO")

    async def starttls(self, creator: Any, again: bool = True) -> None:
        """STARTTLS with an IOpenSSLClientConnectionCreator, then EHLO again (RFC 3207 4.2).

        What the server said before the handshake is forgotten; if there is more of it than the
        reply, somebody put it there, and the connection is closed.
        """
        reply = await self._command("STARTTLS", self._times.other)
        if reply.code != 220:
            raise Rejected(reply, "STARTTLS")
        if self._wire.unread():
            self._wire.fail(BadReply("text after the reply to STARTTLS"))
            raise BadReply("text after the reply to STARTTLS")
        transport: Any = self._wire.transport
        transport.startTLS(creator)
        self.encrypted = True
        self.extensions = {}
        if again:
            await self.hello(self._name)

    async def auth(
        self,
        user: str,
        password: str,
        run: Run = run_here,
        *,
        allowed: Collection[str] = STRONGEST,
        in_clear: bool = False,
        binding: Binding | None = None,
    ) -> str:
        """Log in by the best mechanism that both sides know and that is allowed (RFC 4954 4); its name.

        PLAIN and LOGIN are used only over TLS, unless in_clear. run: runs the slow step of SCRAM,
        best in a thread.
        """
        offered = self.extensions.get("AUTH", "").split()
        exchange = choose(
            offered,
            user,
            password,
            private=self.encrypted or in_clear,
            allowed=allowed,
            binding=binding if self.encrypted else None,
        )
        if exchange is None:
            raise MissingExtension("AUTH")
        initial = exchange.initial()
        line = f"AUTH {exchange.name}"
        if initial is not None:
            # An empty initial response is "=" (RFC 4954 4).
            line += " " + (base64.b64encode(initial).decode("ascii") or "=")
        reply = await self._command(line, self._times.other, more=True)
        while reply.code == 334:
            try:
                answer = await run(exchange.respond, _challenge(reply))
            except BadExchange as error:
                await self._command("*", self._times.other)
                raise Rejected(Reply(535, "5.7.8", f"Bad challenge: {error.what}"), "AUTH") from error
            reply = await self._command(
                base64.b64encode(answer).decode("ascii"), self._times.other, more=True
            )
        if reply.code != 235:
            raise Rejected(reply, "AUTH")
        self._prove(exchange, reply)
        return exchange.name

    def _prove(self, exchange: ClientExchange, reply: Reply) -> None:
        """The server has proved itself, or does so with the 235 as some do (RFC 4954 4)."""
        try:
            try:
                exchange.finish()
            except BadExchange:
                exchange.respond(_challenge(reply))
                exchange.finish()
        except BadExchange as error:
            self._wire.fail(BadReply(f"AUTH: {error.what}"))
            raise BadReply(f"AUTH: {error.what}") from error

    async def say(self, line: str, seconds: float) -> Reply:
        """A command that has no method of its own; its reply."""
        return await self._command(line, seconds)

    def release(self) -> Wire:
        """The wire, for whoever has the connection from here on. Nothing may have come early."""
        if self._wire.unread():
            self._fail(BadReply("text after the reply that turns the connection round"))
        return self._wire

    async def noop(self) -> Reply:
        return await self._command("NOOP", self._times.other)

    async def quit(self) -> None:
        """Say goodbye; never raises a ClientError: the transactions are over anyway."""
        if self.usable:
            try:
                await self._command("QUIT", 30)
            except ClientError:
                pass
            if self._wire.transport is not None:
                self._wire.transport.loseConnection()


def _challenge(reply: Reply) -> bytes:
    try:
        return base64.b64decode(reply.text.encode("utf-8"), validate=True)
    except ValueError:
        raise BadExchange("base64 expected") from None
