"""What proves a person's identity: one password verifier and any number of app passwords.

A verifier is text that says how it was made (`imsd.auth.passwords`); nothing here looks
inside. The generation of a person grows with every change that must end his sessions: a new
password, an app password taken back, everything forgotten. A verifier that only changed its
form (`reform`) leaves it alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex

from sqlalchemy import Column, Table, bindparam, delete, select, update

from imsd.errors import LimitReached, NoSuchEntry
from imsd.store.changes import DIRECTORY, EntriesChanged
from imsd.store.ids import EntryId
from imsd.store.sql import insert, sql
from imsd.store.tables import Number, Small, String, metadata, now, store
from imsd.store.transaction import Transaction, Unit

MOST_APP_PASSWORDS = 50
"""Of one person."""

_PASSWORD = 0  # the slot of the password; app passwords have the slots from 1

credential = Table(
    "credential",
    metadata,
    Column("entry", Number, primary_key=True, autoincrement=False),
    Column("slot", Small, primary_key=True, autoincrement=False),
    Column("verifier", String, nullable=False),
    Column("label", String, nullable=False),
    Column("created", Number, nullable=False),
    Column("generation", Number, nullable=False),
    Column("protocols", String, nullable=False, server_default=""),
    Column("networks", String, nullable=False, server_default=""),
    Column("expires", Number, nullable=False, server_default="0"),
    Column("used", Number, nullable=False, server_default="0"),
    sqlite_with_rowid=False,
)
"""The row of slot 0 is kept once it exists: it carries the generation; its verifier may be empty."""


@dataclass(frozen=True, slots=True)
class AppPassword:
    """slot: its number. verifier: keyed hash. created, expires, used: microseconds since the epoch.

    protocols, networks: what it is for and where from; empty: any. expires, used: 0 for never; used: to the
    hour.
    """

    slot: int
    verifier: str
    label: str
    created: int
    protocols: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    expires: int = 0
    used: int = 0


@dataclass(frozen=True, slots=True)
class Credentials:
    """All of one person. password: the verifier, empty when there is none."""

    generation: int = 0
    password: str = ""
    apps: tuple[AppPassword, ...] = ()


_OF_ENTRY = credential.c.entry == bindparam("entry_id")
_AT_SLOT = credential.c.slot == bindparam("at")

_READ = sql(
    select(
        credential.c.slot,
        credential.c.verifier,
        credential.c.label,
        credential.c.created,
        credential.c.generation,
        credential.c.protocols,
        credential.c.networks,
        credential.c.expires,
        credential.c.used,
    )
    .where(_OF_ENTRY)
    .order_by(credential.c.slot)
)
_GENERATION = sql(select(credential.c.generation).where(_OF_ENTRY, credential.c.slot == _PASSWORD))
_INSERT = insert(credential).values(
    entry=bindparam("entry_id"),
    slot=bindparam("at"),
    verifier=bindparam("verifier"),
    label=bindparam("label"),
    created=bindparam("created"),
    generation=bindparam("generation"),
)
_ADD = sql(
    _INSERT.values(
        protocols=bindparam("protocols"), networks=bindparam("networks"), expires=bindparam("expires")
    )
)
_USE = sql(update(credential).where(_OF_ENTRY, _AT_SLOT).values(used=bindparam("when")))
_SET = sql(
    _INSERT.on_conflict_do_update(
        index_elements=["entry", "slot"],
        set_={
            "verifier": _INSERT.excluded.verifier,
            "created": _INSERT.excluded.created,
            "generation": credential.c.generation + 1,
        },
    )
)
_ADVANCE = sql(
    _INSERT.on_conflict_do_update(
        index_elements=["entry", "slot"], set_={"generation": credential.c.generation + 1}
    )
)
_REFORM = sql(
    update(credential)
    .where(_OF_ENTRY, credential.c.slot == _PASSWORD, credential.c.verifier == bindparam("old"))
    .values(verifier=bindparam("new"))
)
_REMOVE = sql(delete(credential).where(_OF_ENTRY, _AT_SLOT))
_FORGET = sql(delete(credential).where(_OF_ENTRY))

_KEY_NAME = "auth.key"
_READ_KEY = sql(select(store.c.value).where(store.c.name == _KEY_NAME))
_MAKE_KEY = sql(
    insert(store)
    .values(name=_KEY_NAME, value=bindparam("key"))
    .on_conflict_do_nothing(index_elements=["name"])
)


def read(tx: Transaction, entry: EntryId) -> Credentials:
    """Everything that proves this person's identity; empty for one who has nothing."""
    generation, password, apps = 0, "", []
    for slot, verifier, label, created, number, protocols, networks, *times in tx.all(_READ, entry_id=entry):
        if slot == _PASSWORD:
            generation, password = number, verifier
        else:
            scope = tuple(protocols.split()), tuple(networks.split())
            apps.append(AppPassword(slot, verifier, label, created, *scope, *times))
    return Credentials(generation, password, tuple(apps))


def generation(tx: Transaction, entry: EntryId) -> int:
    """The generation alone; 0 where nothing was ever set."""
    return tx.value(_GENERATION, entry_id=entry) or 0


def set_password(unit: Unit, entry: EntryId, verifier: str) -> None:
    """Replace the password (empty: take it away); the person's sessions end."""
    unit.run(_SET, entry_id=entry, at=_PASSWORD, verifier=verifier, label="", created=now(), generation=1)
    _publish(unit, entry)


def reform(unit: Unit, entry: EntryId, old: str, new: str) -> bool:
    """Store the same password in another form, if it is still the same; sessions go on."""
    return unit.run(_REFORM, entry_id=entry, old=old, new=new) == 1


def add_app_password(
    unit: Unit,
    entry: EntryId,
    verifier: str,
    label: str,
    protocols: tuple[str, ...] = (),
    networks: tuple[str, ...] = (),
    expires: int = 0,
) -> int:
    """Store one more app password; its slot. Raises LimitReached."""
    taken = {row[0] for row in unit.all(_READ, entry_id=entry)}
    if len(taken - {_PASSWORD}) >= MOST_APP_PASSWORDS:
        raise LimitReached("Too many app passwords")
    slot = max(taken | {_PASSWORD}) + 1
    unit.run(
        _ADD,
        entry_id=entry,
        at=slot,
        verifier=verifier,
        label=label,
        created=now(),
        generation=0,
        protocols=" ".join(protocols),
        networks=" ".join(networks),
        expires=expires,
    )
    _publish(unit, entry)
    return slot


def app_password_used(unit: Unit, entry: EntryId, slot: int, when: int) -> None:
    """Note when an app password was used; nobody's session minds."""
    unit.run(_USE, entry_id=entry, at=slot, when=when)


def remove_app_password(unit: Unit, entry: EntryId, slot: int) -> None:
    """Take one back; the person's sessions end. Raises NoSuchEntry."""
    if slot == _PASSWORD or not unit.run(_REMOVE, entry_id=entry, at=slot):
        raise NoSuchEntry("No such app password")
    unit.run(_ADVANCE, entry_id=entry, at=_PASSWORD, verifier="", label="", created=now(), generation=1)
    _publish(unit, entry)


def forget(unit: Unit, entry: EntryId) -> None:
    """Remove everything, with the person's entry; publishing that is the entry's business."""
    unit.run(_FORGET, entry_id=entry)


def server_key(unit: Unit) -> bytes:
    """The organisation's secret for fake salts and app passwords, made at first use."""
    unit.run(_MAKE_KEY, key=token_hex(32))
    return bytes.fromhex(unit.value(_READ_KEY))


def _publish(unit: Unit, entry: EntryId) -> None:
    previous, following = unit.advance(DIRECTORY)
    unit.changed(EntriesChanged(DIRECTORY, previous, following, (entry,)))
