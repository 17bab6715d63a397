"""What works without a listener: store, settings, directory, login, delivery.

The server and `imsctl` on a store at rest build the same core, so that what one does to a
mailbox or an entry the other does, too.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from imsd.auth import Authenticator, Passwords
from imsd.auth.hashing import Hashing
from imsd.config import Config
from imsd.diagnostics.diagnosis import Diagnosis
from imsd.directory.directory import Directory
from imsd.duties import Duties
from imsd.errors import Refusal
from imsd.lowwater import LowWater
from imsd.mail.archiving import Archive
from imsd.mail.delivery import Delivery
from imsd.mail.greylisting import Greylist
from imsd.mail.letters import post
from imsd.mail.limits import InboundLimits
from imsd.mail.lookups import Lookups
from imsd.mail.policy import Policy
from imsd.mail.rerouting import RoutingPlugin
from imsd.mail.signing import Signer
from imsd.plugins.plugins import Plugins
from imsd.plugins.watching import Watcher
from imsd.settings import PAGES, LiveSettings
from imsd.settings.connectors import Delivery as DeliveryPage
from imsd.settings.connectors import Ims
from imsd.settings.logins import Logins
from imsd.settings.passwords import PasswordPolicy
from imsd.store import settings as setting_rows
from imsd.store.blobs import Blobs
from imsd.store.changes import SETTINGS, Change
from imsd.store.database import Database, Watch
from imsd.store.index import MailboxIndexes
from imsd.store.keyring import Keyring
from imsd.store.search.index import SearchIndex
from imsd.summaries import Summaries


class Core:
    """The parts, in the order in which they are made; `close` takes them down in reverse."""

    log = Logger()

    def __init__(self, config: Config, reactor: Any, db: Database) -> None:
        self.config = config
        self.reactor = reactor
        self.db = db
        self.keyring = Keyring(config.home)
        self.settings = LiveSettings(PAGES, config.server.hostname, self.keyring)
        self.duties = Duties(db, reactor, f"{config.server.hostname} ({config.home})")
        self.blobs = Blobs(db)
        self.summaries = Summaries(reactor)
        self.indexes = MailboxIndexes(db)
        self.search = SearchIndex(db)
        self.hashing = Hashing(reactor, lambda: self.settings[Logins])
        self.passwords = Passwords(
            self.hashing, lambda: self.settings[Logins], lambda: self.settings[PasswordPolicy].strength
        )
        self.directory = Directory(db, self.settings, reactor, self.passwords)
        self.directory.read_settings = self.read_settings
        self.authenticator = Authenticator(
            db, self.directory, self.settings, reactor, self.passwords, self.keyring.open
        )
        self.delivery = Delivery(db, self.directory, self.settings)
        self.delivery.signer = Signer(self.settings, self.keyring, self.blobs, reactor.seconds)
        self.diagnosis = Diagnosis(self.settings, config.home / "log", reactor, db.in_thread)
        self.delivery.diagnosis = self.diagnosis
        self.archive = Archive(self.settings, config.home / "archive", self.blobs, reactor, db.in_thread)
        self.delivery.archive = self.archive
        self.policy = Policy(self.directory, self.settings, self.delivery.connectors)
        self.policy.plugin = RoutingPlugin(self.settings, reactor, config.home)
        self.plugins = Plugins(self.settings, reactor, config.home / "plugins")
        self.delivery.plugins = self.authenticator.plugins = self.plugins
        self.watcher = Watcher(self.plugins, db, self.directory.cache, reactor)
        self.lookups = Lookups(reactor, lambda: self.settings[DeliveryPage].nameservers)
        self.greylist = Greylist(db, self.settings)
        self.limits = InboundLimits(self.settings, reactor)
        self.limits.counters = self.delivery.counters
        self.delivery.sending.alert = self.alert
        self.water = LowWater(config.home, self.settings, reactor, db.in_thread)
        self.policy.check_space = self.water.check
        self.server: Any = None
        self._watch: Watch | None = None
        self._settings_read = self._settings_taken = 0

    @classmethod
    async def open(cls, config: Config, reactor: Any) -> Core:
        """Open the store of a home and read what lives in memory. Raises HomeInUse."""
        core = cls(config, reactor, await Database.open(config.database.url, config.home, reactor))
        try:
            await core._start()
        except BaseException:
            await core.close()
            raise
        return core

    async def _start(self) -> None:
        self._watch = self.db.feed.watch(SETTINGS, self._settings_changed)
        await self.read_settings()
        await self.search.start()
        await self.directory.start()
        await self.authenticator.start()
        self.delivery.start()

    def _settings_changed(self, _change: Change) -> None:
        reading = Deferred.fromCoroutine(self.read_settings())
        reading.addErrback(lambda failure: self.log.failure("settings could not be read", failure))

    async def read_settings(self) -> None:
        """Take the stored settings as they are now; they hold when it returns."""
        self._settings_read = reading = self._settings_read + 1
        rows = await self.db.read(setting_rows.values)
        if reading < self._settings_taken:
            return  # Readers run in parallel: what was asked for later is newer, and has come already.
        self._settings_taken = reading
        self.settings.replace(rows)
        for key, reason in self.settings.rejected.items():
            self.log.warn(
                "setting {key} does not fit and is not used: {reason}", key=key, reason=reason, event_id=4086
            )

    async def bootstrap(self, organization: str, site: str, domain: str, admin_password: str) -> None:
        """Make the organisation in an empty store."""
        await self.directory.bootstrap(organization, site, domain, admin_password)

    async def post(self, sender: str, to: list[str], subject: str, text: str) -> None:
        """Send a message from one of our own addresses."""
        await post(self.delivery, self.directory, sender, to, subject, text)

    def alert(self, subject: str, text: str) -> None:
        """Write to the administrator's mailbox; nobody waits for it."""
        writing = Deferred.fromCoroutine(self._alert(subject, text))
        writing.addErrback(lambda failure: self.log.failure("the administrator could not be told", failure))

    async def _alert(self, subject: str, text: str) -> None:
        served = self.directory.domains.served
        if not served:
            return
        postmaster = f"postmaster@{served[0]}"
        for address in filter(None, (self.settings[Ims].admin_mailbox, postmaster)):
            try:
                await self.post(postmaster, [address], subject, text)
                return
            except Refusal as refusal:
                self.log.warn("{address} could not be told: {why}", address=address, why=refusal.text)

    async def close(self) -> None:
        """Finish what was submitted and give the home back."""
        if self._watch is not None:
            self._watch.stop()
        if self.policy.plugin is not None:
            self.policy.plugin.stop()
        self.watcher.stop()
        self.plugins.stop()
        await self.delivery.drained()
        await self.summaries.stop()
        self.authenticator.stop()
        self.directory.stop()
        self.indexes.close()
        await self.duties.stop()
        await self.db.close()
        self.search.close()
        self.hashing.stop()
