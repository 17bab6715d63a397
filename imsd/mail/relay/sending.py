"""One message over one connection: an outcome for each recipient.

1. Every recipient gets its own outcome. A connection lost before the reply to the content is
   temporary: the other side may have the message, and gets it twice rather than never.
2. Content that has 8-bit lines is converted for a server without 8BITMIME (RFC 6152 3); a
   message that needs SMTPUTF8 is refused for a server without it (RFC 6531 3.2).
3. A server that takes no more recipients gets what it took, and the others in the next transaction
   (RFC 5321 4.5.3.1.10, ims_spec 5.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from imsd.mail.downgrade import Unconvertible
from imsd.mail.relay.outcomes import Outcome, Parcel, outcome_of
from imsd.mail.terms import NotInTime, Terms, after, terms
from imsd.store.spool import QueuedRecipient, State
from protocols.smtp import client as smtp
from protocols.smtp.parameters import BINARY, EIGHT_BIT, SEVEN_BIT, MailParameters, RcptParameters
from protocols.smtp.responses import Reply


@dataclass(frozen=True, slots=True)
class Sent:
    """rest: who is left for another transaction. turned_away: nobody was taken for now, by MAIL or RCPT."""

    outcomes: dict[int, Outcome]
    rest: tuple[QueuedRecipient, ...] = ()
    turned_away: bool = False


async def send(
    client: smtp.Client,
    parcel: Parcel,
    recipients: tuple[QueuedRecipient, ...],
    peer: str,
    now: int,
    requiretls: bool = False,
    sent: Callable[[], None] | None = None,
) -> Sent:
    """One transaction. requiretls: RFC 8689. sent: as `Client.data` takes it; not called where somebody is
    left.

    Raises what makes the connection useless before the content was begun, and what reading raises.
    """
    message = parcel.message
    ids = [each.id for each in recipients]
    try:
        asked = terms(message, client.extensions, now)
    except NotInTime as error:
        return Sent(dict.fromkeys(ids, Outcome(State.FAILED, "5.4.7", f"{peer} {error}")))
    body = message.body
    convert = body != SEVEN_BIT and not _takes(client, body)
    resized = convert or bool(message.form)
    if convert:
        body = SEVEN_BIT
    parameters = MailParameters(
        size=0 if resized else message.size + len(asked.field),
        body=body,
        smtputf8=parcel.utf8,
        ret=message.ret,
        envid=message.envid,
        mt_priority=message.mt_priority,
        by=asked.by,
        requiretls=requiretls,
        solicit=tuple(filter(None, message.solicit.split(","))),
    )
    try:
        replies = await client.envelope(
            message.reverse_path,
            [(each.address, _parameters(each, asked)) for each in recipients],
            parameters,
            data=body != BINARY,
        )
    except smtp.MissingExtension as error:
        # RFC 6531 3.6: 5.6.7 when it is the address or header that needs the extension.
        return Sent(dict.fromkeys(ids, Outcome(State.FAILED, "5.6.7", f"{peer}: {error}")))
    except smtp.Rejected as error:
        refused = outcome_of(error.reply, peer)
        return Sent(dict.fromkeys(ids, refused), turned_away=refused.state is State.WAITING)
    except ValueError as error:
        return Sent(dict.fromkeys(ids, Outcome(State.FAILED, "5.1.3", f"Address cannot be sent: {error}")))
    rest = _too_many(recipients, replies)
    later = {each.id for each in rest}
    outcomes = {
        number: outcome_of(reply, peer)
        for number, reply in zip(ids, replies, strict=True)
        if not reply.positive and number not in later
    }
    accepted = [number for number in ids if number not in outcomes and number not in later]
    if not client.usable:
        # 421 among the replies: what was accepted before it is not sent any more.
        lost = Outcome(State.WAITING, "4.4.2", "The server closed the connection", peer)
        return Sent(outcomes | dict.fromkeys([*accepted, *later], lost))
    if not accepted:
        try:
            await client.reset()
        except smtp.ClientError:
            client.abort()
        return Sent(outcomes, turned_away=all(each.state is State.WAITING for each in outcomes.values()))
    try:
        content = parcel.content(convert)
        content = after(asked.field, content) if asked.field else content
        reply = await client.data(content, body == BINARY, None if rest else sent)
    except Unconvertible:
        # RFC 6152 3: never 8-bit octets to who does not take them.
        client.abort()
        text = f"{peer} does not take 8-bit content, and this message cannot be converted"
        refused = Outcome(State.FAILED, "5.6.3", text)
        return Sent(outcomes | dict.fromkeys([*accepted, *later], refused))
    except smtp.ClientError as error:
        # Nobody knows whether it arrived: never a silent repeat on this connection.
        client.abort()
        lost = Outcome(State.WAITING, "4.4.2", f"Connection failed while sending: {error}", peer)
        return Sent(outcomes | dict.fromkeys(accepted, lost), rest)
    outcome = outcome_of(reply, peer, reported="DSN" in client.extensions)
    if asked.traced:
        outcome = replace(outcome, traced=True)
    return Sent(outcomes | dict.fromkeys(accepted, outcome), rest)


def _too_many(recipients: tuple[QueuedRecipient, ...], replies: list[Reply]) -> tuple[QueuedRecipient, ...]:
    """Those that were not taken because others were: 452, or 552 of older servers (RFC 5321 4.5.3.1.10)."""
    if not any(reply.positive for reply in replies):
        return ()
    return tuple(
        each
        for each, reply in zip(recipients, replies, strict=True)
        if reply.code in (452, 552, 522) and reply.enhanced[2:] in ("", "5.3")
    )


def _takes(client: smtp.Client, body: str) -> bool:
    if body == EIGHT_BIT:
        return "8BITMIME" in client.extensions
    return {"BINARYMIME", "CHUNKING"} <= client.extensions.keys()


def _parameters(recipient: QueuedRecipient, asked: Terms) -> RcptParameters:
    notify = asked.notify(tuple(recipient.notify.split(",")) if recipient.notify else ())
    return RcptParameters(notify, recipient.orcpt_type, recipient.orcpt)
