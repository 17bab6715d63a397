"""URLs that carry the right to read a message (RFC 4467): made for its owner, honoured for who brings them.

1. Only the owner signs, and only for mailboxes of his own tree: what a list or a delegation lets him
   read elsewhere is not his to pass on.
2. Whoever brings a URL is told nothing but the message or that there is none: a wrong token, an owner
   nobody knows and a message that is gone look the same. Wrong ones are counted as failed logins are.
3. The host in a URL is not compared: clients know a server by several names, and a token is good
   nowhere but where its key is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imsd.auth.protocols import page_for
from imsd.auth.standing import OWNER, actor
from imsd.errors import InvalidName, NoSuchMailbox, NotPermitted, Referred, Refusal
from imsd.sessions.imap4 import reading, signing
from imsd.sessions.imap4.places import Place
from imsd.settings.imap import Imap
from imsd.store import mailboxes, url_keys
from imsd.store.ids import AccountId
from imsd.store.mailboxes import Mailbox
from imsd.store.transaction import Transaction, Unit
from protocols.imap4.urls import AuthorizedUrl
from protocols.imap4.values import Needs

if TYPE_CHECKING:
    from imsd.directory.values import Person
    from imsd.sessions.imap4.account import ImapAccount

DAY = 86_400


async def sign(session: ImapAccount, urls: Sequence[AuthorizedUrl]) -> Sequence[str] | None:
    """A token for each, None where one of them is not this session's to sign."""
    account = session.account
    if account.anonymous or actor(account) != account.id:
        return None
    for user in {url.user for url in urls}:
        person = await session.held.directory.person_by_login(user)
        if person is None or person.account != account.id:
            return None
    wanted = list(dict.fromkeys((url.target.mailbox, url.target.validity) for url in urls))
    try:
        for name, _ in wanted:
            if (await session.places.spot(name)).account != account.id:
                return None
        held = await session.held.db.read(_keys, account.id, wanted)
        keys = [key for key in held if key is not None]
        if len(keys) < len(held):
            keys = await session.held.db.write(_make_keys, account.id, wanted, account=account.id)
    except (NoSuchMailbox, InvalidName, Referred):
        return None
    by_name = dict(zip(wanted, keys, strict=True))
    now = _seconds(session)
    return [signing.sign(by_name[url.target.mailbox, url.target.validity], url.rump, now) for url in urls]


async def reset(session: ImapAccount, name: str | None) -> None:
    """name: the mailbox whose URLs are worth nothing from here on, None for all. Raises NoSuchMailbox,
    NotPermitted."""
    account = session.account
    if account.anonymous or actor(account) != account.id:
        raise NotPermitted
    if name is None:
        await session.held.db.write(url_keys.forget_account, account.id, account=account.id)
        return
    place = await session.places.find(name)
    if place.mailbox.account != account.id:
        raise NotPermitted
    await session.held.db.write(url_keys.forget, *place.key, account=account.id)
    # RFC 4467 7: whoever logged in as its owner and has it selected hears of it.
    for view in session.held.selected.get(place.key, ()):
        if view.owner.account.id == account.id:
            view.rekeyed = True
            view.changed()


async def message(session: ImapAccount, url: AuthorizedUrl, needs: Needs) -> reading.Message | None:
    """None where the URL gives nothing to this session. Raises Throttled."""
    if url.mechanism != "INTERNAL" or not await _meant(session, url):
        return None
    name, peer = _counted(session, url)
    wrong = session.held.wrong_urls
    wrong.check(name, peer)
    owner = await _owner(session, url)
    found = None if owner is None else await _verified(session, owner.account, url)
    if found is None:
        # Counted when it is known: a submission server brings many at once, all of them good.
        wrong.failed(wrong.admit(name, peer))
        return None
    mailbox, made = found
    now, days = _seconds(session), session.page.url_days
    if (url.expire is not None and url.expire <= now) or (days and made + days * DAY <= now):
        return None
    if not mailbox.selectable or url.target.validity not in (0, mailbox.uidvalidity):
        return None
    return await reading.one(session.held, Place(mailbox, OWNER), url.target.uid, needs)


async def _meant(session: ImapAccount, url: AuthorizedUrl) -> bool:
    """Is this session one of those that the access identifier names (RFC 5092 6.1.1.3)?"""
    account = session.account
    if url.access == "anonymous":
        return True
    if account.anonymous:
        return False
    if url.access == "authuser":
        return True
    if url.access == "user+":
        person = await session.held.directory.person_by_login(url.who)
        return person is not None and person.account == actor(account)
    # submit+: for whom it is submitted was established by the submission server.
    trusted = {name.lower() for name in session.page.submission_users}
    if not trusted:
        return False
    person = await session.held.directory.person(actor(account))
    return person is not None and not trusted.isdisjoint(
        name.lower() for name in (person.uid, *person.addresses)
    )


def _counted(session: ImapAccount, url: AuthorizedUrl) -> tuple[str, str]:
    """Under which name and address a wrong URL is counted. A submission server brings those of many
    people: what one of them got wrong must not hinder the others."""
    who = actor(session.account)
    if url.access == "submit+":
        return f"urls of {url.user.lower()} by #{who}", ""
    return f"urls by #{who} {session.peer if session.account.anonymous else ''}", session.peer


async def _owner(session: ImapAccount, url: AuthorizedUrl) -> Person | None:
    person = await session.held.directory.person_by_login(url.user)
    if person is None or person.disabled or session.places.elsewhere(person.home):
        return None
    return person if page_for(session.held.settings, Imap, person.protocols).enabled else None


async def _verified(session: ImapAccount, owner: AccountId, url: AuthorizedUrl) -> tuple[Mailbox, int] | None:
    """The mailbox, and when the token was made."""
    try:
        mailbox, key = await session.held.db.read_few(_find, owner, url.target.mailbox)
    except Refusal as refusal:
        if refusal.temporary:
            raise
        return None
    made = None if key is None else signing.made(key, url.rump, url.token)
    return None if made is None else (mailbox, made)


def _seconds(session: ImapAccount) -> int:
    return session.held.now() // 1_000_000


def _find(tx: Transaction, account: AccountId, name: str) -> tuple[Mailbox, bytes | None]:
    mailbox = mailboxes.get(tx, account, name)
    return mailbox, url_keys.find(tx, account, mailbox.id)


def _there(tx: Transaction, account: AccountId, name: str, validity: int) -> Mailbox:
    mailbox = mailboxes.get(tx, account, name)
    if not mailbox.selectable or validity not in (0, mailbox.uidvalidity):
        raise NoSuchMailbox
    return mailbox


def _keys(tx: Transaction, account: AccountId, wanted: Sequence[tuple[str, int]]) -> list[bytes | None]:
    return [url_keys.find(tx, account, _there(tx, account, *each).id) for each in wanted]


def _make_keys(unit: Unit, account: AccountId, wanted: Sequence[tuple[str, int]]) -> list[bytes]:
    return [url_keys.make(unit, account, _there(unit, account, *each).id) for each in wanted]
