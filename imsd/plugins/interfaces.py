"""The events: an interface with one method for each. A plug-in has the methods of those that it is for.

A method may be a coroutine (`async def`), which runs on the reactor and must never block it, or a plain
function, which runs in a thread. Questions are answered with

    None or ""       go on
    "refuse[:TEXT]"  no (SMTP: 550 5.7.1)
    "later[:TEXT]"   not now (SMTP: 451 4.3.0)

and `received`, besides, with "discard" (accept it, and keep it from everybody), or
"field:Name: value" for each field that copies of the message shall begin with; several in a list or
tuple. What the others return is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from zope.interface import Interface

if TYPE_CHECKING:
    from imsd.plugins.values import (
        Attempt,
        Changed,
        Connection,
        Fate,
        Logged,
        Login,
        Message,
        Recipient,
        Sender,
    )

Said = str | None


class IConnected(Interface):
    def connected(connection: Connection) -> Said:
        """A host has connected to an SMTP listener. It is refused at its first MAIL, so that it hears why."""


class IMail(Interface):
    def mail(sender: Sender) -> Said:
        """MAIL was accepted by all else."""


class IRecipient(Interface):
    def recipient(recipient: Recipient) -> Said:
        """RCPT was accepted by all else."""


class IReceived(Interface):
    def received(message: Message) -> Said | Sequence[str]:
        """A message is here whole: by SMTP, LMTP, the pickup folder, or from a program. Not the server's own
        reports, which nobody could be told of."""


class ISending(Interface):
    def sending(attempt: Attempt) -> Said:
        """A message is about to be sent to a host. Refused, its sender gets a report; "later", it waits as
        after a failed try."""


class ILogin(Interface):
    def login(login: Login) -> Said:
        """Somebody has proved who he is, by any protocol."""


class ILoginFailed(Interface):
    def login_failed(login: Login) -> None:
        """A login was refused."""


class IDelivered(Interface):
    def delivered(fate: Fate) -> None:
        """A copy is in a mailbox here."""


class ISent(Interface):
    def sent(fate: Fate) -> None:
        """A host has taken a message over."""


class IDeferred(Interface):
    def deferred(fate: Fate) -> None:
        """A try failed, and there will be another."""


class IFailed(Interface):
    def failed(fate: Fate) -> None:
        """A recipient was given up; the sender is told if he wants to be."""


class IRefused(Interface):
    def refused(fate: Fate) -> None:
        """A message or recipient was refused by SMTP; queue_id is "" before the message has one."""


class IDirectoryChanged(Interface):
    def directory_changed(changed: Changed) -> None:
        """Entries were added, changed or deleted."""


class ILogged(Interface):
    def logged(event: Logged) -> None:
        """An event of docs/events.md, those of plug-ins excepted."""


EVENTS: Final[dict[str, Any]] = {
    "connected": IConnected,
    "mail": IMail,
    "recipient": IRecipient,
    "received": IReceived,
    "sending": ISending,
    "login": ILogin,
    "login_failed": ILoginFailed,
    "delivered": IDelivered,
    "sent": ISent,
    "deferred": IDeferred,
    "failed": IFailed,
    "refused": IRefused,
    "directory_changed": IDirectoryChanged,
    "logged": ILogged,
}

QUESTIONS: Final = ("connected", "mail", "recipient", "received", "sending")
"""Of those, what is asked of a message on its way."""

TRACKED: Final = {
    "delivered": "delivered",
    "relayed": "sent",
    "deferred": "deferred",
    "failed": "failed",
    "refused": "refused",
}
"""Words of tracking that plug-ins are told of, and as what."""
