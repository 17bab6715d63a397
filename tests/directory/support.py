"""A directory with an organisation, for tests."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from imsd.directory import bulk
from imsd.directory.access import SERVER, Viewer, viewer_of
from imsd.directory.directory import Directory
from imsd.directory.search import Search
from imsd.errors import PasswordUsedBefore
from imsd.settings import PAGES, LiveSettings
from imsd.store import settings as rows
from imsd.store.database import Database
from protocols.ldap import client, ldif, responses
from protocols.ldap.filters import Filter, parse
from protocols.ldap.messages import Deref, Scope, SearchRequest, SearchResultEntry
from protocols.ldap.session import singly
from tests.support.stores import run


class PlainPasswords:
    """Makes verifiers that show what they were made of."""

    async def make(self, password: str, former: Sequence[str] = (), known: Sequence[str] = ()) -> str:
        made = f"plain:{password}"
        if made in former:
            raise PasswordUsedBefore
        return made


def open_directory(database: Database) -> Directory:
    """An organisation "Example" with the domain example.test and its administrator."""
    settings = LiveSettings(PAGES)
    directory = Directory(database, settings, database.reactor, PlainPasswords())
    run(directory.start())
    run(directory.bootstrap("Example", "Main", "example.test", "secret"))
    return directory


def configure(directory: Directory, **values: str) -> None:
    """Set settings: addressing__domains='["b.test"]'."""
    put = {key.replace("__", "."): value for key, value in values.items()}
    run(directory.db.write(rows.change, put))
    directory.settings.replace(run(directory.db.read(rows.values)))


def viewer(directory: Directory, who: str) -> Viewer:
    """The viewer that a person is."""
    person = run(directory.person_by_login(who))
    assert person is not None, who
    return viewer_of(run(directory.cache.entry(person.entry)))


def found(
    directory: Directory,
    text: str | Filter,
    *attributes: str,
    asking: Viewer = SERVER,
    base: str = "o=Example",
    scope: Scope = Scope.SUBTREE,
    deref: Deref = Deref.NEVER,
    planned: bool = True,
    substring: str = "all",
    types_only: bool = False,
) -> dict[str, dict[str, list[str]]]:
    """The entries a search gives, by DN. planned: False walks the scope instead."""
    search = Search(directory.db, directory.cache, directory.policy, asking)
    search.substring = substring
    item = parse(text) if isinstance(text, str) else text
    if not planned:
        directory.cache.derived.clear()
        search.prepare = without_plan(search.prepare)  # type: ignore[method-assign]
    request = SearchRequest(base, scope, deref, 0, 0, types_only, item, attributes)

    async def gather() -> dict[str, dict[str, list[str]]]:
        entries = {}
        async for answer in singly(search.run(request)):
            if answer:
                entry = client.read(responses.message(1, answer)).operation
                assert isinstance(entry, SearchResultEntry)
                assert entry.dn not in entries, "an entry is given once"
                entries[entry.dn] = {
                    each.name: [value.decode("utf-8", "backslashreplace") for value in each.values]
                    for each in entry.attributes
                }
        return entries

    return run(gather())


def without_plan(prepare: Callable[..., Any]) -> Callable[..., Any]:
    async def prepared(item: Filter) -> Any:
        return replace(await prepare(item), plan=None)

    return prepared


def as_elsewhere(directory: Directory, name: str, attribute: str, value: bytes) -> None:
    """Read in a value that nobody could give the entry here."""
    line = f"dn: {name}\n{attribute}:: {b64encode(value).decode()}\n".encode()
    done, refused = put_in(directory, line, replace=True)
    assert not refused and done[bulk.Done.CHANGED] == 1, (done, refused)


def put_in(
    directory: Directory, text: bytes, **wanted: bool
) -> tuple[dict[bulk.Done, int], dict[int, bulk.Outcome]]:
    """Both passes, as imsctl makes them; what became of the records, and those refused."""
    texts = [chunk.text for chunk in ldif.chunks(text.splitlines(keepends=True))]
    first = run(bulk.apply(directory, texts, bulk.Wanted(**wanted)))
    later = [texts[number] for number, one in enumerate(first) if one.later]
    second = run(bulk.apply(directory, later, bulk.Wanted(bulk.Pass.REFERENCES, **wanted)))
    assert all(one.done is bulk.Done.CHANGED for one in second), second
    counts = Counter(one.done for one in first)
    return counts, {number: one for number, one in enumerate(first) if one.done is bulk.Done.REFUSED}
