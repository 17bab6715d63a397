"""Operations on the directory as a whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import Field

from imsd import readdresser
from imsd.admin.operations import Json, operation
from imsd.directory import bulk, configuration, explaining, ldif, readdressing, searchrights
from imsd.directory.access import ANONYMOUS, viewer_of
from imsd.directory.bulk import Done, Pass, Wanted
from imsd.directory.people import container, name_of
from imsd.directory.tree import require
from imsd.errors import NoSuchEntry, UnwillingToPerform
from imsd.readdresser import NAME
from imsd.settings.directory import Ldap
from imsd.store import long_jobs
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction


@operation("directory.page")
async def page(core: Any, above: int = 0, after: int = 0, domain_names: bool = False) -> Json:
    """Some entries right below one, as LDIF without passwords; domain_names: under dc= instead of o=."""
    found = await ldif.page(core.directory, EntryId(above), EntryId(after), int(domain_names))
    return {"text": found.text.decode(), "count": found.count, "inner": found.inner, "last": found.last}


@operation("directory.import")
async def import_(
    core: Any,
    records: Annotated[list[str], Field(max_length=bulk.MOST)],
    step: Pass = Pass.ENTRIES,
    replace: bool = False,
    delete_mailboxes: bool = False,
    repeated: bool = False,
    rehearse: bool = False,
) -> Json:
    """Put in LDIF records, of content or of changes; what became of them, in numbers.

    records: each octet one character. later: numbers of those whose references are to be put in by
    the second step. refused: number, kind and reason.
    """
    wanted = Wanted(step, replace, delete_mailboxes, repeated, rehearse)
    outcomes = await bulk.apply(core.directory, [text.encode("latin-1") for text in records], wanted)
    counts = {done.value: 0 for done in Done}
    for outcome in outcomes:
        counts[outcome.done] += 1
    return {
        "counts": counts,
        "later": [number for number, one in enumerate(outcomes) if one.later],
        "refused": [
            [number, one.kind, one.text] for number, one in enumerate(outcomes) if one.done is Done.REFUSED
        ],
    }


@operation("directory.unresolved")
async def unresolved(core: Any, records: Annotated[list[str], Field(max_length=bulk.MOST)]) -> Json:
    """What content records refer to that is not here: number of the record, attribute, name."""
    found = await bulk.unresolved(core.directory, [text.encode("latin-1") for text in records])
    return [list(each) for each in found]


@operation("directory.explain")
async def explain(core: Any, who: str, entry: str, every: bool = False) -> Json:
    """Who may see and change what of an entry, and why. who: a login name, DN, or "" for a stranger."""
    directory = core.directory
    viewer, told = ANONYMOUS, "a stranger"
    if who:
        person = await directory.person_by_login(who)
        if person is None:
            raise NoSuchEntry(f"There is nobody called {who}")
        viewer, told = viewer_of(await directory.cache.entry(person.entry)), person.dn
        if person.disabled:
            raise UnwillingToPerform(f"{told} is disabled, cannot log in and sees nothing")
    if configuration.names(entry):
        node = directory.configuration.find(entry)
        return {"as": told, "dn": node.dn, **asdict(explaining.explain_settings(viewer, node, every))}
    name, _ = await directory.attributes(entry)
    target = await directory.cache.entry((await directory.cache.locate(name))[0])
    viewer = await directory.db.read(searchrights.holding, viewer)
    shut_by, above = "", target.parent
    while above in viewer.shut:
        shut_by = await directory.cache.dn(above)
        above = (await directory.cache.entry(above)).parent
    found = explaining.explain(
        viewer, target, directory.policy, core.settings[Ldap].anonymous, every, shut_by
    )
    return {"as": told, "dn": name, **asdict(found)}


@operation("directory.recipients")
async def recipients(core: Any) -> Json:
    """The name of the container that new recipients stand in."""
    return {"dn": await core.db.read(_recipients)}


def _recipients(tx: Transaction) -> str:
    here = require(tx)
    return name_of(tx, here, container(tx, here))


@operation("directory.readdress")
async def readdress(core: Any, after: int = 0, keep_old: bool = True, rehearse: bool = False) -> Json:
    """Make addresses anew by the site's formats, for some recipients behind an entry.

    last: where to go on, 0 at the end. changed: alias, primary address before and after, why not.
    """
    batch = await readdressing.readdress(core.directory, EntryId(after), keep_old, rehearse)
    return {
        "last": batch.last,
        "looked": batch.looked,
        "changed": [[one.alias, one.before, one.after, one.refusal] for one in batch.changed],
    }


@operation("address.regenerate")
async def regenerate(core: Any, keep_old: bool = True) -> Json:
    """Have the server make everybody's addresses anew, or go on doing so; null where no server runs.

    progress: see address.progress. last: what to ask that with.
    """
    work = core.server.readdresser if core.server is not None else None
    if work is None:
        return None
    last, _ = work.since(0)
    return {"progress": asdict(await work.begin(keep_old)), "last": last}


@operation("address.progress")
async def progress(core: Any, since: int = 0) -> Json:
    """How far the work is, null where there never was any, and what this server changed since a number."""
    found = await core.db.read(long_jobs.read, NAME)
    last, changed = (0, [])
    if core.server is not None and core.server.readdresser is not None:
        last, changed = core.server.readdresser.since(since)
    return {
        "progress": json.loads(found) if found else None,
        "last": last,
        "changed": [[one.alias, one.before, one.after, one.refusal] for one in changed],
    }


@operation("address.stop")
async def halt(core: Any) -> Json:
    """Have the work stop where it is; how far it came."""
    await core.db.write(readdresser.halt, core.directory.now())
    return (await progress(core))["progress"]
