"""Object classes: the standard ones, and those of the Internet Mail Service's directory.

What this directory calls a mailbox is an inetOrgPerson with the auxiliary classes
Mail-Recipient and Mailbox, so that today's clients find it and the names of ims_spec
12.2 still search it.
"""

from __future__ import annotations

from typing import Final

from imsd.directory.attributes import ARC, OURS
from protocols.ldap.schema import Kind, ObjectClass

CLASSES: Final = ARC + ".2"


def _class(
    oid: str, names: str, sup: str, must: str = "", may: str = "", kind: Kind = Kind.STRUCTURAL
) -> ObjectClass:
    return ObjectClass(
        oid=oid,
        names=tuple(names.split()),
        sup=tuple(sup.split()),
        kind=kind,
        must=tuple(must.split()),
        may=tuple(may.split()),
    )


_ADDRESS: Final = (
    "street postalAddress postalCode postOfficeBox physicalDeliveryOfficeName st l registeredAddress "
    "destinationIndicator preferredDeliveryMethod telexNumber teletexTerminalIdentifier telephoneNumber "
    "internationalISDNNumber facsimileTelephoneNumber x121Address"
)
_FOLDER_ONLY: Final = {"Folder-Pathname"}
_CONTAINER_ONLY: Final = {"imsSearchableBy", "imsSearchers"}
_MAILBOX_ONLY: Final = {
    "Home-MDB", "Home-MTA", "Assoc-Account", "AutoReply", "AutoReply-Message", "AutoReply-Subject",
    "imsAdministrator", "imsAccountDisabled", "imsMailboxFate",
    "imsSendMessagesPerHour", "imsSendMessagesPerDay", "imsSendRecipientsPerHour", "imsSendRecipientsPerDay",
}  # fmt: skip
_RECIPIENT: Final = " ".join(
    definition.type.name
    for definition in OURS
    if not definition.type.operational
    and definition.type.name not in _FOLDER_ONLY | _CONTAINER_ONLY | _MAILBOX_ONLY
)

STANDARD: Final = (
    # RFC 4512 2.4, 2.6, 4.2
    _class("2.5.6.0", "top", "", "objectClass", kind=Kind.ABSTRACT),
    _class("2.5.6.1", "alias", "top", "aliasedObjectName", "cn"),
    _class("2.5.20.1", "subschema", "top", "",
           "objectClasses attributeTypes matchingRules matchingRuleUse dITContentRules ldapSyntaxes",
           Kind.AUXILIARY),
    # RFC 4519 3
    _class("2.5.6.4", "organization", "top", "o",
           f"userPassword seeAlso businessCategory {_ADDRESS} description"),
    _class("2.5.6.5", "organizationalUnit", "top", "ou",
           f"userPassword seeAlso businessCategory {_ADDRESS} description"),
    _class("2.5.6.6", "person", "top", "sn cn", "userPassword telephoneNumber seeAlso description"),
    _class("2.5.6.7", "organizationalPerson", "person", "", f"title {_ADDRESS} ou"),
    _class("2.5.6.8", "organizationalRole", "top", "cn", f"{_ADDRESS} seeAlso roleOccupant ou description"),
    # RFC 4519 3.5, relaxed: a list may be empty, so member is optional.
    _class("2.5.6.9", "groupOfNames Distribution-List", "top", "cn",
           "member businessCategory seeAlso owner ou o description"),
    _class("1.3.6.1.4.1.1466.344", "dcObject", "top", "dc", "", Kind.AUXILIARY),
    # RFC 4524 3
    _class("0.9.2342.19200300.100.4.13", "domain", "top", "dc",
           f"userPassword seeAlso businessCategory {_ADDRESS} description o associatedDomain"),
    _class("0.9.2342.19200300.100.4.17", "domainRelatedObject", "top", "associatedDomain", "",
           Kind.AUXILIARY),
    # RFC 2798 2, RFC 2079 3
    _class("2.16.840.1.113730.3.2.2", "inetOrgPerson", "organizationalPerson", "",
           "businessCategory carLicense departmentNumber displayName employeeNumber employeeType givenName "
           "homePhone homePostalAddress initials jpegPhoto labeledURI mail manager mobile o pager "
           "preferredLanguage roomNumber secretary uid userCertificate userPKCS12 userSMIMECertificate "
           "x500UniqueIdentifier"),
    # RFC 3296 2.1, RFC 4512 4.3
    _class("2.16.840.1.113730.3.2.6", "referral", "top", "ref", ""),
    _class("1.3.6.1.4.1.1466.101.120.111", "extensibleObject", "top", "", "", Kind.AUXILIARY),
    _class("1.3.6.1.4.1.250.3.15", "labeledURIObject", "top", "", "labeledURI", Kind.AUXILIARY),
)  # fmt: skip

OURS_CLASSES: Final = (
    _class(f"{CLASSES}.1", "container", "top", "cn", "description"),
    _class(f"{CLASSES}.2", "Mail-Recipient mailRecipient", "top", "cn",
           f"{_RECIPIENT} name uid mail textEncodedORAddress otherMailbox info displayName description "
           "userCertificate userSMIMECertificate c co personalTitle generationQualifier houseIdentifier "
           "homePhone mobile pager givenName sn initials owner manager mailPreferenceOption labeledURI "
           f"dnQualifier uniqueIdentifier {_ADDRESS}", Kind.AUXILIARY),
    _class(f"{CLASSES}.3", "Mailbox imsMailbox", "Mail-Recipient", "",
           " ".join(sorted(_MAILBOX_ONLY)), Kind.AUXILIARY),
    _class(f"{CLASSES}.4", "remote-address custom-recipient", "Mail-Recipient",
           "Target-Address", "", Kind.AUXILIARY),
    _class(f"{CLASSES}.5", "public-folder", "top", "cn", "Folder-Pathname"),
    _class(f"{CLASSES}.6", "mail-gateway", "top", "cn", "description"),
    _class(f"{CLASSES}.7", "imsSearchRight", "top", "", " ".join(sorted(_CONTAINER_ONLY)), Kind.AUXILIARY),
)  # fmt: skip

ALL: Final = (*STANDARD, *OURS_CLASSES)
