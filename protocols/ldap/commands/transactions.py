"""Transactions (RFC 5805): updates that are kept until they are done together, all or none.

What belongs to a transaction is answered with success at once, which says that it was taken; only the
end says how it went. A Bind aborts what is outstanding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols.ldap import ber
from protocols.ldap.ber import BadValue, Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import Control, ExtendedResponse
from protocols.ldap.responses import encode_control
from protocols.ldap.results import SUCCESS, Failed, FailedUpdate, ResultCode
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class StartTransaction:
    oid: ClassVar = "1.3.6.1.1.21.1"
    kind: ClassVar = Kind.UPDATE
    answer: ClassVar = 0x78
    verb: ClassVar = "transaction"

    @classmethod
    def parse(cls, value: bytes | None) -> StartTransaction:
        if value is not None:
            raise BadValue("no request value (RFC 5805 2.1)")
        return cls()

    async def run(self, session: Session, channel: Channel) -> ExtendedResponse:
        if channel.controls.transaction is not None:
            channel.controls.refuse_proxied()
        if session.bound is None:
            raise Failed(ResultCode.STRONGER_AUTH_REQUIRED, "Bind first")
        identity = await session.acting(channel.controls)
        return ExtendedResponse(SUCCESS, value=session.start_transaction(identity))


@dataclass(frozen=True, slots=True)
class EndTransaction:
    oid: ClassVar = "1.3.6.1.1.21.3"
    kind: ClassVar = Kind.UPDATE
    answer: ClassVar = 0x78
    verb: ClassVar = "transaction"

    identifier: bytes
    commit: bool = True

    @classmethod
    def parse(cls, value: bytes | None) -> EndTransaction:
        """txnEndReq (RFC 5805 2.3)."""
        if value is None:
            raise BadValue("txnEndReq")
        inside = Cursor(value).enter()
        has_commit = inside.more and inside.data[inside.at] == ber.BOOLEAN
        commit = inside.boolean() if has_commit else True
        return cls(inside.octets(), commit)

    async def run(self, session: Session, channel: Channel) -> ExtendedResponse:
        channel.controls.refuse_proxied()
        transaction = session.end_transaction(self.identifier)
        updates = transaction.updates
        if not self.commit or not updates:
            return ExtendedResponse(SUCCESS)
        try:
            answered = await transaction.identity.settle(
                [(update.request, update.controls) for update in updates]
            )
        except FailedUpdate as error:
            failed = updates[error.number].message_id
            return ExtendedResponse(error.result, value=ber.sequence([ber.integer(failed)]))
        told = [
            _controls(update.message_id, controls)
            for update, controls in zip(updates, answered, strict=True)
            if controls
        ]
        value = ber.sequence([ber.sequence(told)]) if told else None
        return ExtendedResponse(SUCCESS, value=value)


def _controls(message_id: int, controls: tuple[Control, ...]) -> bytes:
    """updateControls: Controls is a SEQUENCE OF by itself."""
    return ber.sequence([ber.integer(message_id), ber.sequence(map(encode_control, controls))])


def refuse(channel: Channel) -> None:
    """For what is not done in transactions. Raises Failed."""
    if channel.controls.transaction is not None:
        raise Failed(ResultCode.UNWILLING_TO_PERFORM, "Not in a transaction")
