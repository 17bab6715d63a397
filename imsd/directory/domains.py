"""What the settings say about addresses, ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass

from imsd.directory.attributes import Visible
from imsd.directory.canonical import canonical_domain
from imsd.directory.limits import site_bounds
from imsd.directory.schema import definition
from imsd.directory.working import Rules
from imsd.errors import InvalidSyntax
from imsd.settings.directory import Addressing, Ldap
from imsd.settings.quotas import Quotas


@dataclass(frozen=True, slots=True)
class Domains:
    """served: the domains whose mail is ours, the primary one first."""

    served: tuple[str, ...]
    separator: str
    list_limit: int

    def __contains__(self, domain: object) -> bool:
        return domain in self.served

    @classmethod
    def of(cls, page: Addressing) -> Domains:
        """A domain that is none is left out; the page's own check is a person's to read."""
        served: dict[str, None] = {}
        for text in (*(template.rpartition("@")[2] for template in page.smtp), *page.domains):
            try:
                served[canonical_domain(text)] = None
            except InvalidSyntax:
                continue
        return cls(tuple(served), page.separator, page.list_limit)


def rules_of(addressing: Addressing, ldap: Ldap, quotas: Quotas, domains: Domains) -> Rules:
    return Rules(
        templates=addressing.smtp,
        x400=addressing.x400,
        domains=frozenset(domains.served),
        delete_mailboxes=ldap.delete_mailboxes,
        bounds=site_bounds(quotas),
    )


def visibility_of(ldap: Ldap) -> dict[str, Visible]:
    """The changed least classes by key; names that are no attribute are left out."""
    changed = {}
    for name, least in ldap.attributes.items():
        found = definition(name)
        if found is not None:
            changed[found.key] = Visible[least.upper()]
    return changed
