"""LDAP over the directory: the door of a connection, and the directory as one identity sees it.

Rights are derived anew whenever anything in the directory changed that they may rest on (rule 18): an
identity holds an account, never a right. One whose account is gone, disabled, or has another password finds
itself refused with the next request.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from zope.interface import implementer

from imsd import __version__
from imsd.auth import protocols
from imsd.auth.account import Account
from imsd.auth.authenticator import Authenticator
from imsd.auth.realm import account_of
from imsd.auth.rights import RightsWatch
from imsd.directory import configuration, schema, searchrights, subschema, tree
from imsd.directory.access import ANONYMOUS, Viewer, viewer_of
from imsd.directory.attributes import Visible
from imsd.directory.changes import Change, Modification
from imsd.directory.conditions import PLAIN, Changed, Conditions
from imsd.directory.directory import Directory, Step, is_password
from imsd.directory.search import Search
from imsd.errors import (
    AuthenticationFailed,
    ChangePasswordFirst,
    InvalidDN,
    InvalidSyntax,
    LimitReached,
    NoSuchAttribute,
    NoSuchEntry,
    NotPermitted,
    Refusal,
    StepRefused,
    UndefinedAttribute,
)
from imsd.sessions import ldap_settings, password_policy, refusals
from imsd.settings import LiveSettings
from imsd.settings.directory import Ldap
from imsd.settings.logins import Logins
from imsd.store import credentials
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Unit
from protocols.connection import Connection
from protocols.errors import BadSyntax
from protocols.ldap import evaluation, filters
from protocols.ldap.controls import (
    NONE,
    POST_READ,
    PRE_READ,
    Controls,
    PasswordError,
    password_control,
    read_control,
)
from protocols.ldap.interfaces import Answered, IDoor, IIdentity, Limits, SearchLimits, SpecialEntry, ignored
from protocols.ldap.messages import (
    AddRequest,
    CompareRequest,
    Control,
    DeleteRequest,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    Scope,
    SearchRequest,
)
from protocols.ldap.reader import Budget
from protocols.ldap.responses import encode_reference
from protocols.ldap.results import Failed, FailedUpdate, Result, ResultCode
from protocols.ldap.server import LdapConnection
from protocols.ldap.session import Update
from protocols.ldap.syncing import Answer
from protocols.security import Security

if TYPE_CHECKING:
    from imsd.core import Core

_SHOW_HIDDEN: Final = ",cn=admin"
"""What administrators' tools append to a bind name to see hidden entries (ims_spec 7.5); ours do
in any case."""


_PERSISTENT: Final = 8
"""Searches of one connection that stay open: fewer than its operations, so that others can be asked."""


@implementer(IIdentity)
class Identity:
    """The directory for one account, or (None) for whoever is not bound."""

    def __init__(
        self,
        directory: Directory,
        settings: LiveSettings,
        authenticator: Authenticator,
        account: Account | None,
        security: Security,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._authenticator = authenticator
        self._account = account
        self._security = security
        self._derived = -1
        self._viewer = ANONYMOUS
        self._page: Ldap | None = None
        """The settings that `_limits` are of."""
        self._limits = SearchLimits()
        self._persistent = 0
        self._ended: Callable[[], None] | None = None
        self._watch: RightsWatch | None = None

    # The account ---------------------------------------------------------------------

    def watch(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._look()

    def leave(self) -> None:
        self._ended = None
        self._look_away()

    def _look(self) -> None:
        if self._account is not None and self._ended is not None and self._watch is None:
            self._watch = self._authenticator.watch_rights(self._account, self._moved)

    def _look_away(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.stop()

    def _moved(self, account: Account | None) -> None:
        ended = self._ended
        off = account is not None and not protocols.page_for(self._settings, Ldap, account.protocols).enabled
        if (account is None or off) and ended is not None:
            self.leave()
            ended()

    @property
    def limits(self) -> SearchLimits:
        page = self._settings[Ldap]
        if page is not self._page:
            paged = page.size_limit if self._account is None else page.paged_limit
            self._page, self._limits = page, SearchLimits(page.size_limit, paged, page.time_limit)
        return self._limits

    def who_am_i(self) -> str:
        return "" if self._account is None else f"dn:{self._account.dn}"

    async def viewer(self) -> Viewer:
        """Who looks, as the directory stands now. Raises NotPermitted for one who may not, or no more."""
        if self._account is not None and self._account.must_change:
            raise ChangePasswordFirst
        return await self._present()

    async def _present(self) -> Viewer:
        """The same, for setting one's own password, too."""
        standing = self._directory.cache.standing
        if standing != self._derived:
            self._viewer = await self._derive()
            self._derived = standing
        return self._viewer

    async def _derive(self) -> Viewer:
        account = self._account
        if account is None:
            if not self._settings[Ldap].anonymous:
                raise NotPermitted("Anonymous access is off")
            return await self._holding(ANONYMOUS)
        for person_id in {account.id, account.actor}:
            person = await self._directory.person(person_id)
            if person is None or person.disabled:
                raise NotPermitted("The account is not there any more")
            protocols.check(self._settings, "LDAP", person.protocols)
        actor = EntryId(account.actor)
        if await self._directory.db.read_few(credentials.generation, actor) != account.generation:
            raise NotPermitted("The password was changed: bind again")
        entry = await self._directory.cache.entry(account.entry)
        viewer = viewer_of(entry)
        # Who acts for another has that one's rights, but never an administrator's.
        own = account.actor == account.id
        return await self._holding(viewer if own else replace(viewer, level=Visible.AUTHENTICATED))

    async def _holding(self, viewer: Viewer) -> Viewer:
        """With the containers that are shut to him; many rows may have to be read for that."""
        db = self._directory.db
        if viewer.level is Visible.ADMINISTRATOR or not await db.read_few(searchrights.limited):
            return viewer
        return await db.read(searchrights.holding, viewer)

    async def _search(self) -> Search:
        directory = self._directory
        search = Search(directory.db, directory.cache, directory.policy, await self.viewer())
        page = self._settings[Ldap]
        search.substring, search.look_through = page.substring, page.look_through
        search.sort_limit = page.sort_limit
        return search

    async def proxied(self, authorization: str) -> Identity:
        """RFC 4370 4: administrators act for anybody, everybody for himself and for nobody."""
        try:
            viewer = await self.viewer()
        except NotPermitted:
            viewer = ANONYMOUS
        if not authorization:
            return self._other(None)
        kind, colon, name = authorization.partition(":")
        account = self._account
        if not colon or kind.lower() not in ("dn", "u") or not name:
            raise Failed(ResultCode.AUTHORIZATION_DENIED, "An authorization identity is dn:name or u:name")
        person = None if account is None else await self._directory.person_by_login(name)
        if person is not None and account is not None:
            if person.account == account.id:
                return self
            # Whoever acts for another acts for him alone.
            if viewer.level is Visible.ADMINISTRATOR and account.actor == account.id and not person.disabled:
                generation = await self._directory.db.read_few(credentials.generation, person.entry)
                return self._other(account_of(person, generation))
        raise Failed(ResultCode.AUTHORIZATION_DENIED, "Not to act for that one")

    def _other(self, account: Account | None) -> Identity:
        return Identity(self._directory, self._settings, self._authenticator, account, self._security)

    # Reading -------------------------------------------------------------------------

    async def search(
        self, request: SearchRequest, controls: Controls = NONE, note: Callable[[Control], None] = ignored
    ) -> AsyncGenerator[bytes | list[bytes] | Answer, None]:
        persists = controls.persistent is not None or (controls.sync is not None and controls.sync.persist)
        answers: AsyncGenerator[bytes | list[bytes] | Answer, None]
        if ldap_settings.holds(request.base):
            answers = ldap_settings.search(self._directory, await self.viewer(), request, controls, note)
        else:
            search = await self._search()
            for url in await self._elsewhere(request.base, controls, request.scope):
                yield encode_reference([url.encode()])
            if controls is NONE:
                there = search.at_hand(request)
                if there is not None:
                    if there:
                        yield there
                    return
            answers = search.run(request, controls, note)
        viewer, derived = self._viewer, self._derived
        if persists:
            if self._account is None:
                raise NotPermitted("Bind first: changes are not told to strangers")
            most = self._settings[Ldap].persistent_searches
            if self._directory.following >= most or self._persistent >= _PERSISTENT:
                raise LimitReached("Too many searches that stay open")
            self._directory.following += 1
            self._persistent += 1
        try:
            async for answer in answers:
                if derived != self._directory.cache.standing:
                    # In a long search, or between two pages, rights may be lost.
                    if await self.viewer() != viewer:
                        raise NotPermitted("Other rights than when the search began")
                    derived = self._derived
                yield answer
        finally:
            if persists:
                self._directory.following -= 1
                self._persistent -= 1
            await answers.aclose()

    async def _elsewhere(self, name: str, controls: Controls, scope: Scope | None = None) -> list[str]:
        """Where a search goes on. Raises HeldElsewhere for what other servers hold, NotPermitted."""
        elsewhere = self._directory.elsewhere
        if not elsewhere or controls.manage_dsa_it:
            return []
        await self.viewer()
        here, wanted = await self._directory.cache.the_tree(), tree.parse(name)
        elsewhere.refer(wanted, here, scope)
        return [] if scope is None else elsewhere.continued(wanted, here, scope)

    async def compare(self, request: CompareRequest, controls: Controls = NONE) -> bool:
        if controls.fresh:
            await self._directory.cache.catch_up()
        wanted = schema.definition(request.attribute)
        if wanted is None:
            raise UndefinedAttribute
        if ldap_settings.holds(request.dn):
            return ldap_settings.compare(self._directory, await self.viewer(), request, controls)
        item = filters.Equal(request.attribute, request.value)
        await self._elsewhere(request.dn, controls)
        search = await self._search()
        search.manage = controls.manage_dsa_it
        view = await search.located(request.dn)
        if controls.assertion is not None:
            await search.assert_that(view, controls.assertion)
        prepared = await search.prepare(item)
        await view.prepare([wanted.key])
        if not list(view.values(request.attribute) or ()):
            # Also what may not be read: who may not know it, may not know that it is there.
            raise NoSuchAttribute
        outcome = prepared.test(view)
        if outcome is None:
            try:
                evaluation.value_test(item, schema.SCHEMA)
            except BadSyntax:
                raise InvalidSyntax from None
            raise NoSuchAttribute
        return outcome

    # Writing -------------------------------------------------------------------------

    async def _conditions(self, controls: Controls) -> Conditions:
        if controls is NONE:
            return PLAIN
        viewer = await self.viewer()
        if controls.relax and viewer.level is not Visible.ADMINISTRATOR:
            raise NotPermitted
        search = await self._search()
        return Conditions(
            await search.check(controls.assertion),
            controls.permissive,
            controls.relax,
            controls.tree_delete,
            images=controls.pre_read is not None or controls.post_read is not None,
            manage=controls.manage_dsa_it,
        )

    async def _images(self, changed: Changed, name: str, controls: Controls) -> Answered:
        """The entry before and after (RFC 4527), as whoever asked may see it."""
        made = []
        for oid, row, attributes in (
            (PRE_READ, changed.before, controls.pre_read),
            (POST_READ, changed.after, controls.post_read),
        ):
            if row is None or attributes is None:
                continue
            entry = await (await self._search()).image(row, name, attributes)
            if entry is not None:
                made.append(read_control(oid, entry))
        return tuple(made)

    async def add(self, request: AddRequest, controls: Controls = NONE) -> Answered:
        return await self._update(request, controls)

    async def modify(self, request: ModifyRequest, controls: Controls = NONE) -> Answered:
        return await self._update(request, controls)

    async def delete(self, request: DeleteRequest, controls: Controls = NONE) -> Answered:
        return await self._update(request, controls)

    async def modify_dn(self, request: ModifyDnRequest, controls: Controls = NONE) -> Answered:
        return await self._update(request, controls)

    async def _step(self, request: Update, controls: Controls) -> Step:
        """An update as a step of a unit."""
        directory = self._directory
        if await self._sets_own_password(request, controls):
            viewer, conditions = await self._present(), PLAIN
        else:
            await self._elsewhere(request.dn, controls)
            conditions = await self._conditions(controls)
            viewer = await self.viewer()
        match request:
            case AddRequest(name, attributes):
                given = [(each.name, each.values) for each in attributes]
                return await directory.adding(name, given, viewer, None, conditions)
            case ModifyRequest(name, changes):
                modifications = [
                    Modification(Change(each.kind), each.attribute.name, each.attribute.values)
                    for each in changes
                ]
                if _sets_a_password(request):
                    self._by_more_than_an_app_password()
                return await directory.modifying(name, modifications, viewer, conditions)
            case DeleteRequest(name):
                return directory.deleting(name, viewer, conditions)
            case ModifyDnRequest(name, new_rdn, delete_old, superior):
                return directory.renaming(name, new_rdn, delete_old, superior, viewer, conditions)

    async def _sets_own_password(self, request: Update, controls: Controls) -> bool:
        """Is this what alone is allowed to one who must change his password?"""
        account = self._account
        if account is None or not account.must_change or not isinstance(request, ModifyRequest):
            return False
        if controls != replace(NONE, password_policy=controls.password_policy):
            return False
        # Another one, that is: to have none is no change.
        if not all(is_password(each.attribute.name) and each.attribute.values for each in request.changes):
            return False
        try:
            return (await self._directory.cache.locate(request.dn))[0] == account.entry
        except (NoSuchEntry, InvalidDN):
            return False

    async def _update(self, request: Update, controls: Controls) -> Answered:
        if ldap_settings.holds(request.dn):
            settled = ldap_settings.step(self._directory, await self.viewer(), request, controls)
            images = await self._directory.db.write(settled)
            await self._directory.read_settings()
            return images
        step = await self._step(request, controls)
        self._look_away()
        try:
            changed = await self._directory.db.write(step)
            if _sets_a_password(request):
                await self._stay(request.dn)
        finally:
            self._look()
        return await self._images(changed, request.dn, controls)

    async def settle(self, updates: Sequence[tuple[Update, Controls]]) -> list[Answered]:
        """RFC 5805 3.4: in one unit."""
        steps: list[Callable[[Unit], Changed | Answered]] = []
        settings = False
        for number, (request, controls) in enumerate(updates):
            try:
                if ldap_settings.holds(request.dn):
                    settings = True
                    viewer = await self.viewer()
                    steps.append(ldap_settings.step(self._directory, viewer, request, controls))
                else:
                    steps.append(await self._step(request, controls))
            except Refusal as error:
                raise _failed(number, error) from None
        self._look_away()
        try:
            done = await self._directory.together(steps)
            if settings:
                await self._directory.read_settings()
            for request, _ in updates:
                if _sets_a_password(request):
                    await self._stay(request.dn)
        except StepRefused as error:
            raise _failed(error.number, error.refusal) from None
        finally:
            self._look()
        return [
            changed if isinstance(changed, tuple) else await self._images(changed, request.dn, controls)
            for changed, (request, controls) in zip(done, updates, strict=True)
        ]

    async def password_policy(self) -> Control:
        account = self._account
        if account is None or account.app:
            return password_control()
        state = await self._directory.password_state(EntryId(account.actor))
        # Who came by a certificate need not change a password that he did not use.
        return password_policy.told(replace(state, must_change=account.must_change))

    async def password_modify(self, request: PasswordModify) -> bytes | None:
        """RFC 3062 2: one's own password, or as an administrator anybody's."""
        viewer = await self._present()
        account = self._account
        if account is None:
            raise NotPermitted
        self._by_more_than_an_app_password()
        target = account.id if not request.user else await self._named(request.user, viewer)
        if target != account.id:
            await self.viewer()
        if target != account.id and viewer.level is not Visible.ADMINISTRATOR:
            raise NotPermitted
        if request.old is not None:
            await self._verify(target, request.old)
        new = secrets.token_urlsafe(12).encode() if request.new is None else request.new
        if target != account.id:
            await self._directory.set_password(target, _text(new), reset=True)
            return new if request.new is None else None
        self._look_away()
        try:
            await self._directory.set_password(target, _text(new))
            await self._stay(account.dn)
        finally:
            self._look()
        return new if request.new is None else None

    def _by_more_than_an_app_password(self) -> None:
        """Or else who finds one device could shut its owner out."""
        if self._account is not None and self._account.app:
            raise NotPermitted("An app password changes no passwords; log in with your own")

    async def _named(self, user: str, viewer: Viewer) -> AccountId:
        name = user.partition(":")[2] if user[:3].lower() == "dn:" or user[:2].lower() == "u:" else user
        person = await self._directory.person_by_login(name)
        if person is None:
            # Nobody learns here which names there are.
            raise NotPermitted if viewer.level is not Visible.ADMINISTRATOR else NoSuchEntry
        return person.account

    async def _verify(self, target: AccountId, old: bytes) -> None:
        """Through the authenticator, so that guessing is throttled. Raises AuthenticationFailed."""
        person = await self._directory.person(target)
        if person is None:
            raise AuthenticationFailed
        await self._authenticator.confirm(person.dn, _text(old), self._security)

    async def _stay(self, name: str) -> None:
        """The session that changed its own password goes on; the others of the account end."""
        account = self._account
        if account is None or account.actor != account.id:
            return
        try:
            located = (await self._directory.cache.locate(name))[0]
        except NoSuchEntry:
            return  # renamed or deleted right after
        if located == account.entry:
            held = await self._directory.db.read_few(credentials.read, account.entry)
            fresh = held.generation
            self._account = replace(account, generation=fresh, must_change=held.must_change)


def _sets_a_password(request: Update) -> bool:
    return isinstance(request, ModifyRequest) and any(
        is_password(each.attribute.name) for each in request.changes
    )


def _failed(number: int, error: Refusal) -> FailedUpdate:
    result = refusals.ldap(error)
    assert result is not None
    return FailedUpdate(number, result)


def _text(password: bytes) -> str:
    try:
        return password.decode()
    except UnicodeDecodeError:
        raise AuthenticationFailed from None


@implementer(IDoor)
class Door:
    """What every connection of a listener shares."""

    def __init__(self, directory: Directory, settings: LiveSettings, authenticator: Authenticator) -> None:
        self._directory = directory
        self._settings = settings
        self.authenticator = authenticator
        self._pages: tuple[Ldap | None, Logins | None] = None, None
        """The settings that `_limits` are of."""
        self._limits = Limits()

    @property
    def limits(self) -> Limits:
        pages = self._settings[Ldap], self._settings[Logins]
        if pages[0] is not self._pages[0] or pages[1] is not self._pages[1]:
            page, logins = pages
            clear = protocols.methods(logins, page.authentication).clear
            self._pages = pages
            self._limits = Limits(operations=page.operations, idle=page.idle_minutes * 60.0, clear_text=clear)
        return self._limits

    def root_dse(self) -> SpecialEntry:
        here = self._directory.cache.tree
        suffixes = () if here is None else tuple(suffix.text.encode() for suffix in here.suffixes)
        return SpecialEntry(
            "",
            user=(("objectClass", (b"top",)),),
            operational=(
                # The suffix that today's clients expect comes first.
                ("namingContexts", suffixes[::-1]),
                ("subschemaSubentry", (tree.SUBSCHEMA.encode(),)),
                ("configContext", (configuration.NAME.encode(),)),
                ("vendorName", (b"imsd",)),
                ("vendorVersion", (__version__.encode(),)),
            ),
        )

    def subschema(self) -> SpecialEntry:
        return _subschema()

    def anonymous(self, security: Security) -> Identity | None:
        return self._identity(None, security) if self._settings[Ldap].anonymous else None

    async def bind(self, name: str, password: bytes, security: Security) -> Identity:
        if name.lower().endswith(_SHOW_HIDDEN) and name.count("=") > 1:
            name = name[: -len(_SHOW_HIDDEN)]
        account = await self.authenticator.password("", name, _text(password), security)
        protocols.check(self._settings, "LDAP", account.protocols)
        return self._identity(account, security)

    def bound(self, identity: Any, security: Security) -> Identity:
        assert isinstance(identity, Account)
        protocols.check(self._settings, "LDAP", identity.protocols)
        return self._identity(identity, security)

    def password_error(self, error: Exception) -> PasswordError | None:
        return password_policy.error_of(error)

    def explain(self, error: Exception) -> Result | None:
        return refusals.ldap(error)

    def _identity(self, account: Account | None, security: Security) -> Identity:
        return Identity(self._directory, self._settings, self.authenticator, account, security)


@lru_cache(maxsize=1)
def _subschema() -> SpecialEntry:
    return SpecialEntry(
        tree.SUBSCHEMA,
        user=(("objectClass", (b"top", b"subschema")), ("cn", (b"Subschema",))),
        operational=subschema.subschema(),
    )


def make_ldap(core: Core, contexts: Any) -> Callable[[], Connection]:
    """What builds the connections of one listener. contexts: the server side of StartTLS."""
    authenticator = core.authenticator.of_protocol("ldap", protocols.methods_of(core.settings, Ldap))
    door = Door(core.directory, core.settings, authenticator)
    budget = Budget()
    return lambda: LdapConnection(core.reactor, door, lambda: contexts, budget)
