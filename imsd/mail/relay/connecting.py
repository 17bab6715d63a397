"""One connection to one target: reached, greeted, protected as it must be, logged in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectionLost

from imsd.mail.counters import Counters
from imsd.mail.relay.certificates import Contexts, Creator, Problem, chain_problem, name_problem
from imsd.mail.relay.counting import result_of
from imsd.mail.relay.noticing import Notices
from imsd.mail.relay.outcomes import Insecure
from imsd.mail.relay.passwords import Refusals
from imsd.mail.relay.protection import Protection, Protections
from imsd.mail.relay.reached import Reached, of
from imsd.mail.requiring import REQUIRED
from imsd.mail.routing import Route, Routing, Target
from imsd.mail.security import Wanted, wanted
from imsd.settings.connectors import Ims
from imsd.settings.security import Tls
from imsd.settings.timers import Timers
from imsd.store import tables
from imsd.store.keyring import Keyring
from imsd.store.tls_results import Result
from imsd.trust.sts import Policy
from imsd.trust.tlsa import is_below_anchor, is_leaf
from protocols.sasl.client import STRONGEST, Binding
from protocols.smtp import client as smtp

if TYPE_CHECKING:
    from imsd.diagnostics.diagnosis import Diagnosis
    from imsd.settings import LiveSettings

MOST_WANTS = 1_000
"""Routes whose wants are remembered."""

InThread = Callable[..., Awaitable[Any]]


class LoginRefused(Exception):
    """The host does not take our name and password for good (535)."""

    def __init__(self, error: smtp.Rejected) -> None:
        super().__init__(f"Login was refused: {error.reply}")
        self.reply = error.reply


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """A connection that messages may be sent on."""

    client: smtp.Client
    target: Target
    wanted: Wanted
    reached: Reached


@dataclass(slots=True, eq=False)
class Transport:
    """What all couriers share."""

    reactor: Any
    hostname: str
    routing: Routing
    settings: LiveSettings
    in_thread: InThread
    keyring: Keyring
    protections: Protections
    now: Callable[[], int] = tables.now
    timeouts: smtp.Timeouts | None = None
    contexts: Contexts | None = None
    also: Callable[[smtp.Client], Awaitable[None]] | None = None
    """Done with every connection before messages are sent on it."""
    counted: Callable[[Result], None] = lambda result: None
    """Hears of every session with an exchanger that DNS names."""
    counters: Counters | None = None
    diagnosis: Diagnosis | None = None

    refusals: Refusals = field(default_factory=Refusals)

    _pages: tuple[Ims | None, Tls | None] = (None, None)
    _wants: dict[Route, Wanted] = field(default_factory=dict)

    notices: Notices = field(init=False)

    def __post_init__(self) -> None:
        self.contexts = self.contexts or Contexts(self.keyring)
        self.notices = Notices(lambda: self.now() / 1_000_000)

    def wanted(self, route: Route) -> Wanted:
        """What the settings want of connections of a route now."""
        pages = (self.settings[Ims], self.settings[Tls])
        if pages[0] is not self._pages[0] or pages[1] is not self._pages[1] or len(self._wants) > MOST_WANTS:
            self._wants, self._pages = {}, pages
        found = self._wants.get(route)
        if found is None:
            found = self._wants[route] = wanted(route, *pages)
        return found

    @property
    def timers(self) -> smtp.Timeouts:
        """RFC 5321 4.5.3.2, as the settings have them."""
        page = self.settings[Timers]
        return self.timeouts or smtp.Timeouts(
            page.greeting, page.hello, page.mail, page.rcpt, page.data, page.block, page.final, page.other
        )

    async def session(
        self, target: Target, wanted: Wanted, route: Route, policy: Policy | None = None
    ) -> Session:
        """policy: of MTA-STS. Raises what makes the target of no use now."""
        count = partial(self._count, target, route, wanted, policy)
        try:
            protection = await self.protections.of(target, route, wanted, policy)
        except Insecure as error:
            error.wanted = "dane" if error.kind == "dnssec-invalid" else "sts" if policy is not None else ""
            count(None, Problem(error.kind, str(error), error.base), None)
            raise
        client = await self._connected(target)
        try:
            await client.hello(self.hostname)
            reached = Reached("in clear")
            if protection.level != "none":
                try:
                    client, reached = await self._protected(client, target, wanted, protection)
                except Insecure as error:
                    error.wanted = protection.wanted(wanted)
                    count(protection, Problem(error.kind, str(error)), client)
                    raise
                count(protection, reached.problem, client)
            reached = replace(reached, wanted=protection.wanted(wanted))
            if wanted.asks == REQUIRED and "REQUIRETLS" not in client.extensions:
                raise Insecure("5.7.30", "", "the message requires TLS, and REQUIRETLS is not offered")
            if wanted.auth:
                words = f"{reached.words}, logged in by {await self._logged_in(client, wanted)}"
                reached = replace(reached, words=words)
            if self.also is not None:
                await self.also(client)
        except BaseException:
            client.abort()
            raise
        return Session(client, target, wanted, reached)

    def _count(
        self,
        target: Target,
        route: Route,
        wanted: Wanted,
        policy: Policy | None,
        protection: Protection | None,
        problem: Problem | None,
        client: smtp.Client | None,
    ) -> None:
        fault = self.protections.fault(route)
        result = result_of(target, route, wanted, policy, fault, protection, problem, client)
        if result is not None:
            self.counted(result)

    async def _connected(self, target: Target) -> smtp.Client:
        kind = TCP6ClientEndpoint if ":" in target.address else TCP4ClientEndpoint
        seconds = self.settings[Timers].connect
        endpoint = kind(self.reactor, target.address, target.port, timeout=seconds)
        traced = None
        if self.diagnosis is not None:
            traced = partial(self.diagnosis.connected, target.address, str(target))
        return await smtp.connect(endpoint, self.reactor, self.timers, traced)

    # TLS -----------------------------------------------------------------------------------

    async def _protected(
        self, client: smtp.Client, target: Target, wanted: Wanted, protection: Protection
    ) -> tuple[smtp.Client, Reached]:
        """The client, or another one in clear where that will do, and what was reached."""
        if "STARTTLS" not in client.extensions:
            if protection.required:
                text = "TLS is required, and STARTTLS is not offered"
                raise Insecure(_status(wanted, "4.7.4"), "starttls-not-supported", text)
            problem = Problem("starttls-not-supported", "STARTTLS is not offered")
            return client, Reached("in clear, STARTTLS is not offered", problem=problem)
        creator = await self._creator(wanted, protection)
        try:
            await client.starttls(creator)
        except smtp.Rejected as error:
            if client.encrypted or not client.usable or protection.required:
                if protection.required and not client.encrypted:
                    status = _status(wanted, "4.7.4") if error.reply.permanent else "4.7.4"
                    raise Insecure(status, "starttls-not-supported", str(error)) from error
                raise
            problem = Problem("starttls-not-supported", str(error.reply))
            return client, Reached(f"in clear, STARTTLS was refused: {error.reply}", problem=problem)
        except (smtp.Disconnected, smtp.BadReply, smtp.TimedOut) as error:
            client.abort()
            if protection.required:
                text = f"TLS handshake failed: {error}"
                raise Insecure(_status(wanted, "4.7.5"), "validation-failure", text) from error
            # RFC 7435 4.3: opportunistic, so in clear rather than not at all.
            again = await self._connected(target)
            try:
                await again.hello(self.hostname)
            except BaseException:
                again.abort()
                raise
            problem = Problem("validation-failure", str(error))
            return again, Reached(f"in clear, TLS handshake failed: {error}", problem=problem)
        handle = client.transport.getHandle()
        if protection.level not in ("verify", "dane"):
            return client, of(handle, "not verified" + (f" ({protection.by})" if protection.by else ""))
        found = _problem(handle, protection)
        if found is None:
            return client, of(handle, protection.verified, protection.vouching)
        if protection.testing:
            return client, of(handle, f"not {protection.verified}: {found.text}", problem=found)
        by = f", wanted by {protection.by}" if protection.by else ""
        raise Insecure(_status(wanted, "4.7.5"), found.kind, f"TLS{by}: {found.text}")

    async def _creator(self, wanted: Wanted, protection: Protection) -> Creator:
        assert self.contexts is not None
        files = (protection.ca_file, wanted.certificate, wanted.key)
        try:
            # What reads no file needs no thread.
            get = self.contexts.get
            context = get(*files) if files == ("-", "", "") else await self.in_thread(get, *files)
        except (OSError, SSL.Error) as error:
            text = f"The files of {wanted.why} cannot be used: {error}"
            raise Insecure("4.7.5", "validation-failure", text) from error
        return Creator(context, protection.server_name)

    # Login ---------------------------------------------------------------------------------

    async def _logged_in(self, client: smtp.Client, wanted: Wanted) -> str:
        allowed = STRONGEST if wanted.auth == "any" else (wanted.auth.upper(),)
        password = self.keyring.open(wanted.password)

        async def run(step: Any, challenge: bytes) -> bytes:
            answer: bytes = await self.in_thread(step, challenge)
            return answer

        try:
            return await client.auth(
                wanted.user,
                password,
                run,
                allowed=allowed,
                in_clear=wanted.allow_cleartext,
                binding=_binding(client),
            )
        except smtp.MissingExtension as error:
            text = f"the host offers no way to log in by {wanted.auth}" + (
                "" if client.encrypted else " without TLS"
            )
            raise Insecure("4.7.0", "", text) from error
        except smtp.Rejected as error:
            if error.reply.permanent:
                raise LoginRefused(error) from error
            raise


def _status(wanted: Wanted, usual: str) -> str:
    """RFC 8689 4.2.1: a message that requires TLS does not wait until it can be had."""
    return "5.7.10" if wanted.asks == REQUIRED else usual


def _problem(handle: SSL.Connection, protection: Protection) -> Problem | None:
    """Why the certificate that came is not the one that is wanted."""
    certificate = handle.get_peer_certificate(as_cryptography=True)
    if protection.level == "verify":
        return chain_problem(handle) or name_problem(certificate, protection.names)
    chain = handle.get_peer_cert_chain(as_cryptography=True) or []
    if is_leaf(protection.tlsa, chain):
        return None
    if is_below_anchor(protection.tlsa, chain):
        return name_problem(certificate, protection.names)
    return Problem("validation-failure", "certificate is none of those that DNSSEC names")


def _binding(client: smtp.Client) -> Binding | None:
    """Channel binding of the connection: the newest kind that it has."""
    if not client.encrypted:
        return None
    handle = client.transport.getHandle()
    if handle.get_protocol_version_name() == "TLSv1.3":
        data = handle.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        return Binding("tls-exporter", bytes(data))
    certificate = handle.get_peer_certificate(as_cryptography=True)
    if certificate is None:
        return None
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()  # RFC 5929 4.1
    return Binding("tls-server-end-point", certificate.fingerprint(algorithm))


UNREACHED = (ConnectError, ConnectionLost, OSError)
"""What a connection that is not made raises."""
