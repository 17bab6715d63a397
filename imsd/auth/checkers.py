"""twisted.cred checkers: from credentials to the avatar id, or AuthenticationFailed.

Each counts the attempt with the throttle before it looks at a secret, and says afterwards
what came of it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from imsd.auth import apppasswords, totp
from imsd.auth.account import Proved
from imsd.auth.credentials import (
    Certificate,
    ICertificate,
    IPasswordLogin,
    IScramProof,
    ITokenHolder,
    PasswordLogin,
    ScramProof,
    TokenHolder,
)
from imsd.auth.factors import Factors
from imsd.auth.flights import Flights
from imsd.auth.names import legible
from imsd.auth.outside import OutsidePasswords
from imsd.auth.passwords import Passwords, fake_verifier, scram_keys
from imsd.auth.people import People, throttle_name
from imsd.auth.policy import Policy
from imsd.auth.throttle import Throttle
from imsd.auth.verified import Verified
from imsd.directory.values import Person
from imsd.errors import (
    AccountDisabled,
    AccountLocked,
    AuthenticationFailed,
    Refusal,
    TryLater,
    UnwillingToPerform,
)
from imsd.settings.logins import Logins
from imsd.store import credentials
from imsd.store.credentials import AppPassword
from imsd.store.database import Database

_log = Logger()


async def counted(
    throttle: Throttle, name: str, peer: str, decide: Callable[[], Coroutine[Any, Any, Proved | None]]
) -> Proved:
    """Run a decision as one attempt of the throttle. Raises Throttled, and what it raises.

    A decision that is None is a refusal of who has not guessed.
    """
    attempt = throttle.admit(name, peer)
    try:
        proved = await decide()
    except AuthenticationFailed:
        throttle.failed(attempt)
        # As fast as the throttle lets anybody guess.
        who = legible(name)
        _log.warn("a logon as {name} from {peer} failed", name=who, peer=peer or "here", event_id=4183)
        raise
    except BaseException:
        # Disabled, store away, cancelled: nobody has guessed wrong.
        throttle.undecided(attempt)
        raise
    if proved is None:
        throttle.undecided(attempt)
        raise AuthenticationFailed
    throttle.succeeded(attempt)
    return proved


@implementer(ICredentialsChecker)
class PasswordChecker:
    """Passwords and app passwords. What was verified lately costs a keyed hash.

    While another directory knows passwords, a wrong one costs a question there and a hash here, whoever's
    it is, nobody's too: how long it takes, and what is said when nobody answers there, tells nobody apart.
    """

    log = Logger()
    credentialInterfaces = (IPasswordLogin,)

    def __init__(
        self,
        db: Database,
        people: People,
        passwords: Passwords,
        throttle: Throttle,
        policy: Policy,
        verified: Verified,
        settings: Callable[[], Logins],
        key: bytes,
        clock: Callable[[], float],
        outside: OutsidePasswords,
        factors: Factors,
    ) -> None:
        self._factors = factors
        self._db = db
        self._people = people
        self._passwords = passwords
        self._throttle = throttle
        self._policy = policy
        self._verified = verified
        self._settings = settings
        self._key = key
        self._clock = clock
        self._outside = outside
        self._flights: Flights[Proved] = Flights()

    def requestAvatarId(self, login: PasswordLogin) -> Proved | Deferred[Proved]:  # type: ignore[override]
        verified = self._verified
        # Whether an app password is right depends on what for and where.
        scope = (login.protocol, login.peer) if apppasswords.plain(login.password) else ()
        mark = verified.mark(login.name, login.password, *scope)
        proved = verified.right(mark)
        if proved is not None:
            # Or else who is held back could try passwords here as fast as he likes.
            self._throttle.check(f"#{proved.account}", login.peer)
            return proved
        if verified.wrong(mark):
            raise AuthenticationFailed
        # A password that must be changed is good for one protocol alone.
        flight = mark + login.protocol.encode() + b"!" * login.changing
        return self._flights.join(flight, lambda: self._verify(login, mark))

    async def _verify(self, login: PasswordLogin, mark: bytes) -> Proved:
        person, _ = await self._people.find(login.name)
        name = throttle_name(person, login.name)
        epoch = self._verified.epoch
        try:
            return await counted(self._throttle, name, login.peer, lambda: self._decide(person, login, mark))
        except AccountLocked:
            raise  # it may be right, later
        except AuthenticationFailed as failure:
            if isinstance(failure.__cause__, TryLater):
                raise failure.__cause__ from None
            if self._verified.epoch == epoch:
                self._verified.was_wrong(mark)
            raise

    async def _decide(self, person: Person | None, login: PasswordLogin, mark: bytes) -> Proved | None:
        password = login.password
        epoch = self._verified.epoch  # of what the policy is asked about
        held = await self._people.credentials(person)
        app = None if person is None else apppasswords.found(password, person.entry, held, self._key)
        if person is not None and app is not None:
            return await self._by_app(person, held.generation, app, login, mark, epoch)
        code = ""
        if held.totp:
            password, code = totp.divided(password)
        if person is not None and self._outside.knows(person, bool(held.password)):
            right = False
            try:
                right = await self._outside.right(person.uid, person.address, password)
                right = right and (not held.totp or await self._factors.used(person, held, code))
            finally:
                if not right:
                    await self._passwords.verify(password, fake_verifier(self._key, self._settings()))
            if not right:
                raise AuthenticationFailed
            if login.changing:
                raise UnwillingToPerform("The password is kept in another directory: change it there")
            return await self._still(person, held.generation, None if held.totp else mark, epoch)
        verifier = held.password or fake_verifier(self._key, self._settings())
        right, reformed = await self._passwords.verify(password, verifier)
        known = person if held.password else None
        if known is None or not right or (held.totp and not await self._factors.used(known, held, code)):
            if known is not None:
                await self._policy.failed(known, held)
            try:
                await self._outside.ask_of_nobody()
            except TryLater as later:
                raise AuthenticationFailed from later  # he has guessed, whatever he is told
            raise AuthenticationFailed
        person = known
        must_change, lasts = await self._policy.passed(person, held, login.protocol, login.changing)
        if reformed:
            try:
                await self._db.write(credentials.reform, person.entry, held.password, reformed)
            except Refusal:  # the old form does as well; the next login tries again
                pass
        proved = await self._still(person, held.generation, mark if lasts and not held.totp else None, epoch)
        return proved._replace(must_change=must_change)

    async def _by_app(
        self, person: Person, generation: int, app: AppPassword, login: PasswordLogin, mark: bytes, epoch: int
    ) -> Proved | None:
        now = int(self._clock() * 1_000_000)
        reason = apppasswords.unfit(app, login.protocol, login.peer, now)
        if reason:
            self.log.info(
                "app password {number} of {who} ({label}) was refused: {reason}",
                number=app.slot,
                who=person.dn,
                label=app.label,
                reason=reason,
            )
            return None
        if now - app.used >= apppasswords.HOUR:
            try:
                await self._db.write(credentials.app_password_used, person.entry, app.slot, now)
            except Refusal:  # a full disk keeps nobody out
                pass
        # One that ends is looked at each time.
        return await self._still(person, generation, None if app.expires else mark, epoch, app=True)

    async def _still(
        self, person: Person, generation: int, mark: bytes | None, epoch: int, app: bool = False
    ) -> Proved:
        """mark: what to remember it by, unless something changed since an epoch."""
        proved = (await self._people.still(person, generation))._replace(app=app)
        if mark is not None and self._verified.epoch == epoch:
            self._verified.was_right(mark, proved)
        return proved


@implementer(ICredentialsChecker)
class ScramChecker:
    """Proofs of SCRAM: right only with the keys the person has now."""

    credentialInterfaces = (IScramProof,)

    def __init__(self, people: People, throttle: Throttle, policy: Policy, outside: OutsidePasswords) -> None:
        self._people = people
        self._throttle = throttle
        self._policy = policy
        self._outside = outside

    def requestAvatarId(self, proof: ScramProof) -> Deferred[Proved]:  # type: ignore[override]
        return Deferred.fromCoroutine(self._verify(proof))

    async def _verify(self, proof: ScramProof) -> Proved:
        person, _ = await self._people.find(proof.name)
        name = throttle_name(person, proof.name)
        return await counted(self._throttle, name, proof.peer, lambda: self._decide(person, proof))

    async def _decide(self, person: Person | None, proof: ScramProof) -> Proved:
        held = await self._people.credentials(person)
        if person is None or scram_keys(held.password) != proof.keys:
            raise AuthenticationFailed
        if held.totp or self._outside.knows(person, bool(held.password)):
            raise AuthenticationFailed
        if not proof.proved:
            await self._policy.failed(person, held)
            raise AuthenticationFailed
        must_change, _ = await self._policy.passed(person, held, proof.protocol)
        return (await self._people.still(person, held.generation))._replace(must_change=must_change)


@implementer(ICredentialsChecker)
class CertificateChecker:
    """Certificates: the first of their names that is somebody's here."""

    credentialInterfaces = (ICertificate,)

    def __init__(self, people: People) -> None:
        self._people = people

    def requestAvatarId(self, certificate: Certificate) -> Deferred[Proved]:  # type: ignore[override]
        return Deferred.fromCoroutine(self._decide(certificate))

    async def _decide(self, certificate: Certificate) -> Proved:
        for name in certificate.names:
            person, _ = await self._people.find(name)
            if person is not None and not person.disabled:
                held = await self._people.credentials(person)
                return await self._people.still(person, held.generation)
            if person is not None:
                raise AccountDisabled
        raise AuthenticationFailed


@implementer(ICredentialsChecker)
class TokenChecker:
    """Tokens that were verified: the person of exactly that name, nobody's mailbox besides."""

    credentialInterfaces = (ITokenHolder,)

    def __init__(self, people: People) -> None:
        self._people = people

    def requestAvatarId(self, holder: TokenHolder) -> Deferred[Proved]:  # type: ignore[override]
        return Deferred.fromCoroutine(self._decide(holder))

    async def _decide(self, holder: TokenHolder) -> Proved:
        person, mailbox = await self._people.find(holder.name)
        if person is None or mailbox:
            raise AuthenticationFailed
        held = await self._people.credentials(person)
        return await self._people.still(person, held.generation)
