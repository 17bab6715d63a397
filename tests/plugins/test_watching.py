"""Changes of the directory and events of the log, as plug-ins hear of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import Logger

from imsd.plugins.values import Changed, Logged
from imsd.plugins.watching import Watcher
from imsd.store.database import Database
from tests.sessions.test_smtp import Site
from tests.support.plugged import Made
from tests.support.stores import run

log = Logger()


@pytest.fixture
def site(sqlite_database: Database) -> Iterator[Site]:
    made = Site(sqlite_database)
    yield made
    made.stop()


def test_changes_and_events_are_told(site: Site) -> None:
    made = Made()
    reactor = site.db.reactor
    plugins = made.plugins(site.settings, reactor, directory_changed=None, logged=None)
    watcher = Watcher(plugins, site.db, site.directory.cache, reactor)
    watcher.start()
    try:
        run(site.directory.change(site.alice.dn, {"telephoneNumber": ["7"]}))
        run(site.directory.delete(site.bob.dn))
        log.error("{what} went wrong", what="it", event_id=3018)
        log.error("of a plug-in", event_id=20_024)
        log.error("no event")
        for _ in range(5):
            reactor.advance(0)
            reactor.settle()
            run(site.db.read(lambda tx: None))
    finally:
        watcher.stop()
    log.error("later", event_id=3018)
    reactor.settle()
    assert made.told["logged"] == [Logged(3018, "it went wrong")]
    changed, deleted = made.told["directory_changed"][0], made.told["directory_changed"][-1]
    assert changed == Changed((site.alice.dn,))
    assert deleted.gone == 1 or deleted.everything
