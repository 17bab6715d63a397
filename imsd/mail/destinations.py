"""Where a queued recipient is bound for, in the one column of its row.

destination = [ connector ">" ] ( domain / "=" host )

What was handed to a connector stays with it (ims_spec 3.2); without a name the connector is chosen
at every try. `=host[:port]` is a host to give the message to, whatever the address's domain.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Destination:
    """domain: to route by, or host: to give to. connector: "" for one that is yet to be chosen."""

    domain: str = ""
    host: str = ""
    connector: str = ""

    def __str__(self) -> str:
        name = f"{self.connector}>" if self.connector else ""
        return name + (f"={self.host}" if self.host else self.domain)

    @classmethod
    def parse(cls, text: str) -> Destination:
        connector, _, rest = text.rpartition(">")
        if rest.startswith("="):
            return cls(host=rest[1:], connector=connector)
        return cls(domain=rest, connector=connector)
