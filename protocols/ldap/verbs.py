"""The table of operations by the tag of their request, of extended operations, of controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.ldap import controls
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Command
from protocols.ldap.commands import extended
from protocols.ldap.commands.abandon import Abandon
from protocols.ldap.commands.add import Add
from protocols.ldap.commands.bind import Bind
from protocols.ldap.commands.compare import Compare
from protocols.ldap.commands.delete import Delete
from protocols.ldap.commands.modify import Modify
from protocols.ldap.commands.modify_dn import ModifyDn
from protocols.ldap.commands.search import Search
from protocols.ldap.commands.start_tls import StartTls
from protocols.ldap.commands.unbind import Unbind

VERBS: Final[dict[int, Callable[[Cursor], Command]]] = {
    0x42: Unbind.parse,
    0x4A: Delete.parse,
    0x50: Abandon.parse,
    0x60: Bind.parse,
    0x63: Search.parse,
    0x66: Modify.parse,
    0x68: Add.parse,
    0x6C: ModifyDn.parse,
    0x6E: Compare.parse,
    0x77: extended.parse,
}

ANSWERS: Final[dict[int, int]] = {
    0x4A: 0x6B, 0x60: 0x61, 0x63: 0x65, 0x66: 0x67, 0x68: 0x69, 0x6C: 0x6D, 0x6E: 0x6F, 0x77: 0x78,
}  # fmt: skip
"""Response tags, for requests that cannot be decoded; Unbind and Abandon have none."""

EXTENDED: Final = extended.EXTENDED
START_TLS: Final = StartTls.oid

CONTROLS: Final = {oid: known.requests for oid, known in controls.TABLE.items()}
"""Controls by OID, with the requests they are appropriate for (RFC 4511 4.1.11)."""
