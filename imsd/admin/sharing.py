"""Operations on who else may use a mailbox: access control lists and delegates (RFC 4314)."""

from __future__ import annotations

from typing import Any, Final, Literal

from imsd.admin.operations import Json, operation
from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.sessions.imap4 import lists
from imsd.store import acl, mailboxes
from imsd.store.ids import PUBLIC, AccountId, EntryId
from imsd.store.mailboxes import Mailbox

#: Words for the usual sets of rights.
ROLES: Final = {
    "none": "",
    "see": "l",
    "read": "lrs",
    "post": "p",
    "author": "lrsip",
    "edit": "lrswipte",
    "own": acl.ALL,
}
_OLD: Final = {"c": "kx", "d": "te"}


async def _mailbox(core: Any, who: str, folder: str) -> Mailbox:
    """who: "" for public folders."""
    owner = PUBLIC
    if who:
        person = await core.directory.person_by_login(who)
        if person is None:
            raise NoSuchEntry(f"There is nobody called {who}")
        owner = AccountId(person.account)
    found: Mailbox = await core.db.read_few(mailboxes.get, owner, folder)
    return found


def rights_of(text: str) -> tuple[str, str]:
    """Letters or a word of ROLES, with "+" or "-" before: (rights, how)."""
    how = text[:1] if text[:1] in ("+", "-") else ""
    word = text[len(how) :]
    rights = ROLES.get(word)
    if rights is None:
        rights = "".join(_OLD.get(letter, letter) for letter in word)
    if not set(acl.ALL).issuperset(rights):
        raise ConstraintViolation(f"Rights are letters of {acl.ALL}, or one of {', '.join(ROLES)}")
    return rights, how


@operation("rights.show")
async def show(core: Any, folder: str, who: str = "") -> Json:
    """Who may do what in a folder: of a person's mailbox, or (who left out) a public folder."""
    mailbox = await _mailbox(core, who, folder)
    grants = await core.db.read_few(acl.of_mailbox, mailbox.account, mailbox.id)
    shown = await lists.entries(core.directory, mailbox.account, grants)
    return [{"identifier": identifier, "rights": rights} for identifier, rights in shown]


@operation("rights.change")
async def change(core: Any, folder: str, identifier: str, rights: str, who: str = "") -> Json:
    """Give somebody rights on a folder, or take them: letters or a role; "+" adds, "-" takes away."""
    mailbox = await _mailbox(core, who, folder)
    letters, how = rights_of(rights)
    grantee, negative = await lists.grantee_of(core.directory, identifier)
    await core.db.write(lists.change_row, mailbox, grantee, letters, how, negative, account=mailbox.account)
    return await show(core, folder, who)


@operation("delegates.change")
async def delegates(
    core: Any, who: str, identifier: str = "", how: Literal["add", "remove", "show"] = "show"
) -> Json:
    """Who has the whole mailbox of a person, and writes on his behalf (Public-Delegates of the entry)."""
    person = await core.directory.person_by_login(who)
    if person is None:
        raise NoSuchEntry(f"There is nobody called {who}")
    return await _named(core, person.entry, "Public-Delegates", identifier, how)


@operation("send-as.change")
async def send_as(
    core: Any, who: str, identifier: str = "", how: Literal["add", "remove", "show"] = "show"
) -> Json:
    """Who writes mail as a recipient: a person, a list, a public folder (imsSendAs of the entry)."""
    name, _ = await core.directory.attributes(who)
    entry = (await core.directory.cache.locate(name))[0]
    return await _named(core, entry, "imsSendAs", identifier, how)


async def _named(core: Any, entry: EntryId, attribute: str, identifier: str, how: str) -> Json:
    named = set(await core.directory.named(entry, attribute.lower()))
    if how != "show":
        grantee = await core.directory.grantee(identifier)
        if grantee < 0 or grantee == entry:
            raise ConstraintViolation("A delegate is another person, or a distribution list")
        named = named | {grantee} if how == "add" else named - {grantee}
        dns = [await core.directory.cache.dn(each) for each in sorted(named)]
        await core.directory.change(await core.directory.cache.dn(entry), {attribute: dns})
    return [await core.directory.identifier(each) for each in sorted(named)]
