"""What every protocol holds to log people in."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, cast

from twisted.cred.credentials import ICredentials
from twisted.cred.portal import Portal
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from imsd.auth import apppasswords, issuer, passwords, plugged, standing, totp
from imsd.auth.account import NOBODY, Account, IAccount
from imsd.auth.checkers import CertificateChecker, PasswordChecker, ScramChecker, TokenChecker
from imsd.auth.credentials import Certificate, PasswordLogin, ScramProof, TokenHolder
from imsd.auth.factors import Factors
from imsd.auth.interfaces import LoginDirectory
from imsd.auth.outside import OutsidePasswords
from imsd.auth.passwords import Passwords
from imsd.auth.people import People, throttle_name
from imsd.auth.policy import Policy
from imsd.auth.protocols import Methods, methods
from imsd.auth.realm import Realm, account_of
from imsd.auth.rights import Callback, Rights, RightsWatch
from imsd.auth.throttle import Throttle
from imsd.auth.tokens import Tokens
from imsd.auth.verified import Verified
from imsd.errors import (
    AuthenticationFailed,
    ConstraintViolation,
    EncryptionRequired,
    NotAuthorized,
    PasswordMustChange,
    Refusal,
    Unsupported,
)
from imsd.plugins.plugins import Plugins
from imsd.plugins.values import Login
from imsd.settings import LiveSettings
from imsd.settings.logins import Logins
from imsd.settings.outside import Outside as OutsidePage
from imsd.settings.passwords import PasswordPolicy
from imsd.settings.tokens import Tokens as TokensPage
from imsd.store import credentials
from imsd.store.changes import DIRECTORY, Change, EntriesChanged
from imsd.store.database import Database, Watch
from imsd.store.ids import AccountId, EntryId, MailboxId
from protocols.sasl import IAuthenticator, ScramKeys, offered
from protocols.sasl.external import identities
from protocols.security import Security


def _named(authzid: str) -> str:
    """The name in an authorization identity as LDAP writes it (RFC 4513 5.2.1.8: dn:NAME, u:NAME); any
    other is a name itself."""
    kind, _, name = authzid.partition(":")
    return name if kind.lower() in ("dn", "u") else authzid


def _login_name(user: int) -> str:
    """The login name of a user of this machine, "" for one that has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return ""


@implementer(IAuthenticator)
class Authenticator:
    """One for the process; `start` must have returned before anybody logs in.

    Identities are `Account`s. Refusals: AuthenticationFailed, AccountDisabled, Throttled,
    EncryptionRequired, NotAuthorized (to act for another), TryLater.
    """

    log = Logger()

    def __init__(
        self,
        db: Database,
        directory: LoginDirectory,
        settings: LiveSettings,
        reactor: Any,
        passwords: Passwords,
        open_secret: Callable[[str], str] = str,
    ) -> None:
        """open_secret: the text of a secret setting (imsd.settings.secrets)."""
        self._db = db
        self._open_secret = open_secret
        self._reactor = reactor
        self._directory = directory
        self._settings = settings
        self._passwords = passwords
        self._reactor = reactor
        self._people = People(db, directory)
        self._throttle = Throttle(self._logins, reactor.seconds)
        page = lambda: settings[PasswordPolicy]  # noqa: E731
        self._outside = OutsidePasswords(lambda: settings[OutsidePage], open_secret, reactor)
        self._policy = Policy(db, page, self._logins, reactor.seconds)
        self._verified = Verified(self._logins, reactor.seconds)
        self._realm = Realm(directory)
        self._tokens = Tokens(lambda: settings[TokensPage], self._provider_keys, reactor.seconds)
        self._rights = Rights(db, directory, self._realm, reactor)
        # Of mailboxes' protocols: whether who has rights on another's mailbox may log in to it, and
        # whether who has no name may come in (RFC 4505).
        self._protocol = "smtp"
        self._opens = False
        self._anonymous: Callable[[], bool] = lambda: False
        self._methods: Callable[[], Methods] = lambda: methods(self._logins(), None)
        self._key = b""
        self.plugins: Plugins | None = None
        self._watch: Watch | None = None
        self._unwatch: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """Read (or make) the organisation's secret and watch the directory."""
        self._key = await self._db.write(credentials.server_key)
        checker = PasswordChecker(
            self._db,
            self._people,
            self._passwords,
            self._throttle,
            self._policy,
            self._verified,
            self._logins,
            self._key,
            self._reactor.seconds,
            self._outside,
            Factors(self._db, self._open_secret, self._key, self._reactor.seconds),
        )
        self._portal = Portal(
            self._realm,
            [
                checker,
                ScramChecker(self._people, self._throttle, self._policy, self._outside),
                CertificateChecker(self._people),
                TokenChecker(self._people),
            ],
        )
        self._watch = self._db.feed.watch(DIRECTORY, self._changed)
        # A stricter policy holds at once, also for those who were here a moment ago.
        self._unwatch = self._settings.on_change(self._verified.clear)

    def stop(self) -> None:
        self._unwatch()
        if self._watch is not None:
            self._watch.stop()

    # SASL (protocols.sasl.IAuthenticator) -------------------------------------------------

    def mechanisms(self, security: Security) -> list[str]:
        may = self._methods()
        allowed = []
        if may.certificates or security.user is not None:
            allowed += ["EXTERNAL"]
        if may.challenge and not self._outside.on:
            allowed += ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
        if may.tokens and self._tokens.on:
            allowed += ["OAUTHBEARER", "XOAUTH2"]
        if self._takes_basic(may, security):
            allowed += ["PLAIN", "LOGIN"]
        if self._anonymous():
            allowed += ["ANONYMOUS"]
        return offered(security, allowed, may.clear)

    async def password(self, authzid: str, authcid: str, password: str, security: Security) -> Account:
        self.basic_allowed(security)
        account = await self._login(
            PasswordLogin(authcid, password, security.peer, self._protocol), authcid, security.peer
        )
        if authzid and authzid != authcid:
            return await self._acting(account, authzid)
        if "/" in authcid or "\\" in authcid:
            _, mailbox = await self._people.find(authcid)
            if mailbox:
                return await self._opening(account, mailbox)
        return account

    async def confirm(self, name: str, password: str, security: Security) -> None:
        """Is this somebody's password? Also one that has expired, for it is about to be replaced."""
        self.basic_allowed(security)
        shown = PasswordLogin(name, password, security.peer, self._protocol, changing=True)
        await self._login(shown, name, security.peer)

    async def scram(self, authcid: str, security: Security) -> ScramKeys:
        person, _ = await self._people.find(authcid)
        self._throttle.check(throttle_name(person, authcid), security.peer)
        held = await self._people.credentials(person)
        known = passwords.scram_keys(held.password)
        return known or passwords.fake_keys(authcid, self._key, self._logins())

    async def scram_done(
        self, authzid: str, authcid: str, keys: ScramKeys, proved: bool, security: Security
    ) -> Account:
        account = await self._login(
            ScramProof(authcid, keys, proved, security.peer, self._protocol), authcid, security.peer
        )
        if authzid and authzid != authcid:
            return await self._acting(account, authzid)
        _, mailbox = await self._people.find(authcid)
        return await self._opening(account, mailbox) if mailbox else account

    async def external(self, authzid: str, security: Security) -> Account:
        certificate = security.client_certificate
        if certificate is None:
            if security.user is None:
                raise AuthenticationFailed
            return await self._local(authzid, security.user)
        names = identities(certificate)
        if authzid:
            wanted, _ = await self._people.find(_named(authzid))
            for name in names:  # a certificate of several people speaks for each of them
                person, _ = await self._people.find(name)
                if person is not None and wanted is not None and person.account == wanted.account:
                    return await self._login(Certificate((name,)), name, security.peer)
        account = await self._login(Certificate(tuple(names)), " ".join(names), security.peer)
        return await self._acting(account, authzid) if authzid else account

    async def bearer(self, authzid: str, token: str, security: Security) -> Account:
        name = await self._tokens.name(token)
        account = await self._login(TokenHolder(name), name, security.peer)
        return await self._acting(account, authzid) if authzid else account

    async def _local(self, authzid: str, user: int) -> Account:
        """Whoever the system says is at the other end of a local socket: root and the user that runs the
        server administer, and may be anybody; others are who has their login name here."""
        name = _named(authzid)
        if user in (0, os.geteuid()):
            person = (await self._people.find(name))[0] if name else await self._directory.administrator()
        else:
            # Not on the reactor: the system may ask a directory for it, even this one.
            pool = self._reactor.getThreadPool()
            login = await deferToThreadPool(self._reactor, pool, _login_name, user)
            person = (await self._people.find(login))[0] if login else None
        if person is None:
            raise AuthenticationFailed
        account = await self._login(Certificate((person.dn,)), name or str(user), "")
        return await self._acting(account, name) if name and user not in (0, os.geteuid()) else account

    async def vouched(self, name: str) -> Account:
        """Who has logged in somewhere that is trusted to say so, with a password that it has seen."""
        person, _ = await self._people.find(name)
        if person is None:
            raise AuthenticationFailed
        return await self._login(Certificate((person.dn,)), name, "")

    async def anonymous(self, trace: str, security: Security) -> Account:
        if not self._anonymous():
            raise AuthenticationFailed
        self.log.info("anonymous login from {peer}: {trace}", peer=security.peer, trace=trace[:100])
        return NOBODY

    # Others -------------------------------------------------------------------------------

    def basic_allowed(self, security: Security) -> None:
        """Raises EncryptionRequired or Unsupported where a password may not be sent as it is.

        For USER/PASS, LOGIN and simple bind, before the password is asked for.
        """
        may = self._methods()
        if not (may.basic or may.clear):
            raise Unsupported("Names and passwords in clear text are switched off")
        if not self._takes_basic(may, security):
            raise (
                EncryptionRequired
                if may.basic
                else Unsupported("Names and passwords in clear text are switched off under TLS")
            )

    @staticmethod
    def _takes_basic(may: Methods, security: Security) -> bool:
        if security.encrypted:
            return may.basic
        return may.clear or (may.basic and security.private)

    def of_protocol(
        self,
        name: str,
        methods: Callable[[], Methods],
        opens: bool = False,
        anonymous: Callable[[], bool] = lambda: False,
    ) -> Authenticator:
        """The same, with what one protocol takes in place of the logins page. After `start`.

        opens: whoever may read another's INBOX may log in to that mailbox, with the rights he has.
        """
        made = copy(self)
        made._protocol = name
        made._methods = methods
        made._opens = opens
        made._anonymous = anonymous
        return made

    async def rights_on(self, account: Account, owner: AccountId, mailbox: MailboxId) -> frozenset[str]:
        """What an account may do in a mailbox, as of now (RFC 4314 2.1)."""
        return await standing.rights_on(self._db, self._directory, account, owner, mailbox)

    def watch_rights(self, account: Account, callback: Callback) -> RightsWatch:
        """Call back when a session must end (with None) or has other rights (with the Account).

        On the reactor, right after the change was committed here, within a second elsewhere.
        """
        return self._rights.watch(account, callback)

    async def new_factor(self, entry: EntryId, sealed: str, secret: str, code: str) -> tuple[str, ...]:
        """Have a second factor whose first code is right; codes for emergencies.

        Raises ConstraintViolation.
        """
        step = totp.step_of(code.strip(), secret, self._reactor.seconds())
        if step is None:
            raise ConstraintViolation(
                "The code is wrong; are the clocks of the program and of this machine right?"
            )
        codes = totp.new_recovery()
        hashed = totp.hashed(codes, entry, self._key)
        await self._db.write(credentials.set_totp, entry, sealed, hashed)
        await self._db.write(credentials.totp_used, entry, step)
        return codes

    async def new_recovery(self, entry: EntryId) -> tuple[str, ...]:
        """Other codes for emergencies."""
        codes = totp.new_recovery()
        await self._db.write(credentials.set_recovery, entry, totp.hashed(codes, entry, self._key))
        return codes

    async def add_app_password(
        self,
        entry: EntryId,
        label: str,
        protocols: tuple[str, ...] = (),
        networks: tuple[str, ...] = (),
        expires: int = 0,
    ) -> str:
        """Make an app password; shown once, never again. Raises LimitReached.

        protocols, networks: what it is for and where from, empty for any. expires: microseconds since the
        epoch, 0 for never.
        """
        made = apppasswords.generate()
        verifier = apppasswords.verifier(made, entry, self._key)
        scope = protocols, networks, expires
        await self._db.write(credentials.add_app_password, entry, verifier, label[:100], *scope)
        return made

    async def _provider_keys(self, issuer_url: str, ca_file: str) -> Any:
        return await issuer.keys(self._reactor, self._db.in_thread, issuer_url, ca_file)

    def _logins(self) -> Logins:
        return self._settings[Logins]

    async def _login(self, shown: ICredentials, name: str, peer: str) -> Account:
        """name, peer: what plug-ins are told of it."""
        login = Login(name, "", self._protocol, peer)
        try:
            _, found, _ = await self._portal.login(shown, None, IAccount)
        except Refusal as refusal:
            plugged.failed(self.plugins, login, refusal)
            raise
        account = cast(Account, found)
        await plugged.ask(self.plugins, login, account.address)
        return account

    async def _opening(self, account: Account, mailbox: str) -> Account:
        """Who typed DOMAIN/user/alias. Where no mailboxes are opened (SMTP, LDAP), that is user: a
        client has one name for all its servers."""
        try:
            return await self._acting(account, mailbox)
        except NotAuthorized:
            if self._opens:
                raise
            return account

    async def _acting(self, account: Account, wanted: str) -> Account:
        """The account of another this one may act for. Raises NotAuthorized."""
        person, _ = await self._people.find(_named(wanted))
        if person is not None and person.account == account.id:
            return account
        if account.must_change:
            raise PasswordMustChange
        if person is None or person.disabled:
            raise NotAuthorized
        other = replace(account_of(person, account.generation, account.app), is_admin=False, actor=account.id)
        if account.is_admin and self._logins().administrators_act:
            return other
        if not self._opens or not await standing.may_open(self._db, self._directory, account, person.account):
            raise NotAuthorized
        return replace(other, restricted=True)

    def _changed(self, change: Change) -> None:
        ids = change.ids if isinstance(change, EntriesChanged) else None
        if ids is None:
            self._verified.clear()
            self._realm.clear()
        else:
            for entry in ids:
                self._verified.forget(entry)
                self._realm.forget(entry)
        self._rights.changed(ids)
