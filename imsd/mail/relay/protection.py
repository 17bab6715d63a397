"""What a connection to one target must have: what the settings want, and what the other domain asks for.

1. `none` and `verify` are an administrator's word, and nothing is added. For `may` and `encrypt` the
   other domain may ask for more: by TLSA records (RFC 7672), else by its MTA-STS policy (RFC 8461 2: a
   policy never makes good what DANE finds wrong). `dane` is never without TLSA records.
2. TLSA records are looked up only where DNSSEC vouches for the exchangers and their addresses, and a
   look-up that fails then counts against the host: who suppresses it gains nothing (RFC 7672 2.1.2).
3. Records of which none is usable still mean TLS, whoever is there (RFC 7672 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imsd.mail.names import LookupFailed, Names
from imsd.mail.relay.outcomes import Insecure
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted, host_names
from imsd.settings.security import Level, Tls
from imsd.trust.policies import Policies
from imsd.trust.sts import Policy
from imsd.trust.tlsa import Tlsa, usable
from protocols.message.domains import to_ascii

if TYPE_CHECKING:
    from imsd.settings import LiveSettings


@dataclass(frozen=True, slots=True)
class Protection:
    """level: as in the settings; `dane` with records in tlsa. names: that the certificate may be for.

    by: who asks for it, "" for the settings alone. testing: what is wrong is told and no more.
    """

    level: Level
    names: tuple[str, ...]
    ca_file: str = "-"
    server_name: str = ""
    tlsa: tuple[Tlsa, ...] = ()
    by: str = ""
    testing: bool = False

    @property
    def required(self) -> bool:
        return self.level not in ("none", "may") and not self.testing

    @property
    def verified(self) -> str:
        """What a certificate that is right is called."""
        return f"verified by {self.by}" if self.by else "verified"


def _names(target: Target, route: Route) -> tuple[str, ...]:
    """Whom a certificate may be for. Mail that is handed to a host is for that one and those below it: an
    exchanger that DNS names in its place counts only where DNSSEC vouches for it, or whoever answers for
    the name server would have our password."""
    named = [each for host in host_names(route) for each in (host, f".{host}")]
    if not named or target.secure:
        named.append(target.host)
    return tuple(each for each in dict.fromkeys(named) if not each.startswith(".["))


class Protections:
    """Finds out. policies: None without MTA-STS."""

    def __init__(self, settings: LiveSettings, names: Names, policies: Policies | None) -> None:
        self._settings = settings
        self._names = names
        self._policies = policies

    async def policy(self, route: Route, wants: Wanted) -> Policy | None:
        """The MTA-STS policy for mail to a domain by DNS."""
        if self._policies is None or route.hosts or wants.level not in ("may", "encrypt"):
            return None
        if not route.domain or route.domain.startswith("["):
            return None
        name = to_ascii(route.domain.encode("utf-8"))
        return await self._policies.of(name.decode("ascii").rstrip(".").lower()) if name else None

    async def of(self, target: Target, route: Route, wants: Wanted, policy: Policy | None) -> Protection:
        """Raises Insecure: the target must not get mail."""
        names = wants.names or _names(target, route)
        if wants.level in ("none", "verify"):
            ca_file = wants.ca_file if wants.level == "verify" else "-"
            return Protection(wants.level, names, ca_file, target.host)
        if self._settings[Tls].dane:
            found = await self._dane(target, route)
            if found is not None:
                return found
        if wants.level == "dane":
            raise Insecure("4.7.5", "tlsa-invalid", "DNSSEC names no certificate for the host")
        if policy is not None:
            return self._sts(target, policy)
        return Protection(wants.level, names, "-", target.host)

    def _sts(self, target: Target, policy: Policy) -> Protection:
        testing = policy.mode == "testing"
        by = "MTA-STS in testing" if testing else "MTA-STS"
        if not policy.allows(target.host) and not testing:
            text = f"{target.host} is no exchanger by the domain's MTA-STS policy"
            raise Insecure("4.7.5", "validation-failure", text)
        names = (target.host,) if policy.allows(target.host) else ("not-in-the-policy.invalid",)
        ca_file = self._settings[Tls].ca_file
        return Protection("verify", names, ca_file, target.host, by=by, testing=testing)

    async def _dane(self, target: Target, route: Route) -> Protection | None:
        if not target.secure:
            return None
        for base in dict.fromkeys((target.canonical or target.host, target.host)):
            try:
                answer = await self._names.tlsa(f"_{target.port}._tcp.{base}")
            except LookupFailed as error:
                raise Insecure("4.7.5", "dnssec-invalid", f"TLSA look-up failed: {error}") from error
            if not answer.secure or not answer.tlsa:
                continue
            records = usable(answer.tlsa)
            domain = (to_ascii(route.domain.encode("utf-8")) or b"").decode("ascii")
            names = tuple(dict.fromkeys(filter(None, (base, target.host, domain))))
            if not records:
                return Protection("encrypt", names, "-", base, by="DANE without usable records")
            return Protection("dane", names, "-", base, records, by="DANE")
        return None
