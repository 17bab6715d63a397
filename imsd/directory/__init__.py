"""The directory: who and what mail can be addressed to, and who may see and change it.

values      Person, the kinds of Recipient, identities and rights classes
canonical   the one form of an address (NFC, casefolded local part, A-label domain)
attributes  our attribute types and object classes, their OIDs, visibility and writers
tree        organisation, site, containers; both suffixes; names of entries
entry       one entry in memory; the attribute views (cn, mail, otherMailbox, ...)
addressing  proxy addresses: generation, uniqueness, primary and secondary
cache       entries and lookups in the process, fed by the change feed
directory   Directory, the facade that everything else holds
recipients  address to recipient, expansion of lists
access      who sees and writes what; an entry as one identity sees it
search      the planner over the index rows and the evaluation in slices
update      add, modify, delete, rename; validated after all changes
people      users, lists, contacts and public folders for imsctl and the console
ldif        import and export
bootstrap   the entries of a new organisation

A request passes `sessions.ldap` (or SMTP, POP3, IMAP through `resolve` and
`person_by_login`), then `Directory`, whose answers come from the cache; what is not
there is read by the plain functions of `imsd.store.entries`. Changes are units of those
functions; the feed drops what they touched from the cache before the write is answered.
"""

from imsd.directory.values import (
    Contact,
    DistributionList,
    Expansion,
    Local,
    Person,
    PublicFolder,
    Recipient,
)

__all__ = [
    "Contact",
    "DistributionList",
    "Expansion",
    "Local",
    "Person",
    "PublicFolder",
    "Recipient",
]
