"""Operations on second factors: a code of an authenticator program behind the password (RFC 6238)."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import Json, operation
from imsd.auth import totp
from imsd.directory.values import Person
from imsd.errors import ConstraintViolation, NoSuchEntry
from imsd.store import credentials
from imsd.store.credentials import Credentials


async def _held(core: Any, who: str) -> tuple[Person, Credentials]:
    person: Person | None = await core.directory.person_by_login(who)
    if person is None:
        raise NoSuchEntry(f"There is nobody called {who}")
    return person, await core.db.read(credentials.read, person.entry)


@operation("totp.enroll")
async def enroll(core: Any, who: str) -> Json:
    """A secret for an authenticator program; it counts once a first code was right."""
    person, _ = await _held(core, who)
    secret = totp.new_secret()
    sealed = core.keyring.seal(secret)
    await core.db.write(credentials.set_totp, person.entry, f"sealed:{sealed}", (), True)
    organization, _ = await core.directory.place()
    return {"secret": secret, "uri": totp.uri(secret, person.address or person.uid, organization)}


@operation("totp.confirm")
async def confirm(core: Any, who: str, code: str) -> Json:
    """Have the second factor that was enrolled, by its first code; codes for emergencies, shown once."""
    person, held = await _held(core, who)
    if not held.pending:
        raise ConstraintViolation("Nothing waits for a code: enroll first")
    secret = core.keyring.open(held.pending)
    return {"recovery": list(await core.authenticator.new_factor(person.entry, held.pending, secret, code))}


@operation("totp.show")
async def show(core: Any, who: str) -> Json:
    """Whether somebody has a second factor, and how many codes for emergencies are left."""
    _, held = await _held(core, who)
    state = "on" if held.totp else "waits for its first code" if held.pending else "off"
    return {"state": state, "recovery": len(held.recovery)}


@operation("totp.recovery")
async def recovery(core: Any, who: str) -> Json:
    """Other codes for emergencies in place of those that are left."""
    person, held = await _held(core, who)
    if not held.totp:
        raise ConstraintViolation("There is no second factor")
    return {"recovery": list(await core.authenticator.new_recovery(person.entry))}


@operation("totp.disable")
async def disable(core: Any, who: str) -> Json:
    """Have the password alone again."""
    person, _ = await _held(core, who)
    await core.db.write(credentials.set_totp, person.entry, "")
    return {}
