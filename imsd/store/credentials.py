"""What proves a person's identity: one password verifier and any number of app passwords.

Beside the password stands what its policy needs (`imsd.auth.policy`): former verifiers, whether it must
be changed, when grace logins were used, and when, in a row, a wrong one was given.

A verifier is text that says how it was made (`imsd.auth.passwords`); nothing here looks
inside. The generation of a person grows with every change that must end his sessions: a new
password, an app password taken back, everything forgotten. A verifier that only changed its
form (`reform`) leaves it alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from secrets import token_hex

from sqlalchemy import Column, Table, bindparam, case, delete, or_, select, update

from imsd.errors import ConstraintViolation, LimitReached, NoSuchEntry
from imsd.store.changes import DIRECTORY, EntriesChanged
from imsd.store.ids import EntryId
from imsd.store.sql import insert, sql
from imsd.store.tables import Number, Small, String, metadata, now, store
from imsd.store.transaction import Transaction, Unit

MOST_APP_PASSWORDS = 50
"""Of one person."""

PENDING = "?"
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
    Column("former", String, nullable=False, server_default=""),
    Column("must_change", Number, nullable=False, server_default="0"),
    Column("grace", Number, nullable=False, server_default="0"),
    Column("failures", Number, nullable=False, server_default="0"),
    Column("failed", Number, nullable=False, server_default="0"),
    # A sealed secret, behind "?" until a first code was right; the step of the last code; hashes.
    Column("totp", String, nullable=False, server_default=""),
    Column("recovery", String, nullable=False, server_default=""),
    Column("totp_step", Number, nullable=False, server_default="0"),
    # Microseconds, each behind a space.
    Column("failure_times", String, nullable=False, server_default=""),
    Column("grace_times", String, nullable=False, server_default=""),
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
class NewPassword:
    """A password to be set. verifier: empty to take it away. keep: former verifiers to keep, the one that
    it replaces included. must_change: nothing else is done until the person has set another."""

    verifier: str
    keep: int = 0
    must_change: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """All of one person.

    password: the verifier, empty when there is none. changed: when it was set. former: verifiers, the
    latest first. grace: logins with it since it expired. failures, failed: wrong ones in a row, and when
    the last was given; failure_times, grace_times: when each was. Times: microseconds since the epoch. totp:
    the sealed secret of a second factor, "" for none; pending: one that waits for its first code. recovery:
    hashes of codes for emergencies.
    """

    generation: int = 0
    password: str = ""
    apps: tuple[AppPassword, ...] = ()
    changed: int = 0
    former: tuple[str, ...] = ()
    must_change: bool = False
    grace: int = 0
    failures: int = 0
    failed: int = 0
    totp: str = ""
    pending: str = ""
    recovery: tuple[str, ...] = ()
    failure_times: tuple[int, ...] = ()
    grace_times: tuple[int, ...] = ()


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
        credential.c.former,
        credential.c.must_change,
        credential.c.grace,
        credential.c.failures,
        credential.c.failed,
        credential.c.totp,
        credential.c.recovery,
        credential.c.failure_times,
        credential.c.grace_times,
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
_SETTING = _INSERT.values(former=bindparam("former"), must_change=bindparam("must_change"))
_SET = sql(
    _SETTING.on_conflict_do_update(
        index_elements=["entry", "slot"],
        set_={
            "verifier": _SETTING.excluded.verifier,
            "created": _SETTING.excluded.created,
            "former": _SETTING.excluded.former,
            "must_change": _SETTING.excluded.must_change,
            "grace": 0,
            "failures": 0,
            "failed": 0,
            "failure_times": "",
            "grace_times": "",
            "generation": credential.c.generation + 1,
        },
    )
)
_OLD = credential.c.failed < bindparam("since")
_FAIL = sql(
    update(credential)
    .where(_OF_ENTRY, credential.c.slot == _PASSWORD, or_(credential.c.failures < bindparam("most"), _OLD))
    .values(
        failures=case((_OLD, 1), else_=credential.c.failures + 1),
        failed=bindparam("when"),
        failure_times=case(
            (_OLD, bindparam("stamp", type_=String)),
            else_=credential.c.failure_times + bindparam("stamp", type_=String),
        ),
    )
)
_SUCCEED = sql(
    update(credential)
    .where(_OF_ENTRY, credential.c.slot == _PASSWORD)
    .values(failures=0, failed=0, failure_times="")
)
_REQUIRE = sql(
    update(credential)
    .where(_OF_ENTRY, credential.c.slot == _PASSWORD, credential.c.verifier != "")
    .values(must_change=bindparam("must_change"))
)
_GRACE = sql(
    update(credential)
    .where(_OF_ENTRY, credential.c.slot == _PASSWORD, credential.c.grace < bindparam("most"))
    .values(
        grace=credential.c.grace + 1,
        grace_times=credential.c.grace_times + bindparam("stamp", type_=String),
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

_TOTP = _INSERT.values(totp=bindparam("totp"))
_SET_TOTP = sql(
    _TOTP.on_conflict_do_update(index_elements=["entry", "slot"], set_={"totp": _TOTP.excluded.totp})
)
_SET_RECOVERY = sql(
    update(credential).where(_OF_ENTRY, credential.c.slot == _PASSWORD).values(recovery=bindparam("codes"))
)
_STEP = sql(
    update(credential)
    .where(_OF_ENTRY, credential.c.slot == _PASSWORD, credential.c.totp_step < bindparam("step"))
    .values(totp_step=bindparam("step"))
)

_KEY_NAME = "auth.key"
_READ_KEY = sql(select(store.c.value).where(store.c.name == _KEY_NAME))
_MAKE_KEY = sql(
    insert(store)
    .values(name=_KEY_NAME, value=bindparam("key"))
    .on_conflict_do_nothing(index_elements=["name"])
)


def read(tx: Transaction, entry: EntryId) -> Credentials:
    """Everything that proves this person's identity; empty for one who has nothing."""
    held, apps = Credentials(), []
    for row in tx.all(_READ, entry_id=entry):
        slot, verifier, label, created, number, protocols, networks, expires, used, *more = row
        if slot == _PASSWORD:
            former, must_change, grace, failures, when, totp, recovery, wrong, late = more
            kept = tuple(former.split("\n")) if former else ()
            held = Credentials(
                number, verifier, (), created, kept, bool(must_change), grace, failures, when,
                "" if totp.startswith(PENDING) else totp,
                totp[1:] if totp.startswith(PENDING) else "",
                tuple(recovery.split()),
                tuple(map(int, wrong.split())),
                tuple(map(int, late.split())),
            )  # fmt: skip
        else:
            scope = tuple(protocols.split()), tuple(networks.split())
            apps.append(AppPassword(slot, verifier, label, created, *scope, expires, used))
    return replace(held, apps=tuple(apps))


def generation(tx: Transaction, entry: EntryId) -> int:
    """The generation alone; 0 where nothing was ever set."""
    return tx.value(_GENERATION, entry_id=entry) or 0


def set_password(unit: Unit, entry: EntryId, new: NewPassword | str) -> None:
    """Replace the password (a verifier alone: with no policy); the person's sessions end.

    What was held against the old one is forgotten: failures, grace logins.
    """
    if isinstance(new, str):
        new = NewPassword(new)
    held = read(unit, entry)
    former = ((held.password,) if held.password else ()) + held.former
    unit.run(
        _SET,
        entry_id=entry,
        at=_PASSWORD,
        verifier=new.verifier,
        label="",
        created=now(),
        generation=1,
        former="\n".join(former[: new.keep]),
        must_change=int(new.must_change and bool(new.verifier)),
    )
    _publish(unit, entry)


def failed(unit: Unit, entry: EntryId, when: int, since: int, most: int) -> bool:
    """Count a wrong password; was it the one too many? One in a row from the first after `since`.

    most: failures that lock the account; once it is locked, none is counted.
    """
    if not unit.run(_FAIL, entry_id=entry, when=when, stamp=f" {when}", since=since, most=most):
        return False
    locked = read(unit, entry).failures >= most
    if locked:
        _publish(unit, entry)  # logins that are remembered are no more
    return locked


def unlock(unit: Unit, entry: EntryId) -> None:
    """Forget wrong passwords."""
    unit.run(_SUCCEED, entry_id=entry)


def require_change(unit: Unit, entry: EntryId, wanted: bool) -> None:
    """Have the person set another password before anything else, or not. Raises ConstraintViolation."""
    if not unit.run(_REQUIRE, entry_id=entry, must_change=int(wanted)):
        raise ConstraintViolation("There is no password that could be changed")
    _publish(unit, entry)  # logins that are remembered are no more


def grace_used(unit: Unit, entry: EntryId, most: int, when: int) -> bool:
    """Use up one login with an expired password; False where none is left."""
    return unit.run(_GRACE, entry_id=entry, most=most, stamp=f" {when}") == 1


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


def set_totp(
    unit: Unit, entry: EntryId, sealed: str, recovery: tuple[str, ...] = (), pending: bool = False
) -> None:
    """Have a second factor, or wait for its first code (pending), or have none (""). recovery: hashes.

    Sessions end, but for a factor that waits.
    """
    text = f"{PENDING}{sealed}" if pending else sealed
    if pending and read(unit, entry).totp:
        raise ConstraintViolation("There is a second factor already: disable it first")
    unit.run(
        _SET_TOTP, entry_id=entry, at=_PASSWORD, verifier="", label="", created=now(), generation=1, totp=text
    )
    if not pending:
        unit.run(_SET_RECOVERY, entry_id=entry, codes=" ".join(recovery))
        unit.run(_ADVANCE, entry_id=entry, at=_PASSWORD, verifier="", label="", created=now(), generation=1)
        _publish(unit, entry)


def set_recovery(unit: Unit, entry: EntryId, recovery: tuple[str, ...]) -> None:
    """Other codes for emergencies in place of those that are left."""
    unit.run(_SET_RECOVERY, entry_id=entry, codes=" ".join(recovery))


def totp_used(unit: Unit, entry: EntryId, step: int) -> bool:
    """Use a step up; False where it, or a later one, was used."""
    return unit.run(_STEP, entry_id=entry, step=step) == 1


def recovery_used(unit: Unit, entry: EntryId, code: str) -> bool:
    """Use up a code for emergencies (its hash); False where it is gone."""
    left = read(unit, entry).recovery
    if code not in left:
        return False
    set_recovery(unit, entry, tuple(each for each in left if each != code))
    return True


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
