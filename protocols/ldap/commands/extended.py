"""Extended operations (RFC 4511 4.12): the table by OID, and the answer to unknown ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from protocols.ldap import requests
from protocols.ldap.ber import BadEncoding, BadValue, Cursor
from protocols.ldap.channel import Channel, Command, Kind
from protocols.ldap.commands.cancel import Cancel
from protocols.ldap.commands.password_modify import ModifyPassword
from protocols.ldap.commands.start_tls import StartTls
from protocols.ldap.commands.transactions import EndTransaction, StartTransaction
from protocols.ldap.commands.who_am_i import WhoAmI
from protocols.ldap.results import Failed, ResultCode
from protocols.ldap.session import Session

EXTENDED: Final[dict[str, Callable[[bytes | None], Command]]] = {
    StartTls.oid: StartTls.parse,
    ModifyPassword.oid: ModifyPassword.parse,
    WhoAmI.oid: WhoAmI.parse,
    Cancel.oid: Cancel.parse,
    StartTransaction.oid: StartTransaction.parse,
    EndTransaction.oid: EndTransaction.parse,
}


@dataclass(frozen=True, slots=True)
class Unknown:
    """protocolError, as RFC 4511 4.12 has it."""

    kind: ClassVar = Kind.READ
    answer: ClassVar = 0x78
    verb: ClassVar = "extended"

    async def run(self, session: Session, channel: Channel) -> None:
        raise Failed(ResultCode.PROTOCOL_ERROR, "Unknown extended operation")


def parse(cursor: Cursor) -> Command:
    """The command of the OID. A value that cannot be decoded is no message that cannot: the operation is
    refused, and the session goes on."""
    request = requests.extended(cursor)
    command = EXTENDED.get(request.oid)
    if command is None:
        return Unknown()
    try:
        return command(request.value)
    except BadEncoding as error:
        raise BadValue(f"{error.what} in the value of {request.oid}") from None
