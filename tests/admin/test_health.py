"""What `imsctl check` finds in settings alone."""

from __future__ import annotations

from pathlib import Path

from imsd.admin import health
from imsd.admin.health import idle_connectors
from imsd.config import Config, Server
from imsd.mail.names import Answer, Dns, LookupFailed
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


class Zone(Dns):
    """A name service that answers by a table."""

    def __init__(self, **exchangers: str) -> None:
        super().__init__()
        self.exchangers = exchangers

    def lookup(self, name: str, kind: str) -> Answer:
        if name == "mx.example.test":
            return Answer(((0, "192.0.2.1"),) if kind == "A" else ())
        label = name.partition(".")[0]
        if label == "broken":
            raise LookupFailed(f"{name} {kind}: SERVFAIL")
        if label not in self.exchangers:
            return Answer(missing=True)
        return Answer(tuple((10, each) for each in self.exchangers[label].split()))


def test_dns_is_asked_about_each_domain_of_ours() -> None:
    config = Config(home=Path("/nowhere"), server=Server(hostname="mx.example.test"))
    zone = Zone(fine="other.test. MX.example.test.", wrong="other.test", none="")
    domains = ["fine.test", "wrong.test", "none.test", "gone.test", "broken.test"]
    texts = [each["text"] for each in health._names(config, domains, zone)]
    starts = (
        "the MX of wrong.test is other.test, not",
        "none.test has no MX",
        "gone.test does not exist",
        "DNS cannot",
    )
    assert len(texts) == len(starts)
    assert all(text.startswith(start) for text, start in zip(texts, starts, strict=True)), texts
