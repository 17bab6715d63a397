"""What the settings say about addresses, ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from imsd.directory.attributes import Visible
from imsd.directory.canonical import canonical_domain
from imsd.directory.limits import site_bounds
from imsd.directory.schema import definition
from imsd.directory.working import Rules
from imsd.errors import InvalidSyntax
from imsd.settings import LiveSettings
from imsd.settings.connectors import Ims
from imsd.settings.deletion import Deletion
from imsd.settings.directory import Addressing, Ldap
from imsd.settings.domains import DomainTable
from imsd.settings.folders import Folders
from imsd.settings.passwords import PasswordPolicy
from imsd.settings.quotas import Quotas
from imsd.settings.routing import Rerouting, TableRow

KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Domains:
    """Which domains are inbound, and what becomes of addresses there that are nobody's.

    served: the domains of addresses, the primary one first; inbound without a row of the routing
    table, each alone, without what is below it. A row of the table goes before them.
    """

    served: tuple[str, ...]
    separator: str
    list_limit: int
    table: DomainTable[TableRow] = field(default_factory=lambda: DomainTable(()))
    catch_all: DomainTable[str] = field(default_factory=lambda: DomainTable(()))
    shared: DomainTable[str] = field(default_factory=lambda: DomainTable(()))
    admin_mailbox: str = ""
    _decided: dict[str, bool] = field(default_factory=dict)

    def __contains__(self, domain: object) -> bool:
        """Is this domain, in canonical form, inbound?"""
        if not self.table:
            return domain in self.served
        name = str(domain)
        known = self._decided.get(name)
        if known is None:
            row = self.row(name)
            known = name in self.served if row is None else row.inbound
            if len(self._decided) >= KEPT:
                self._decided.clear()
            self._decided[name] = known
        return known

    def row(self, domain: str) -> TableRow | None:
        """The row of the routing table that decides about a domain (ims_spec 3.11.2).

        None: there is none, or a served domain, which stands for `#domain`, is more specific.
        """
        pattern = self.table.match(domain)
        if pattern is None or (pattern != f"#{domain}" and pattern != domain and domain in self.served):
            return None
        return self.table.patterns[pattern]

    @classmethod
    def of(cls, page: Addressing, rerouting: Rerouting, ims: Ims) -> Domains:
        """A domain that is none is left out; the page's own check is a person's to read."""
        served: dict[str, None] = {}
        for text in (*(template.rpartition("@")[2] for template in page.smtp), *page.domains):
            try:
                served[canonical_domain(text)] = None
            except InvalidSyntax:
                continue
        return cls(
            tuple(served),
            page.separator,
            page.list_limit,
            rerouting.rows,
            DomainTable(rerouting.catch_all.items()),
            DomainTable(page.share_domain_with.items()),
            ims.admin_mailbox,
        )


def rules_of(settings: LiveSettings, domains: Domains) -> Rules:
    addressing, ldap, folders = settings[Addressing], settings[Ldap], settings[Folders]
    return Rules(
        templates=addressing.smtp,
        x400=addressing.x400,
        ms=addressing.ms,
        ccmail=addressing.ccmail,
        domains=frozenset(domains.served),
        delete_mailboxes=ldap.delete_mailboxes,
        keep_days=settings[Deletion].keep_days,
        bounds=site_bounds(settings[Quotas]),
        furniture=folders.furniture,
        passwords=settings[PasswordPolicy],
    )


def visibility_of(ldap: Ldap) -> dict[str, Visible]:
    """The changed least classes by key; names that are no attribute are left out."""
    changed = {}
    for name, least in ldap.attributes.items():
        found = definition(name)
        if found is not None:
            changed[found.key] = Visible[least.upper()]
    return changed
