"""What `imsctl check` finds in settings alone."""

from __future__ import annotations

from imsd.admin.health import idle_connectors
from imsd.settings.connectors import AddressSpace, ConnectedSite, Connector


def test_a_connector_that_carries_nothing_is_told() -> None:
    space, site = AddressSpace(), ConnectedSite(site="Paris", address="paris.test")
    connectors = (
        Connector(name="idle"),
        Connector(name="one", address_space=(space,)),
        Connector(name="two", connected_sites=(site,)),
    )
    (text,) = idle_connectors(connectors)
    assert text.startswith("connector idle has neither ")
