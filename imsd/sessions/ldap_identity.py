"""The directory as one identity sees and changes it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from typing import Final

from zope.interface import implementer

from imsd.auth.account import Account
from imsd.auth.realm import account_of
from imsd.directory import schema, tree
from imsd.directory.access import ANONYMOUS, Viewer
from imsd.directory.attributes import Visible
from imsd.directory.changes import Change, Modification
from imsd.directory.conditions import PLAIN, Changed, Conditions
from imsd.directory.directory import Step, is_password
from imsd.errors import (
    AuthenticationFailed,
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
from imsd.sessions.ldap_standing import Standing
from imsd.settings.directory import Ldap
from imsd.store import credentials
from imsd.store.ids import AccountId, EntryId
from imsd.store.transaction import Unit
from protocols.errors import BadSyntax
from protocols.ldap import evaluation, filters
from protocols.ldap.controls import (
    NONE,
    POST_READ,
    PRE_READ,
    Controls,
    password_control,
    read_control,
)
from protocols.ldap.interfaces import Answered, IIdentity, ignored
from protocols.ldap.messages import (
    AddRequest,
    Attribute,
    ChangeKind,
    CompareRequest,
    Control,
    DeleteRequest,
    ModifyDnRequest,
    ModifyRequest,
    PasswordModify,
    Scope,
    SearchRequest,
)
from protocols.ldap.messages import Change as ModifyChange
from protocols.ldap.responses import encode_reference
from protocols.ldap.results import Failed, FailedUpdate, ResultCode
from protocols.ldap.session import Deferrable, Update
from protocols.ldap.syncing import Answer

_PERSISTENT: Final = 8
"""Searches of one connection that stay open: fewer than its operations, so that others can be asked."""


@implementer(IIdentity)
class Identity(Standing):
    """The directory for one account, or (None) for whoever is not bound."""

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
        if not _sets_a_password(request):
            changed = await self._directory.db.write(step)
        else:
            self._look_away()
            try:
                changed = await self._directory.db.write(step)
                await self._stay(request.dn)
            finally:
                self._look()
        return await self._images(changed, request.dn, controls)

    async def settle(self, asked: Sequence[tuple[Deferrable, Controls]]) -> list[Answered]:
        """RFC 5805 3.4: in one unit."""
        steps: list[Callable[[Unit], Changed | Answered]] = []
        updates: list[tuple[Update, Controls]] = []
        settings = False
        for number, (each, controls) in enumerate(asked):
            try:
                request = await self._setting(each) if isinstance(each, PasswordModify) else each
                updates.append((request, controls))
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
        account, target = await self._whose_password(request)
        new = secrets.token_urlsafe(12).encode() if request.new is None else request.new
        if target != account.id:
            await self._directory.set_password(target, password_text(new), reset=True)
            return new if request.new is None else None
        self._look_away()
        try:
            await self._directory.set_password(target, password_text(new))
            await self._stay(account.dn)
        finally:
            self._look()
        return new if request.new is None else None

    async def _whose_password(self, request: PasswordModify) -> tuple[Account, AccountId]:
        """Who asks, and whose password he may set."""
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
        return account, target

    async def _setting(self, request: PasswordModify) -> ModifyRequest:
        """The same as an update, as part of a transaction."""
        person = await self._directory.person((await self._whose_password(request))[1])
        if person is None or request.new is None:
            raise NoSuchEntry
        new = Attribute("userPassword", (request.new,))
        return ModifyRequest(person.dn, (ModifyChange(ChangeKind.REPLACE, new),))

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
        await self._authenticator.confirm(person.dn, password_text(old), self._security)

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


def password_text(password: bytes) -> str:
    try:
        return password.decode()
    except UnicodeDecodeError:
        raise AuthenticationFailed from None
