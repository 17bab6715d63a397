"""Who gets a copy of a message, and who has it sent on: lists, contacts, alternates, folders.

1. A list is an alias in the sense of RFC 5321 3.9.1 as long as its sender hears of failures: the
   reverse-path stays, and RFC 3461 5.2.7.3 (c) says what is reported: members inherit everything but
   SUCCESS. One whose owner hears of them is a mailing list (5.2.7.1): the reverse-path is the owner's.
   Either is expanded by the queue runner, who reports it, where SUCCESS is asked for. A list within a
   list follows it, unless it says itself who hears: so nobody learns who is on a hidden one within another.
2. A mailbox with an alternate recipient leaves its mail to that. Where those lead in a circle, or to
   nobody, the mailbox where that shows gets it. What a contact or an alternate sends on to other domains
   gets a reverse-path of ours (imsd.mail.srs).
3. What people here write leaves for a contact in the form that its Internet-Encoding asks for; through a
   list, in that of the list (ims_spec 8). What came from elsewhere keeps its own.
4. Who does not accept from the sender gets no copy: RCPT is refused, and what a list leads to is
   reported (imsd.mail.posting).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from imsd.directory.imcea import Foreign, encode
from imsd.directory.restrictions import Reports
from imsd.directory.values import Contact, DistributionList, Local, PublicFolder, Recipient
from imsd.errors import LoopDetected, NoRoute, NoSuchRecipient, PolicyRejected, PostingDenied, Refusal
from imsd.mail import posting
from imsd.mail.connectors import Connectors
from imsd.mail.destinations import Destination
from imsd.mail.envelope import Addressee
from imsd.mail.plan import Copy, Plan
from imsd.mail.room import Room
from imsd.mail.srs import Srs
from imsd.store.ids import PUBLIC, AccountId

if TYPE_CHECKING:
    from imsd.directory.directory import Directory

AT_ONCE = 50
"""Addressees between turns for others."""

DEPTH = 8
"""How often a contact may lead to another address of ours."""


class Planner:
    """Puts addressees into a plan."""

    def __init__(self, directory: Directory, connectors: Connectors, room: Room, srs: Srs) -> None:
        self._directory = directory
        self.connectors = connectors
        self.room = room
        self.srs = srs

    async def add_all(self, plan: Plan, addressees: Iterable[Addressee], depth: int = 0) -> None:
        """Addressees, however many; others have their turns meanwhile."""
        for number, addressee in enumerate(addressees, 1):
            await self.add(plan, addressee, addressee.recipient, depth)
            if number % AT_ONCE == 0:
                await self._directory.rest()

    async def add(self, plan: Plan, addressee: Addressee, to: Recipient | None, depth: int = 0) -> None:
        """An addressee, and whoever that leads to. depth: how many have led here."""
        if (
            to is not None
            and to.restricted
            and not await posting.admits(self._directory, to, plan.originator)
        ):
            _refuse(plan, addressee)
        elif isinstance(to, Local):
            await self._to_mailbox(plan, addressee, to, depth)
        elif isinstance(to, PublicFolder):
            # RCPT asked for whom it knew: not for members of lists, nor as things are by now.
            if plan.originator.system or await posting.posts(self._directory, to, plan.originator.account):
                _add(plan, PUBLIC, to.pathname, addressee)
            else:
                _refuse(plan, addressee)
        elif isinstance(to, DistributionList):
            await self._expand(plan, addressee, to, depth)
        elif isinstance(to, Contact):
            await self._readdress(plan, addressee, to, depth)
        else:
            plan.remote.setdefault(_folded(addressee.address), await self._bound(plan, addressee))

    async def _to_mailbox(self, plan: Plan, addressee: Addressee, to: Local, depth: int) -> None:
        alternate = await self._alternate(plan, to, depth) if to.alternate is not None else None
        if alternate is None or to.keeps:
            refusal = await self.room.too_large(to.account, plan.size)
            _add(plan, to.account, "", addressee, refusal)
        if alternate is None:
            return
        plan.events.append(("redirected", to.address, alternate.address))
        if to.keeps:
            # What is to be told is told of one of them (RFC 3461 5.2.7.3 b).
            addressee = replace(addressee, notify=("NEVER",), orcpt="", orcpt_type="")
        onward = replace(addressee, address=alternate.address, recipient=alternate)
        await self.add(plan, onward, alternate, depth + 1)

    async def _alternate(self, plan: Plan, to: Local, depth: int) -> Recipient | None:
        """Who gets the mail in place of a mailbox; None: it does."""
        if to.alternate is None or to.account in plan.redirected or depth >= DEPTH:
            return None
        plan.redirected.add(to.account)
        try:
            return await self._directory.recipient(to.alternate)
        except NoSuchRecipient:
            return None

    async def _bound(self, plan: Plan, addressee: Addressee) -> Addressee:
        """A foreign addressee with what its connector makes of it."""
        if addressee.destination or self._directory.serves(addressee.address.rpartition("@")[2]):
            return addressee
        try:
            out = await self.connectors.out(addressee.address, plan.originator)
        except (NoRoute, PolicyRejected):
            return addressee  # It is refused when it is tried, and the sender is told.
        if not out.parked and not out.destination.connector:
            return addressee
        bound = str(out.destination) if out.destination.connector else ""
        return replace(addressee, address=out.address, destination=bound, parked=out.parked)

    async def _expand(self, plan: Plan, addressee: Addressee, to: DistributionList, depth: int) -> None:
        async def admits(member: Recipient) -> bool:
            return await posting.admits(self._directory, member, plan.originator)

        found = await self._directory.expand(to, admits=admits)
        if "SUCCESS" in addressee.notify and not plan.queued:
            plan.later.append(_copy(AccountId(0), "", addressee))
            return
        # One whose reports go to who sent the message has aliases, with his reverse-path.
        plan.listed = plan.listed or ("alias" if to.reports is Reports.ORIGINATOR else "list")
        plan.events.append(("expanded", to.address, f"{len(found.recipients)} recipients"))
        null = not (plan.originator.address if addressee.sender is None else addressee.sender)
        addressee = replace(addressee, form=self._form(plan, addressee, to))
        given = {to.entry: await self._of_list(addressee, to, null)}
        for inner in found.told.values():
            if inner.entry not in given:
                given[inner.entry] = await self._of_list(addressee, inner, null)
        members = (
            replace(given[found.told.get(each.entry, to).entry], address=each.address, recipient=each)
            for each in (*found.recipients, *found.refused)
        )
        await self.add_all(plan, members, depth)

    async def _of_list(self, given: Addressee, to: DistributionList, null: bool) -> Addressee:
        """What members have of what was said of their list (rule 1). null: nobody is to be told of what
        fails (RFC 5321 4.5.5): a report that goes to a list stays one, or an owner whose mail the list
        gets would be told of what he is told without end."""
        if to.reports is Reports.ORIGINATOR:
            # What is reported of a member is its failure; success is the list's (RFC 3461 5.2.7.3 c).
            notify = tuple(word for word in given.notify if word != "SUCCESS")
            if given.notify and not notify:
                notify = ("NEVER",)
            return replace(given, notify=notify)
        sender, notify = "", ("NEVER",) if to.reports is Reports.NOBODY else ()
        if to.reports is Reports.OWNER and to.owner is not None and not null:
            try:
                owner = await self._directory.recipient(to.owner)
                sender = owner.address if "@" in owner.address else ""
            except NoSuchRecipient:
                pass  # The postmaster is told.
        return replace(given, notify=notify, orcpt="", orcpt_type="", sender=sender, anew=True)

    async def _readdress(self, plan: Plan, addressee: Addressee, to: Contact, depth: int) -> None:
        plan.events.append(("redirected", to.address, to.target))
        sender = addressee.sender
        next_to: Recipient | None = None
        address, destination, parked = to.target, "", ""
        if to.kind != "SMTP":
            try:
                out = await self.connectors.out_contact(to, plan.originator)
                address, destination, parked = out.address, str(out.destination), out.parked
            except (NoRoute, PolicyRejected) as refusal:
                # An address of ours that nobody has: the queue runner tells the sender.
                address, plan.nowhere = self._nowhere(to), refusal
        elif self._directory.serves(to.target.rpartition("@")[2]):
            # What leads nowhere is queued, and the queue runner tells the sender.
            try:
                if depth >= DEPTH:
                    raise LoopDetected("Contacts lead to each other")
                next_to = await self._directory.resolve(to.target)
            except (NoSuchRecipient, LoopDetected) as refusal:
                host = self._directory.share_host(to.target.rpartition("@")[2])
                if host and not isinstance(refusal, LoopDetected):
                    destination = str(Destination(host=host))
                else:
                    plan.nowhere = refusal
        else:
            held = plan.originator.address if sender is None else sender
            rewritten = await self.srs.forward(held) if held and plan.originator.account is None else held
            sender = rewritten if rewritten != held else sender
        onward = replace(
            addressee,
            address=address,
            recipient=next_to,
            destination=destination,
            parked=parked,
            sender=sender,
            form=self._form(plan, addressee, to),
        )
        await self.add(plan, onward, next_to, depth + 1)

    @staticmethod
    def _form(plan: Plan, given: Addressee, to: Contact | DistributionList) -> str | None:
        """What was said first holds."""
        if given.form is not None or plan.originator.account is None:
            return given.form
        return to.form or ""

    def _nowhere(self, to: Contact) -> str:
        domain = (self._directory.domains.served or ("invalid",))[0]
        return f"{encode(Foreign(to.kind, to.target))}@{domain}"


def _add(
    plan: Plan, account: AccountId, folder: str, given: Addressee, refusal: Refusal | None = None
) -> None:
    copy = _copy(account, folder, given)
    if refusal is not None:
        plan.refused.append((copy, refusal))
    else:
        plan.local.setdefault((account, folder), copy)


def _copy(account: AccountId, folder: str, given: Addressee) -> Copy:
    return Copy(
        account,
        given.address,
        folder,
        given.notify,
        given.orcpt_type,
        given.orcpt,
        given.sender,
        given.anew,
        given.head,
    )


def _refuse(plan: Plan, given: Addressee) -> None:
    refusal = PostingDenied("This recipient does not accept messages from this sender")
    plan.refused.append((_copy(AccountId(0), "", given), refusal))


def _folded(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local}@{domain.lower()}"
