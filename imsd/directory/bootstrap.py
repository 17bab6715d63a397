"""The entries of a new organisation."""

from __future__ import annotations

import json

from imsd.directory import adding, people, tree
from imsd.directory.access import SERVER
from imsd.directory.canonical import canonical_domain
from imsd.directory.entry import Entry
from imsd.directory.working import Rules
from imsd.errors import EntryExists
from imsd.store import entries, mailboxes, settings
from imsd.store.credentials import NewPassword
from imsd.store.ids import PUBLIC, EntryId
from imsd.store.transaction import Unit
from protocols.ldap.dn import AVA, RDN

ADMINISTRATOR = "administrator"


def create_organisation(
    unit: Unit, organization: str, site: str, domain: str, verifier: NewPassword | None, now: int
) -> EntryId:
    """Base entries, settings of addressing, the administrator, who is postmaster as well.

    Gives the administrator's entry. Raises EntryExists where there is an organisation.
    """
    domain = canonical_domain(domain)
    if tree.read(unit) is not None:
        raise EntryExists("There is an organisation already")
    rules = Rules(templates=(f"@{domain}",), domains=frozenset({domain}))

    def below(above: EntryId | None, attribute: str, value: str, *classes: str, **more: str) -> EntryId:
        parent = None if above is None else Entry(entries.load(unit, above))
        given = {"objectClass": classes, **{key: (text,) for key, text in more.items()}}
        return adding.add_below(
            unit,
            tree.read(unit),
            parent,
            RDN((AVA(attribute, value),)),
            [(key, [text.encode() for text in values]) for key, values in given.items()],
            rules,
            now,
            SERVER,
        )

    top = below(
        None,
        "o",
        organization,
        "organization",
        "dcObject",
        "domainRelatedObject",
        dc=domain.partition(".")[0],
        associatedDomain=domain,
    )
    place = below(top, "ou", site, "organizationalUnit")
    below(place, "cn", "Recipients", "container")
    below(place, "cn", "Configuration", "container")
    settings.change(unit, {"addressing.smtp": json.dumps([f"@{domain}"])})
    mailboxes.create_account_mailboxes(unit, PUBLIC, now)
    return people.add_user(
        unit,
        f"{ADMINISTRATOR}@{domain}",
        "Administrator",
        "",
        "Administrator",
        ADMINISTRATOR,
        True,
        verifier,
        (f"postmaster@{domain}",),
        rules,
        now,
    )
