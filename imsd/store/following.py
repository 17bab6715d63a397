"""What servers had claimed that are not there any more, of those that share a database (imsd.mail.following).

Who is there has the duty `presence` of its own. A duty that lapsed while its server was only slow does no
harm: what is claimed anew is not the old claim's any more, and whoever holds that stops before the final dot.
"""

from __future__ import annotations

from sqlalchemy import select

from imsd.store import claims
from imsd.store.duties import holders
from imsd.store.spool import ZERO, queue_recipient
from imsd.store.sql import sql
from imsd.store.transaction import Transaction, Unit

_r = queue_recipient.c
_NODES = sql(select(_r.node).distinct().where(_r.lease > ZERO))


def presence(node: int) -> str:
    """The duty of being there."""
    return f"server {node}"


def gone(tx: Transaction, now: int) -> list[int]:
    """The servers that have claimed something and are not there."""
    nodes = [node for (node,) in tx.all(_NODES)]
    present = holders(tx, now) if nodes else {}
    return [node for node in nodes if node and presence(node) not in present]


def free(unit: Unit, node: int, now: int) -> int:
    """Free what a server had claimed, unless it is there after all; how many recipients."""
    return 0 if presence(node) in holders(unit, now) else claims.release_leases(unit, node)
