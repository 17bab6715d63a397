"""Operations on people, lists, contacts and public folders."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from imsd.admin.deleted import until_of
from imsd.admin.operations import Json, operation
from imsd.directory import protocols
from imsd.directory.allowances import ATTRIBUTES
from imsd.directory.entry import Kind
from imsd.directory.limits import Limits
from imsd.directory.passwords import PasswordState
from imsd.directory.protocols import Format
from imsd.directory.values import Contact, Person, PublicFolder
from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.mail.warnings import STATES, level
from imsd.settings.clients import CapabilityName
from imsd.settings.networks import NetworkText
from imsd.store import credentials, mailboxes
from imsd.store.mailboxes import Usage
from imsd.store.tables import now

KINDS: Final = {"group": Kind.LIST, "contact": Kind.CONTACT, "folder": Kind.FOLDER}


async def _person(core: Any, who: str) -> Person:
    found: Person | None = await core.directory.person_by_login(who)
    if found is None:
        raise NoSuchEntry(f"There is nobody called {who}")
    return found


def _summary(person: Person) -> Json:
    return {
        "address": person.address,
        "uid": person.uid,
        "name": person.name,
        "dn": person.dn,
        "admin": person.is_admin,
        "disabled": person.disabled,
    }


def _password(state: PasswordState) -> Json:
    """What of it is worth a word; times in microseconds since the epoch."""
    found: dict[str, Any] = {
        "changed": state.changed,
        "expires": state.expires,
        "expired": state.expired,
        "grace": state.grace,
        "must_change": state.must_change,
        "locked": state.locked,
        "unlocks": state.unlocks,
    }
    return {name: value for name, value in found.items() if value}


@operation("user.add")
async def add_user(
    core: Any, address: str, password: str | None = None, name: str = "", admin: bool = False
) -> Json:
    """Add a person with a mailbox."""
    return _summary(await core.directory.add_user(address, name=name, password=password, admin=admin))


@operation("user.list")
async def list_users(core: Any) -> Json:
    """Everybody with a mailbox, by alias."""
    return [_summary(person) for person in await core.directory.people()]


@operation("user.show")
async def show_user(core: Any, who: str) -> Json:
    """One person: addresses, mailbox, attributes."""
    person = await _person(core, who)
    limits = await core.directory.limits(person.account)
    usage = await core.db.read_few(mailboxes.usage, person.account)
    _, attributes = await core.directory.attributes(person.dn)
    return {
        **_summary(person),
        "addresses": list(person.addresses),
        "messages": usage.messages,
        "bytes": usage.bytes,
        "quota": _quota(usage, limits),
        "password": _password(await core.directory.password_state(person.entry)),
        "attributes": attributes,
    }


@operation("user.passwd")
async def set_password(core: Any, who: str, password: str, must_change: bool | None = None) -> Json:
    """Set a person's password; sessions opened with the old one end."""
    account = (await _person(core, who)).account
    await core.directory.set_password(account, password, reset=True, must_change=must_change)


@operation("user.unlock")
async def unlock(core: Any, who: str) -> Json:
    """Forget a person's wrong passwords, which may have locked the account."""
    await core.directory.unlock((await _person(core, who)).account)


@operation("user.disable")
async def disable(core: Any, who: str, disabled: bool = True) -> Json:
    """Refuse, or allow again, a person's logins."""
    await core.directory.set_disabled((await _person(core, who)).account, disabled)


@operation("user.delete")
async def delete_user(core: Any, who: str, delete_mailbox: bool = False, at_once: bool = False) -> Json:
    """Delete a person; a mailbox that is not empty goes only with delete_mailbox. Until when he can be
    brought back; at_once: he cannot."""
    person = await _person(core, who)
    await core.directory.delete_user(person.dn, delete_mailbox=delete_mailbox, at_once=at_once)
    return await core.db.read(until_of, person.entry)


@operation("user.protocols")
async def user_protocols(
    core: Any,
    who: str,
    protocol: str = "",
    enabled: bool | None = None,
    use_defaults: bool | None = None,
    form: Format | None = None,
    charset: str | None = None,
    list_public: bool | None = None,
    delegate: bool | None = None,
    text: str | None = None,
) -> Json:
    """What a mailbox says of each protocol, changed where values are given.

    text: all of Protocol-Settings in its own form, values joined by %, in place of single ones.
    """
    person = await _person(core, who)
    given = {
        "enabled": enabled, "use_defaults": use_defaults, "form": form, "charset": charset,
        "list_public": list_public, "delegate": delegate,
    }  # fmt: skip
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    known = person.protocols
    if text is not None:
        known = protocols.parse_all(each for each in text.split(protocols.JOINT) if each)
    elif changes:
        name = {"IMAP": "IMAP4"}.get(protocol.upper(), protocol.upper())
        if name not in protocols.NAMES:
            raise NoSuchEntry(f"Say which protocol: {', '.join(protocols.NAMES)}")
        if changes.keys() - {"enabled", "use_defaults"}:
            # Who sets something for himself does not use the defaults.
            changes.setdefault("use_defaults", False)
        known = protocols.put(known, replace(protocols.of(known, name), **changes))
    if known != person.protocols:
        await core.directory.change(person.dn, {"Protocol-Settings": [str(each) for each in known]})
    return [
        {
            "protocol": each.protocol,
            "enabled": each.enabled,
            "use_defaults": each.use_defaults,
            "format": each.form.value,
            "charset": each.charset,
            "list_public": each.list_public,
            "delegate": each.delegate,
            "stored": str(each) if each in known else "",
        }
        for each in (protocols.of(known, name) for name in protocols.NAMES)
    ]


@operation("user.capabilities")
async def user_capabilities(core: Any, who: str, off: list[CapabilityName] | None = None) -> Json:
    """Capabilities of IMAP4 that are off for a mailbox; off: all of them, in place of those there are."""
    person = await _person(core, who)
    if off is not None:
        await core.directory.change(person.dn, {"imsCapabilitiesOff": list(dict.fromkeys(off))})
        person = await _person(core, who)
    return list(person.capabilities_off)


@operation("user.quota")
async def quota(
    core: Any,
    who: str,
    warn_kb: int | None = None,
    send_kb: int | None = None,
    most_kb: int | None = None,
    messages: int | None = None,
    use_defaults: bool | None = None,
) -> Json:
    """A mailbox's limits, changed where values are given (-1: no limit), and what it holds."""
    person = await _person(core, who)
    given = {
        "MDB-Storage-Quota": warn_kb,
        "MDB-Over-Quota-Limit": send_kb,
        "DXA-Task": most_kb,
        "imsMessageQuota": messages,
    }
    change: dict[str, list[str]] = {
        key: [str(value)] if value >= 0 else [] for key, value in given.items() if value is not None
    }
    if change or use_defaults is not None:
        change["MDB-Use-Defaults"] = ["TRUE" if use_defaults else "FALSE"]
        await core.directory.change(person.dn, change)
    limits = await core.directory.limits(person.account)
    usage = await core.db.read_few(mailboxes.usage, person.account)
    return {
        "address": person.address,
        **_quota(usage, limits),
        "used_kb": -(-usage.bytes // 1024),
        "used_messages": usage.messages,
        "largest_received_kb": None if limits.receives is None else limits.receives // 1024,
        "largest_sent_kb": None if limits.sends is None else limits.sends // 1024,
    }


def _quota(usage: Usage, limits: Limits) -> Json:
    """The thresholds of a mailbox, whose they are, and which of them it is over."""
    bounds = limits.bounds

    def kilobytes(bound: int) -> int | None:
        return max(bound, 0) // 1024 if bound else None

    full = bool(bounds.messages) and usage.messages >= max(bounds.messages, 0)
    return {
        "state": STATES[-1 if full else level(usage.bytes, bounds)],
        "decided_by": "mailbox" if limits.own else "site",
        "warn_kb": kilobytes(bounds.warn),
        "send_kb": kilobytes(bounds.send),
        "most_kb": kilobytes(bounds.most),
        "messages": max(bounds.messages, 0) if bounds.messages else None,
    }


@operation("user.sending")
async def sending(
    core: Any,
    who: str,
    messages_per_hour: int | None = None,
    messages_per_day: int | None = None,
    recipients_per_hour: int | None = None,
    recipients_per_day: int | None = None,
    use_defaults: bool = False,
) -> Json:
    """How much a mailbox sends elsewhere, changed where values are given (-1: any number)."""
    person = await _person(core, who)
    given = {
        "messages_per_hour": messages_per_hour,
        "messages_per_day": messages_per_day,
        "recipients_per_hour": recipients_per_hour,
        "recipients_per_day": recipients_per_day,
    }
    change: dict[str, list[str]] = {key: [] for key in ATTRIBUTES.values()} if use_defaults else {}
    change |= {ATTRIBUTES[limit]: [str(most)] for limit, most in given.items() if most is not None}
    if change:
        await core.directory.change(person.dn, change)
    own = (await core.directory.limits(person.account)).sending
    allowed = core.delivery.sending.allowed(person.address, own)
    used = await core.delivery.sending.used(person.address)
    return [
        {
            "limit": limit,
            "allowed": most,
            "used": used.of(limit),
            "decided_by": "mailbox" if limit in own else "site",
        }
        for limit, most in allowed.items()
    ]


MOST_NETWORKS: Final = 50
"""That an app password is good from."""


@operation("app-password.add")
async def add_app_password(
    core: Any,
    who: str,
    label: str,
    protocols: list[Literal["imap", "ldap", "pop3", "smtp"]] | None = None,
    networks: list[NetworkText] | None = None,
    days: Annotated[int, Field(ge=0, le=36_500)] = 0,
) -> Json:
    """Make a password for one device or program of a person; shown here, never again.

    protocols, networks: what it is for and where from, none for any. days: until it expires, 0 for never.
    """
    person = await _person(core, who)
    scope = tuple(sorted(set(protocols or ()))), tuple(networks or ())[:MOST_NETWORKS]
    if len(networks or ()) > MOST_NETWORKS:
        raise ConstraintViolation(f"At most {MOST_NETWORKS} networks")
    expires = now() + days * 86_400 * 1_000_000 if days else 0
    made = await core.authenticator.add_app_password(person.entry, label, *scope, expires)
    return {"password": made, "label": label, "protocols": scope[0], "networks": scope[1], "expires": expires}


@operation("app-password.list")
async def list_app_passwords(core: Any, who: str) -> Json:
    """A person's app passwords: number, label, what for, from where, until when, when made and used."""
    held = await core.db.read_few(credentials.read, (await _person(core, who)).entry)
    return [
        {
            "number": one.slot,
            "label": one.label,
            "protocols": one.protocols,
            "networks": one.networks,
            "created": one.created,
            "expires": one.expires,
            "expired": bool(one.expires) and one.expires <= now(),
            "used": one.used,
        }
        for one in held.apps
    ]


@operation("app-password.remove")
async def remove_app_password(core: Any, who: str, number: int) -> Json:
    """Take one back; the person's sessions end."""
    person = await _person(core, who)
    await core.db.write(credentials.remove_app_password, person.entry, number)


@operation("group.add")
async def add_group(core: Any, address: str, members: list[str], name: str = "", owner: str = "") -> Json:
    """Add a distribution list."""
    await core.directory.add_group(address, name=name, members=members, owner=owner)
    return await show_recipient(core, "group", address)


@operation("group.join")
async def join_group(core: Any, address: str, members: list[str]) -> Json:
    """Add members to a list."""
    await core.directory.change_members(address, add=members)


@operation("group.leave")
async def leave_group(core: Any, address: str, members: list[str]) -> Json:
    """Take members off a list."""
    await core.directory.change_members(address, remove=members)


@operation("contact.add")
async def add_contact(core: Any, address: str, target: str, name: str = "") -> Json:
    """Add a custom recipient."""
    await core.directory.add_contact(address, target, name=name)
    return await show_recipient(core, "contact", address)


@operation("folder.add")
async def add_folder(core: Any, pathname: str, address: str = "", hidden: bool = True) -> Json:
    """Add a public folder."""
    await core.directory.add_folder(address, pathname, hidden=hidden)
    folders = await core.directory.recipients(Kind.FOLDER)
    return next(_recipient_row(folder) for folder in folders if folder.pathname == pathname)


def _recipient_row(found: Any) -> Json:
    row = {"address": found.address, "detail": ""}
    if isinstance(found, Contact):
        row["detail"] = found.target
    elif isinstance(found, PublicFolder):
        row["detail"] = found.pathname
    return row


@operation("recipient.list")
async def list_recipients(core: Any, kind: str) -> Json:
    """Every list ("group"), contact or public folder ("folder")."""
    rows = []
    for found in await core.directory.recipients(_kind(kind)):
        _, attributes = await core.directory.attributes(found.address)
        row = _recipient_row(found)
        row["name"] = next(iter(attributes.get("cn", [])), "")
        if kind == "group":
            row["detail"] = f"{len(attributes.get('member', []))} members"
        rows.append(row)
    return rows


@operation("recipient.show")
async def show_recipient(core: Any, kind: str, address: str) -> Json:
    """One of them with its attributes."""
    found = await core.directory.resolve(address)
    if found.entry not in {one.entry for one in await core.directory.recipients(_kind(kind))}:
        raise NoSuchEntry(f"{address} is no {kind}")
    dn, attributes = await core.directory.attributes(address)
    return {"dn": dn, **_recipient_row(found), **attributes}


@operation("recipient.delete")
async def delete_recipient(core: Any, kind: str, address: str, at_once: bool = False) -> Json:
    """Delete one of them; at_once: it cannot be brought back."""
    await core.directory.delete(address, _kind(kind), at_once=at_once)


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise NoSuchEntry(f"There is no kind {name}; there are {', '.join(KINDS)}")
    return KINDS[name]


@operation("quotas.warn", needs_server=True)
async def warn(core: Any) -> Json:
    """Look at all mailboxes now, and warn who is near a limit; how many were warned."""
    return await core.server.warner.look()
