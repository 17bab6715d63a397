"""How a connection must be protected, and whom we are on it: the Security page applied to a route.

1. The row of `ims.security` for the recipient's domain decides, the most specific one.
2. Mail that is handed to a host (a smart host, `host:` of a domain) logs in as the row of that host
   says; TLS is the stricter of both rows. What DNS names gets no login of its own: DNS is not trusted.
3. Without a row it is `ims.tls.level`, for the hosts of connected sites `ims.tls.connected_sites`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from imsd.mail.routing import Route
from imsd.settings.connectors import Ims, host_and_port
from imsd.settings.domains import EVERY
from imsd.settings.security import LEVELS, Level, Login, SecurityRow, Tls


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a connection needs. why: who says so. names: for `verify`, () for the host's own.

    Files and the password are as the settings have them. asks: what the sender asks for
    (imsd.mail.requiring).
    """

    level: Level = "may"
    why: str = "ims.tls.level"
    names: tuple[str, ...] = ()
    ca_file: str = ""
    certificate: str = ""
    key: str = ""
    auth: Login = ""
    user: str = ""
    password: str = ""
    allow_cleartext: bool = False
    asks: str = ""

    def __str__(self) -> str:
        login = f", log in by {self.auth} as {self.user or 'our certificate'}" if self.auth else ""
        names = f" {', '.join(self.names)}" if self.level == "verify" and self.names else ""
        return f"{self.level}{names}{login} ({self.why})"

    @property
    def required(self) -> bool:
        """No message without TLS."""
        return self.level not in ("none", "may")


def wanted(route: Route, ims: Ims, page: Tls) -> Wanted:
    """What the settings want of connections of a route."""
    table = ims.secured
    domain = _row(table.match(route.domain) if route.domain else None, table.patterns)
    host = next(filter(None, (_row(table.match(name), table.patterns) for name in host_names(route))), None)
    if host is not None and (domain is None or host.domain != EVERY):
        login, rows = host, [row for row in (host, domain) if row is not None and row.domain != EVERY]
        rows = rows or [host]
    elif domain is not None:
        login, rows = domain, [domain]
    else:
        if route.domain in ims.site_hosts:
            return Wanted(page.connected_sites, "ims.tls.connected_sites", ca_file=page.ca_file)
        return Wanted(page.level, ca_file=page.ca_file)
    strictest = max(rows, key=lambda row: LEVELS.index(row.tls))
    return Wanted(
        strictest.tls,
        "ims.security " + ", ".join(dict.fromkeys(row.domain for row in (strictest, login))),
        strictest.names,
        strictest.ca_file or page.ca_file,
        login.certificate,
        login.key,
        login.auth,
        login.user,
        login.password,
        login.allow_cleartext,
    )


def _row(pattern: str | None, rows: dict[str, SecurityRow]) -> SecurityRow | None:
    return None if pattern is None else rows[pattern]


def host_names(route: Route) -> Iterable[str]:
    """The names of the hosts that mail is handed to, addresses in brackets."""
    for text in route.hosts:
        host, _ = host_and_port(text)
        try:
            ip_address(host)
        except ValueError:
            yield host.strip("[]")
        else:
            yield f"[{host}]"
