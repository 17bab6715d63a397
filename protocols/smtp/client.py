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
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any, NoReturn

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from protocols.lines import CanonicalLines, DotStuffer
from protocols.sasl import BadExchange
from protocols.sasl.client import STRONGEST, Binding, ClientExchange, choose
from protocols.smtp.parameters import (
    BINARY,
    NO_MAIL_PARAMETERS,
    NO_RCPT_PARAMETERS,
    MailParameters,
    RcptParameters,
)
from protocols.smtp.responses import Reply
from protocols.smtp.wire import (
    BadReply,
    ClientError,
    Disconnected,
    MissingExtension,
    OutOfSequence,
    Output,
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
    endpoint: IStreamClientEndpoint, clock: IReactorTime, timeouts: Timeouts | None = None
) -> Client:
    """Connect and read the greeting. Raises what the endpoint raises, or a ClientError."""
    timeouts = timeouts or Timeouts()
    factory = Factory.forProtocol(lambda: Wire(clock))
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


class Client:
    """A connected client. `extensions` maps upper-case EHLO keywords to their parameters."""

    def __init__(self, wire: Wire, timeouts: Timeouts) -> None:
        self._wire = wire
        self._times = timeouts
        self._name = ""
        self.greeting = Reply(220, "", "")
        self.extensions: dict[str, str] = {}
        self.encrypted = False
        self._completed = False
        self.transport.registerProducer(Output(wire), True)

    @property
    def usable(self) -> bool:
        """Whether another transaction may be tried on this connection."""
        return self._wire.failure is None

    @property
    def size_limit(self) -> int:
        """Octets that the server takes; 0: it does not say (RFC 1870 4)."""
        value = self.extensions.get("SIZE", "")
        return int(value) if value.isdigit() and len(value) <= 20 else 0

    @property
    def transport(self) -> Any:
        """For `getPeer`, `getHost` and, once encrypted, `getPeerCertificate`."""
        return self._wire.transport

    async def _command(self, line: str, seconds: float, more: bool = False) -> Reply:
        """One command and its reply. more: the server may ask for more (334, 354)."""
        return await self._line(_encode(line), seconds, more)

    async def _line(self, line: bytes, seconds: float, more: bool = False) -> Reply:
        self._check_silence()
        self._wire.send(line)
        reply = await (self._wire.reply(seconds) if more else self._final(seconds))
        if reply.code == 421:
            self._wire.fail(Disconnected(str(reply)))
            raise Rejected(reply, line.split()[0].decode("ascii"))
        return reply

    async def _final(self, seconds: float) -> Reply:
        """A reply that ends something: 3yz does not, and means nothing here (RFC 5321 4.2.1)."""
        reply = await self._wire.reply(seconds)
        if 300 <= reply.code < 400:
            self._fail(BadReply(f"out of place: {reply}"))
        return reply

    def _check_silence(self) -> None:
        """What was said before it was asked for must not be taken for an answer; a server may only
        say goodbye by itself (RFC 5321 3.8)."""
        early = self._wire.early
        if early is not None:
            said = str(early)
            self._fail(Disconnected(said) if early.code == 421 else BadReply(f"not asked for: {said}"))

    def _fail(self, error: ClientError) -> NoReturn:
        self._wire.fail(error)
        raise error

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

    async def envelope(
        self,
        reverse_path: str,
        recipients: Sequence[tuple[str, RcptParameters] | str],
        parameters: MailParameters = NO_MAIL_PARAMETERS,
    ) -> list[Reply]:
        """MAIL and all RCPTs, pipelined when offered (RFC 2920); one reply per recipient.

        Rejected: MAIL was refused, the transaction is reset. When no recipient was accepted the
        caller calls `reset` (or `quit`) instead of `data`. OutOfSequence: the server knows no second
        transaction, not even after RSET (503, ims_spec 5.2).
        """
        self._check(reverse_path, recipients, parameters)
        commands = [f"MAIL FROM:<{reverse_path}>{parameters.encode(self.extensions).decode('ascii')}"]
        for item in recipients:
            address, extra = (item, NO_RCPT_PARAMETERS) if isinstance(item, str) else item
            commands.append(f"RCPT TO:<{address}>{extra.encode(self.extensions).decode('ascii')}")
        lines = [_encode(command) for command in commands]
        first, results = await self._envelope(lines)
        if first.code == 503 and self._completed:
            await self.reset()
            first, results = await self._envelope(lines)
            if first.code == 503:
                self._fail(OutOfSequence(str(first)))
        if not first.positive:
            await self._after_refusal(first)
            raise Rejected(first, "MAIL")
        closing = next((reply for reply in results if reply.code == 421), None)
        if closing is not None:
            self._wire.fail(Disconnected(str(closing)))
        return results

    async def _envelope(self, lines: list[bytes]) -> tuple[Reply, list[Reply]]:
        """The replies to MAIL and to each RCPT."""
        if "PIPELINING" in self.extensions:
            self._check_silence()
            self._wire.send(b"".join(lines))
            first = await self._final(self._times.mail)
            return first, [await self._final(self._times.rcpt) for _ in lines[1:]]
        first = await self._line(lines[0], self._times.mail)
        results = []
        if first.positive:
            results = [await self._line(line, self._times.rcpt) for line in lines[1:]]
        return first, results

    def _check(self, reverse_path: str, recipients: Sequence[Any], parameters: MailParameters) -> None:
        if parameters.body == BINARY and not {"BINARYMIME", "CHUNKING"} <= self.extensions.keys():
            raise MissingExtension("BINARYMIME")
        addresses = [reverse_path, *(item if isinstance(item, str) else item[0] for item in recipients)]
        if (
            parameters.smtputf8 or not all(map(str.isascii, addresses))
        ) and "SMTPUTF8" not in self.extensions:
            raise MissingExtension("SMTPUTF8")
        if parameters.requiretls and not (self.encrypted and "REQUIRETLS" in self.extensions):
            raise MissingExtension("REQUIRETLS")  # RFC 8689 4.2.1: never without.
        if self.size_limit and parameters.size > self.size_limit:
            text = f"Message is larger than the {self.size_limit} octets offered"
            raise Rejected(Reply(552, "5.3.4", text), "MAIL")

    async def _after_refusal(self, reply: Reply) -> None:
        if reply.code == 421:
            self._wire.fail(Disconnected(str(reply)))
        else:
            await self.reset()

    async def data(self, pieces: AsyncIterator[bytes], binary: bool = False) -> Reply:
        """Send the content, by BDAT when CHUNKING is offered (RFC 3030), else by DATA.

        Unless it is binary a bare CR or LF becomes CRLF: whoever reads lines in another way than we do,
        here or further on, sees the end of one message and no second one.

        The reply decides (positive: the server is responsible now). If `pieces` raises, the
        connection is aborted, so that nothing cut short is ever taken for the whole, and the
        error goes on.
        """
        try:
            if "CHUNKING" in self.extensions:
                reply = await self._chunks(pieces if binary else _canonical(pieces))
            else:
                reply = await self._dotted(pieces)
        except BaseException:
            self.abort()
            raise
        if reply.code == 421:
            self._wire.fail(Disconnected(str(reply)))
        self._completed |= reply.positive
        return reply

    async def _dotted(self, pieces: AsyncIterator[bytes]) -> Reply:
        reply = await self._command("DATA", self._times.data, more=True)
        if reply.code != 354:
            return reply if not reply.positive else Reply(554, "5.5.0", f"Unexpected reply to DATA: {reply}")
        lines, stuffer = CanonicalLines(), DotStuffer()
        async for piece in pieces:
            self._wire.send(stuffer.stuff(lines.feed(piece)))
            await self._wire.drained(self._times.block)
        early = self._wire.early
        if early is None or early.code < 400:
            self._check_silence()
        self._wire.send(stuffer.stuff(lines.finish()) + stuffer.finish())
        return await self._final(self._times.final)

    async def _chunks(self, pieces: AsyncIterator[bytes]) -> Reply:
        held: bytes | None = None
        async for piece in pieces:
            if held is not None:
                reply = await self._chunk(held, last=False)
                if not reply.positive:
                    return reply
            held = piece
        return await self._chunk(held or b"", last=True)

    async def _chunk(self, piece: bytes, last: bool) -> Reply:
        self._check_silence()
        self._wire.send(b"BDAT %d%b\r\n" % (len(piece), b" LAST" if last else b"") + piece)
        await self._wire.drained(self._times.block)
        return await self._final(self._times.final if last else self._times.block)

    async def reset(self) -> None:
        reply = await self._command("RSET", self._times.other)
        if reply.code != 250:
            self._wire.fail(BadReply(f"RSET: {reply}"))
            raise Rejected(reply, "RSET")

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

    def abort(self, why: str = "aborted") -> None:
        """Close at once, in the middle of whatever is going on."""
        self._wire.fail(Disconnected(why))


async def _canonical(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The content with CRLF alone, and at its end (RFC 5321 2.3.8)."""
    lines, last = CanonicalLines(), b""
    async for piece in pieces:
        data = lines.feed(piece)
        if data:
            last = data[-1:]
            yield data
    data = lines.finish()
    if data or last not in (b"", b"\n"):
        yield data or b"\r\n"


def _encode(line: str) -> bytes:
    if "\r" in line or "\n" in line or "\0" in line:
        raise ValueError("a command is one line")
    return line.encode("utf-8") + b"\r\n"


def _challenge(reply: Reply) -> bytes:
    try:
        return base64.b64decode(reply.text.encode("utf-8"), validate=True)
    except ValueError:
        raise BadExchange("base64 expected") from None
