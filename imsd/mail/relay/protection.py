"""What a connection to one target must have: what the settings want, and what the other domain asks for.

1. `none` and `verify` are an administrator's word, and nothing is added. For `may` and `encrypt` the
   other domain may ask for more: by TLSA records (RFC 7672), else by its MTA-STS policy (RFC 8461 2: a
   policy never makes good what DANE finds wrong). `dane` is never without TLSA records.
2. TLSA records are looked up only where DNSSEC vouches for the exchangers and their addresses, and a
   look-up that fails then counts against the host: who suppresses it gains nothing (RFC 7672 2.1.2).
3. Records of which none is usable still mean TLS, whoever is there (RFC 7672 2.1).
4. A message that requires TLS goes only to who is verified, by DANE or by an authority, and whose name
   somebody vouches for: DNSSEC, an MTA-STS policy (in testing, too), or the settings, which name the host
   or what stands in its certificate (RFC 8689 4.2.1). One that says `TLS-Required: No` goes whatever the
   other domain asks for: what is wrong is told and no more (4.2.2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imsd.mail.names import LookupFailed, Names
from imsd.mail.relay.outcomes import Insecure
from imsd.mail.requiring import OPTIONAL, REPORT, REQUIRED
from imsd.mail.routing import Route, Target
from imsd.mail.security import Wanted, host_names
from imsd.settings.security import Level, Tls
from imsd.trust.policies import Policies, Unavailable
from imsd.trust.sts import Policy
from imsd.trust.tlsa import Tlsa, usable
from protocols.message.domains import to_ascii

if TYPE_CHECKING:
    from imsd.settings import LiveSettings


@dataclass(frozen=True, slots=True)
class Protection:
    """level: as in the settings; `dane` with records in tlsa. names: that the certificate may be for.

    by: who asks for it, "" for the settings alone. testing: what is wrong is told and no more.
    published: the TLSA records of the host, usable or not.
    """

    level: Level
    names: tuple[str, ...]
    ca_file: str = "-"
    server_name: str = ""
    tlsa: tuple[Tlsa, ...] = ()
    by: str = ""
    testing: bool = False
    published: tuple[Tlsa, ...] = ()

    @property
    def required(self) -> bool:
        return self.level not in ("none", "may") and not self.testing

    @property
    def verified(self) -> str:
        """What a certificate that is right is called."""
        return f"verified by {self.by}" if self.by else "verified"

    @property
    def vouching(self) -> str:
        """Who vouches for a certificate that is right: dane, sts, pkix."""
        return "dane" if self.level == "dane" else "sts" if self.by.startswith("MTA-STS") else "pkix"

    def wanted(self, wants: Wanted) -> str:
        """Who asks for what, as it is tracked (imsd.mail.relay.reached)."""
        if wants.asks == REQUIRED:
            return "requiretls"
        if wants.asks:
            return wants.level
        if self.published:
            return "dane"
        if self.by.startswith("MTA-STS"):
            return "sts-testing" if self.testing else "sts"
        return self.level


def _names(target: Target, route: Route) -> tuple[str, ...]:
    """Whom a certificate may be for. Mail that is handed to a host is for that one and those below it: an
    exchanger that DNS names in its place counts only where DNSSEC vouches for it, or whoever answers for
    the name server would have our password."""
    named = [each for host in host_names(route) for each in (host, f".{host}")]
    if not named or target.secure:
        named.append(target.host)
    return tuple(each for each in dict.fromkeys(named) if not each.startswith(".["))


def policy_domain(route: Route) -> str:
    """The domain as policies know it, in ASCII; "" for none."""
    if not route.domain or route.domain.startswith("["):
        return ""
    name = to_ascii(route.domain.encode("utf-8"))
    return name.decode("ascii").rstrip(".").lower() if name else ""


class Protections:
    """Finds out. policies: None without MTA-STS."""

    def __init__(self, settings: LiveSettings, names: Names, policies: Policies | None) -> None:
        self._settings = settings
        self._names = names
        self._policies = policies

    async def policy(self, route: Route, wants: Wanted) -> Policy | None:
        """The MTA-STS policy for mail to a domain by DNS."""
        if self._policies is None or route.hosts:
            return None
        if wants.level not in ("may", "encrypt") and wants.asks != REQUIRED:
            return None
        name = policy_domain(route)
        return await self._policies.of(name) if name else None

    def fault(self, route: Route) -> Unavailable | None:
        """Why the MTA-STS policy that a domain publishes cannot be had; None: there is none, or it can."""
        name = "" if self._policies is None or route.hosts else policy_domain(route)
        return self._policies.fault(name) if name and self._policies is not None else None

    async def of(self, target: Target, route: Route, wants: Wanted, policy: Policy | None) -> Protection:
        """Raises Insecure: the target must not get mail."""
        if wants.asks == REQUIRED:
            return await self._required(target, route, wants, policy)
        if wants.asks in (OPTIONAL, REPORT) and wants.level in ("may", "encrypt"):
            return await self._relaxed(target, route, wants, policy)
        return await self._asked(target, route, wants, policy)

    async def _asked(self, target: Target, route: Route, wants: Wanted, policy: Policy | None) -> Protection:
        names = wants.names or _names(target, route)
        if wants.level in ("none", "verify"):
            ca_file = wants.ca_file if wants.level == "verify" else "-"
            return Protection(wants.level, names, ca_file, target.host)
        if self._settings[Tls].dane:
            found = await self._dane(target, route)
            if found is not None:
                return found
        if wants.level == "dane":
            raise Insecure("4.7.5", "dane-required", "DNSSEC names no certificate for the host")
        if policy is not None:
            return self._sts(target, policy)
        return Protection(wants.level, names, "-", target.host)

    async def _relaxed(
        self, target: Target, route: Route, wants: Wanted, policy: Policy | None
    ) -> Protection:
        """What the other domain asks for is tried, and nothing depends on it."""
        plain = Protection(wants.level, wants.names or _names(target, route), "-", target.host)
        if wants.level != "may":
            return plain
        try:
            found = await self._asked(target, route, wants, policy)
        except Insecure:
            return plain
        return replace(found, testing=True) if found.by else found

    async def _required(
        self, target: Target, route: Route, wants: Wanted, policy: Policy | None
    ) -> Protection:
        if wants.level == "none":
            raise Insecure("5.7.10", "", f"the message requires TLS, and {wants.why} allows none")
        if self._settings[Tls].dane or wants.level == "dane":
            found = await self._dane(target, route)
            if found is not None and found.tlsa:
                return found
        if wants.level == "dane":
            raise Insecure("5.7.10", "dane-required", "DNSSEC names no certificate for the host")
        if policy is not None and not policy.allows(target.host):
            text = f"{target.host} is no exchanger by the domain's MTA-STS policy"
            raise Insecure("5.7.10", "validation-failure", text)
        if policy is not None:
            return Protection("verify", (target.host,), wants.ca_file, target.host, by="MTA-STS")
        if wants.names or route.hosts or target.secure or target.host in (route.domain, policy_domain(route)):
            names = wants.names or _names(target, route)
            return Protection("verify", names, wants.ca_file, target.host, by="REQUIRETLS")
        text = f"neither DNSSEC nor MTA-STS vouches for {target.host} as an exchanger of {route.domain}"
        raise Insecure("5.7.10", "", text)

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
                insecure = Insecure("4.7.5", "dnssec-invalid", f"TLSA look-up failed: {error}")
                insecure.base = base
                raise insecure from error
            if not answer.secure or not answer.tlsa:
                continue
            records = usable(answer.tlsa)
            names = tuple(dict.fromkeys(filter(None, (base, target.host, policy_domain(route)))))
            if not records:
                by = "DANE without usable records"
                return Protection("encrypt", names, "-", base, by=by, published=answer.tlsa)
            return Protection("dane", names, "-", base, records, by="DANE", published=answer.tlsa)
        return None
