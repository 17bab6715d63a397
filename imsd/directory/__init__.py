"""The directory: who and what mail can be addressed to, and who may see and change it.

values      Person, the kinds of Recipient, identities and rights classes
canonical   the one form of an address (NFC, casefolded local part, A-label domain)
attributes  attribute types, their OIDs, visibility and writers; classes: object classes
schema      what descriptions name and values must look like; subschema: how clients are told
certificates  values that are certificates
tree        organisation, site, containers; both suffixes; names of entries
entry       one entry in memory; the attribute views (cn, mail, otherMailbox, ...)
imcea       addresses of other types inside Internet addresses
addressing  proxy addresses: form and generation; domains: what the settings say of them
cache       entries and lookups in the process, fed by the change feed; kept: what it is made of
directory   Directory, the facade that everything else holds
recipients  address to recipient, expansion of lists
access      who sees and writes what; searchrights: in which containers he finds anything; explaining: why
view        an entry as one rights class sees it, read by filters and encoded
referring   parts of the tree that other servers hold (RFC 3296); elsewhere: and what the settings say
preparing   from a filter to what is tested; narrowing: before it is planned; matched: which values are shown
sorting     sorted answers and windows of them
synchronizing  copies that clients keep (RFC 4533)
sight       what exists for one viewer, by its names; asserted: what filters say of entries
scopes      entries that may match, over what planner finds in the index; search: searches in slices
pools       parts of values, looked for in memory; pieces: how they are found there
changes     changes as they are asked for; conditions: what they depend on; stamping: relaxed rules
update      add, modify, rename; deleting; adding: one entry, or many; asking: who asks, and for what
draft       a changed entry becomes valid; amending: changes that nothing else follows from
bulk        many LDIF records at once
people      users, lists, contacts and public folders for imsctl and the console
configuration  the settings as entries; settingtypes: as attributes; settingchanges: changed;
            settingcopies: copied
ldif        import and export
schemafile  our types and classes as a file
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
