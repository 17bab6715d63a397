"""Addresses made anew by the site's formats, for everybody (ims_spec 4.1, "update all").

A recipient is a unit, by ascending entry id; whoever asks goes on behind the last. Run
again it changes nothing that is right already, so a run that was stopped is simply repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from imsd.directory import adding, proxies, tree, update
from imsd.directory.access import SERVER
from imsd.directory.addressing import Proxy
from imsd.directory.entry import Entry, Kind
from imsd.directory.update import Change, Modification
from imsd.directory.working import Rules, Working
from imsd.errors import Refusal
from imsd.store import entries
from imsd.store.ids import EntryId
from imsd.store.transaction import Transaction, Unit

if TYPE_CHECKING:
    from imsd.directory.directory import Directory

_log = Logger()

MOST: Final = 100
"""Entries that are looked at in one batch."""
_ADDRESSED: Final = (Kind.MAILBOX, Kind.LIST, Kind.CONTACT, Kind.FOLDER)


@dataclass(frozen=True, slots=True)
class Readdressed:
    """What became of one recipient: its primary address before and after, or why not."""

    alias: str
    before: str
    after: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """last: go on behind it; 0 when there are no more. looked: recipients."""

    last: EntryId
    looked: int
    changed: tuple[Readdressed, ...]


async def readdress(
    directory: Directory, after: EntryId = entries.ROOT, keep_old: bool = True, rehearse: bool = False
) -> Batch:
    """The next recipients behind an entry. rehearse: nothing is kept."""
    ids, last = await directory.db.read(_next, after)
    changed: list[Readdressed] = []
    for each in ids:
        try:
            changed.extend(
                await directory.db.write(_one, each, directory.rules, directory.now(), keep_old, rehearse)
            )
        except _Rehearsal as rehearsal:
            changed.append(rehearsal.made)
        except Refusal as refusal:
            if refusal.temporary:
                raise
            changed.append(await _kept(directory, each, refusal.text))
        except CancelledError:
            raise
        except Exception:
            # Nobody waits for one of whom we did not think.
            _log.failure("the addresses of entry {entry} could not be made", entry=each)
            changed.append(await _kept(directory, each, "Internal error"))
    return Batch(last, len(ids), tuple(changed))


async def _kept(directory: Directory, entry: EntryId, why: str) -> Readdressed:
    return Readdressed((await directory.cache.entry(entry)).text("uid"), "", "", why)


def count(tx: Transaction) -> int:
    """Recipients that have addresses."""
    return sum(entries.count_of(tx, kind) for kind in _ADDRESSED)


class _Rehearsal(Exception):
    """Undoes a unit that was a rehearsal."""

    def __init__(self, made: Readdressed) -> None:
        super().__init__()
        self.made = made


def _next(tx: Transaction, after: EntryId) -> tuple[list[EntryId], EntryId]:
    ids = entries.page(tx, after, MOST)
    found = [row.id for row in entries.load_many(tx, ids) if row.kind in _ADDRESSED]
    return found, ids[-1] if ids else EntryId(0)


def _one(
    unit: Unit, entry_id: EntryId, rules: Rules, now: int, keep_old: bool, rehearse: bool
) -> list[Readdressed]:
    entry = Entry(entries.load(unit, entry_id))
    taken = adding.taken_by_others(unit, entry_id)
    made = proxies.regenerated(Working.of(entry.row), rules, taken, keep_old)
    if set(made) == set(entry.proxies):
        return []
    values = tuple(str(proxy).encode() for proxy in made)
    change = Modification(Change.REPLACE, "proxyAddresses", values)
    update.modify_entry(unit, tree.require(unit), entry, [change], rules, now, SERVER)
    done = Readdressed(entry.text("uid"), _primary(entry.proxies), _primary(made))
    if rehearse:
        raise _Rehearsal(done)
    return [done]


def _primary(listed: tuple[Proxy, ...]) -> str:
    return next((proxy.value for proxy in listed if proxy.type == "SMTP" and proxy.primary), "")
