"""routes.txt: what routes mail, as text, whenever that changes."""

from __future__ import annotations

import json

from imsd.mail.connectors import Connectors
from imsd.mail.routes_file import RoutesFile
from imsd.store.database import Database
from tests.directory.support import configure, open_directory
from tests.support.stores import run

CONNECTOR = {
    "name": "gate",
    "address_space": [{"type": "MS", "pattern": "NET/*", "cost": 5, "via": "gate.test", "scope": "site"}],
    "delivery": {"mode": "smarthost", "smart_hosts": ["gate.test:2525"]},
    "restrict": {"reject_from": ["bob@example.test"]},
    "connected_sites": [{"site": "Berlin", "address": "berlin.test"}],
}


def test_it_follows_the_settings_and_keeps_the_one_before(sqlite_database: Database) -> None:
    directory = open_directory(sqlite_database)
    settings = directory.settings
    file = RoutesFile(sqlite_database, settings, directory, Connectors(settings, directory))
    file.write()
    run(file.idle())
    path = sqlite_database.home / "routes.txt"
    first = path.read_text()
    assert "\n#example.test inbound (addressing)\n" in first
    assert "\n# Connector ims: both, dns\nSMTP:* cost 1, organization\n" in first
    table = [{"domain": "old.test", "action": "reroute:new.test", "override": True}]
    configure(
        directory,
        routing__table=json.dumps(table),
        routing__restrictions__deny='["192.0.2.0/24"]',
        ims__connectors=json.dumps([CONNECTOR]),
    )
    # Again, while it is being written.
    configure(directory, ims__domains='[{"domain": "far.test", "route": "host:[192.0.2.9]", "port": 26}]')
    assert not settings.rejected
    run(file.idle())
    second = path.read_text()
    assert (sqlite_database.home / "routes.old").exists()
    for line in (
        "old.test reroute:new.test, override",
        "deny 192.0.2.0/24",
        "# Connector gate: both, gate.test:2525",
        "MS:NET/* cost 5, site, via gate.test",
        "site Berlin cost 1, berlin.test",
        "reject_from bob@example.test",
        "far.test host:[192.0.2.9], port 26",
    ):
        assert f"\n{line}\n" in second
    before = (sqlite_database.home / "routes.old").read_text()
    file.write()
    run(file.idle())
    assert (sqlite_database.home / "routes.old").read_text() == before, "nothing has changed"
