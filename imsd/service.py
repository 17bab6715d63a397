"""The composition root: builds everything, and starts and stops it in order.

Start: bind the ports while still root; (twistd drops privileges;) open the core; listen.
Stop: close the listeners; end sessions between commands, those in the middle of a message get
`GRACE` seconds; stop the queue; let the writer drain; give the home back. A second signal ends
the process at once, which the store survives like any crash.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from imsd import __version__
from imsd.admin import control
from imsd.config import STANDARD_PORTS, Config, ConfigError
from imsd.core import Core
from imsd.descriptors import Room, raise_limit
from imsd.directory.undeleting import purge_all_due
from imsd.errors import NoSuchEntry, Refusal
from imsd.garbage import Garbage
from imsd.gates import PAGE_OF, Gate, OdmrGate, SmtpGate, close_what_is_off
from imsd.hooks import EventCommands
from imsd.indexing import Indexing
from imsd.listeners import CannotListen, Listeners, listen_on_path
from imsd.mail import programs
from imsd.mail.limits import Arrivals
from imsd.mail.links import Links
from imsd.mail.pickup import Pickup
from imsd.mail.queue import QueueRunner
from imsd.mail.retrieving import Retriever
from imsd.mail.routes_file import RoutesFile
from imsd.mail.tlsreports import TlsInbox
from imsd.mail.warnings import Warner
from imsd.readdresser import Readdresser
from imsd.sessions.imap4 import make_imap4
from imsd.sessions.ldap import make_ldap
from imsd.sessions.pop3 import Pop3Door
from imsd.sessions.smtp.door import Door as SmtpDoor
from imsd.settings.listeners import Admission as AdmissionPage
from imsd.settings.networks import Networks
from imsd.tls import ServerContexts
from imsd.upkeep import Upkeep
from imsd.watchdog import Watchdog
from protocols.connection import Admission, Connection, ConnectionFactory, Limits
from protocols.ldap.server import FULL as LDAP_FULL
from protocols.pop3.server import Server as Pop3Server
from protocols.smtp.interfaces import Role
from protocols.smtp.server import Server as SmtpServer

GRACE: Final = 20.0
"""Seconds that sessions have to finish what they are in the middle of."""

FAREWELL: Final = 2.0
"""Seconds that a peer has to hang up after our goodbye. A phone that sleeps does not."""

HURRY: Final = 0.25
"""Seconds between looks at who has not."""

RELOAD: Final = 60.0
"""Seconds between looks at the certificate files."""

LISTENERS: Final = (*STANDARD_PORTS, "lmtp")

TLS_FROM_THE_START: Final = frozenset({"submissions", "pop3s", "imaps", "ldaps"})


class Server(Service):
    """`twistd imsd`."""

    log = Logger()
    name = "imsd"

    def __init__(self, config: Config, reactor: Any) -> None:
        self.config = config
        self.reactor = reactor
        self.contexts = ServerContexts(config)
        self.listeners = Listeners(config)
        self.factories: dict[str, ConnectionFactory] = {}
        self.room = Room(
            raise_limit(),
            lambda: sum(len(factory.connections) for factory in self.factories.values()),
            reactor.seconds,
        )
        self.core: Core | None = None
        self.queue: QueueRunner | None = None
        self.ready = False
        self.started = time.time()
        self.watchdog = Watchdog(reactor, lambda: Connection.doing.verb)
        self.garbage = Garbage(reactor)
        self.upkeep: Upkeep | None = None
        self.pickup: Pickup | None = None
        self.warner: Warner | None = None
        self.readdresser: Readdresser | None = None
        self.tls_inbox: TlsInbox | None = None
        self.links: Links | None = None
        self.hooks: EventCommands | None = None
        self.indexing: Indexing | None = None
        self._control: IListeningPort | None = None
        self._lmtp: IListeningPort | None = None
        self._ldapi: IListeningPort | None = None
        self._pop3: Pop3Door | None = None
        self._doors: dict[str, SmtpDoor] = {}
        self._told: dict[Connection, float] = {}
        self._reload = LoopingCall(self.contexts.reload)
        self._reload.clock = reactor

    # Starting ----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        try:
            self.listeners.bind(LISTENERS)
        except CannotListen as error:
            self.log.error("imsd cannot listen: {reason}", reason=str(error), event_id=4020)
            raise SystemExit(f"imsd: {error}") from None

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        starting = Deferred.fromCoroutine(self._start())
        starting.addErrback(self._cannot_start)

    async def _start(self) -> None:
        core = self.core = await Core.open(self.config, self.reactor)
        try:
            await core.directory.cache.the_tree()
        except NoSuchEntry:
            # Whoever writes to us would be told for good that nobody is here.
            raise ConfigError(
                "the store has no organisation: restore it, mount what holds it, "
                f"or run imsctl --home {self.config.home} setup"
            ) from None
        core.server = self
        core.plugins.start()
        core.watcher.start()
        self.queue = QueueRunner(
            core.db,
            core.delivery,
            core.directory,
            core.settings,
            core.blobs,
            self.reactor,
            self.config.server.hostname,
            own=tuple(self.config.server.addresses),
            node=core.db.node,
            keyring=core.keyring,
            duties=core.duties,
            ports=tuple(filter(None, map(self.config.port, ("smtp", "submission")))),
        )
        await self.queue.start()
        self.factories = {name: self._factory(name, core) for name in (*LISTENERS, "ldapi")}
        core.settings.on_change(lambda: close_what_is_off(core.settings, self.factories))
        core.settings.on_change(self._retime)
        proxies = Networks((network, True) for network in self.config.server.proxy_protocol)
        self.listeners.listen(
            self.reactor,
            {
                name: TLSMemoryBIOFactory(self.contexts, False, factory, self.reactor)
                if name in TLS_FROM_THE_START
                else factory
                for name, factory in self.factories.items()
            },
            lambda peer: core.settings[AdmissionPage].is_proxy(peer) or proxies.find(peer, False),
        )
        socket = self.config.listeners.lmtp_socket
        if socket:
            self._lmtp = listen_on_path(self.reactor, self.config.path(Path(socket)), self.factories["lmtp"])
        self._listen_locally()
        self._control = control.listen(self.reactor, core, self.config.control_socket)
        self._reload.start(RELOAD, now=False)
        # After the turn that brought the server up, which is long and keeps nobody waiting.
        self.reactor.callLater(0, self.watchdog.start)
        self.upkeep = Upkeep(
            core.db,
            core.blobs,
            core.duties,
            partial(purge_all_due, core.db, core.directory.now),
            self.reactor,
        )
        self.upkeep.start()
        core.water.start()
        self.pickup = Pickup(
            core.db,
            core.delivery,
            core.policy,
            core.blobs,
            core.summaries,
            core.settings,
            self.config.server.hostname,
            self.reactor,
        )
        self.pickup.start()
        self.queue.reports.start()
        self.tls_inbox = TlsInbox(core.db, core.directory, core.settings, core.blobs, self.reactor)
        self.tls_inbox.start()
        self.warner = Warner(core.db, core.directory, core.settings, self.reactor)
        self.warner.start()
        self.readdresser = Readdresser(core.directory, core.duties, self.reactor)
        self.readdresser.start()
        self.links = self._links(core, self.queue)
        self.links.start()
        self.indexing = Indexing(core.db, core.search, self.config.database.url, self.reactor)
        self.indexing.start()
        self.hooks = EventCommands(core.settings, self.reactor)
        self.hooks.start()
        core.diagnosis.start()
        core.archive.start()
        RoutesFile(core.db, core.settings, core.directory, core.delivery.connectors).write()
        core.summaries.start()
        self._handle_signals()
        self.garbage.start()
        self.ready = True
        self.log.info(
            "imsd {version} is up on {where}", version=__version__, where=self.listeners.addresses()
        )
        core.diagnosis.tell(20_001, "the service has started, process {pid}", pid=os.getpid())

    def _retime(self) -> None:
        """A time-out that was changed goes for those who wait already."""
        for factory in self.factories.values():
            for connection in tuple(getattr(factory, "connections", ())):
                if isinstance(connection, Connection):
                    connection.retimed()

    def _listen_locally(self) -> None:
        """ldapi:// for programs of this machine, who are known by their user (SASL EXTERNAL)."""
        path = self.config.ldapi
        if path is None or not self.config.port("ldap"):
            return
        try:
            self._ldapi = listen_on_path(self.reactor, path, self.factories["ldapi"], mode=0o666)
        except CannotListenError as error:
            self.log.error("ldapi cannot listen on {path}: {reason}", path=path, reason=error, event_id=4007)

    def _links(self, core: Core, queue: QueueRunner) -> Links:
        retriever = Retriever(
            queue.transport,
            core.directory,
            core.settings,
            lambda: SmtpServer(self._doors["smtp"], self.reactor),
        )

        async def run(command: Sequence[str], seconds: float, link: str) -> str:
            return await programs.run(self.reactor, command, seconds, {"IMSD_LINK": link})

        return Links(
            core.settings,
            core.delivery.connectors,
            self.reactor,
            run=run,
            retrieve=retriever.retrieve,
            busy=lambda: bool(queue.lanes.open or self.factories["smtp"].connections),
            waits=queue.waits_for,
            moved=queue.links_moved,
            duties=core.duties,
        )

    def _cannot_start(self, failure: Any) -> None:
        reason = failure.getErrorMessage()
        if failure.check(Refusal, ConfigError, OSError):
            # What the administrator can mend is one sentence; where in our code is no help to him.
            self.log.error("imsd cannot start: {reason}", reason=reason, event_id=4087)
        else:
            self.log.failure("imsd cannot start: {reason}", failure, reason=reason, event_id=4087)
        # twistd itself would end with 0, and whoever supervises it would think all is well.
        self.reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        # What fails at once fails before the reactor runs, when it cannot be stopped yet.
        self.reactor.callWhenRunning(self.reactor.stop)

    def _factory(self, name: str, core: Core) -> ConnectionFactory:
        build, full = self._builder(name, core)
        settings = core.settings

        def limits() -> Limits:
            page = settings[AdmissionPage]
            return Limits(page.connections, page.per_address, page.per_minute, page.loopback_exempt)

        gate: Callable[[str], bytes | None] | None = None
        if name in PAGE_OF:
            gate = Gate(settings, PAGE_OF[name])
        elif name == "smtp":
            gate = SmtpGate(settings, self.config.server.hostname)
        elif name == "odmr":
            gate = OdmrGate(settings)
        admission = Admission(self.reactor, limits)
        if name == "smtp":
            admission = Arrivals(self.reactor, limits, core.limits)
        return ConnectionFactory(build, admission, full, gate, self.room)

    def _builder(self, name: str, core: Core) -> tuple[Callable[[], Connection], bytes]:
        """What makes the protocol of a listener, and what a peer is told when it is full."""
        match name:
            case "smtp" | "submission" | "submissions" | "lmtp" | "odmr":
                smtp = SmtpDoor(
                    Role.MX if name == "smtp" else Role(name),
                    self.config.server.hostname,
                    policy=core.policy,
                    delivery=core.delivery,
                    authenticator=core.authenticator,
                    blobs=core.blobs,
                    summaries=core.summaries,
                    settings=core.settings,
                    clock=self.reactor,
                    tls=self._context,
                    inbound=core.limits,
                    lookups=core.lookups,
                    greylist=core.greylist,
                    handovers=self.queue.handovers if self.queue is not None else None,
                    diagnosis=core.diagnosis,
                )
                full = b"421 4.3.2 Too many connections\r\n"
                self._doors[name] = smtp
                return lambda: SmtpServer(smtp, self.reactor), full
            case "pop3" | "pop3s":
                if self._pop3 is None:
                    # One for both ports: it knows which maildrops are locked.
                    self._pop3 = Pop3Door(
                        core.db,
                        core.indexes,
                        core.blobs,
                        core.authenticator,
                        core.settings,
                        self.reactor,
                        self.config.server.hostname,
                        self._context,
                    )
                pop3 = self._pop3
                return lambda: Pop3Server(pop3, self.reactor), b"-ERR [SYS/TEMP] Too many connections\r\n"
            case "imap" | "imaps":
                return make_imap4(core, self.contexts), b"* BYE [UNAVAILABLE] Too many connections\r\n"
            case _:
                return make_ldap(core, self.contexts), LDAP_FULL

    def _context(self) -> ServerContexts:
        return self.contexts

    def _handle_signals(self) -> None:
        """SIGHUP reads the certificates again. SIGTERM stops the reactor as Twisted's own handler
        does, but for having twistd end by the same signal: an orderly end has exit status 0."""
        try:
            signal.signal(signal.SIGHUP, lambda *_: self.reactor.callFromThread(self.contexts.reload))
            signal.signal(signal.SIGTERM, self._terminate)
        except ValueError:
            pass  # not the main thread: a test's reactor

    # Stopping ----------------------------------------------------------------------------

    def _terminate(self, number: int, frame: object) -> None:
        self.log.info("Received SIGTERM, shutting down.")
        self.reactor.callFromThread(self.reactor.stop)

    def stopService(self) -> Deferred[None]:
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.ready = False
        self._second_signal_kills()
        self.listeners.close()
        closing = self.listeners.stop()
        for port in (self._control, self._lmtp, self._ldapi):
            if port is not None:
                closing.append(port.stopListening())
        if self._reload.running:
            self._reload.stop()
        self.watchdog.stop()
        self.garbage.stop()
        if self.upkeep is not None:
            self.upkeep.stop()
        if self.core is not None:
            self.core.water.stop()
            self.core.archive.stop()
            self.core.diagnosis.tell(20_002, "the service stops")
        if self.warner is not None:
            self.warner.stop()
        if self.readdresser is not None:
            self.readdresser.stop()
        if self.hooks is not None:
            self.hooks.stop()
        if self.tls_inbox is not None:
            self.tls_inbox.stop()
        ended = [factory.stop() for factory in self.factories.values()]
        if self.pickup is not None:
            ended.append(self.pickup.stop())
        if self.links is not None:
            ended.append(Deferred.fromCoroutine(self.links.stop()))
        if self.queue is not None:
            ended.append(self.queue.stop())
        hurrying = LoopingCall(self._hurry)
        hurrying.clock = self.reactor
        hurrying.start(HURRY)
        await self._within(GRACE, DeferredList(ended))
        hurrying.stop()
        for factory in self.factories.values():
            factory.abort()
        await DeferredList([one for one in closing if one is not None], consumeErrors=True)
        if self.indexing is not None:
            await self.indexing.stop()
        if self.core is not None:
            await self.core.diagnosis.stop()
            await self.core.close()
        self.log.info("imsd is down")

    def _hurry(self) -> None:
        """Cut off who was told goodbye `FAREWELL` ago and is still there."""
        now = self.reactor.seconds()
        told = {one for factory in self.factories.values() for one in factory.connections if one.closing}
        self._told = {one: self._told.get(one, now) for one in told}
        for connection, since in self._told.items():
            if now - since >= FAREWELL:
                connection.abort()

    async def _within(self, seconds: float, waiting: Deferred[Any]) -> None:
        done: Deferred[None] = Deferred()

        def finish(_: Any) -> None:
            if not done.called:
                done.callback(None)

        timer = self.reactor.callLater(seconds, finish, None)
        waiting.addBoth(finish)
        await done
        if timer.active():
            timer.cancel()

    def _second_signal_kills(self) -> None:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
        except ValueError:
            pass  # not the main thread: a test's reactor
