"""Attribute types: the standard ones, and those of the Internet Mail Service's directory.

Each stands in one table with what a schema description cannot say: who sees it, who writes
it, whether it is indexed, and how it is kept (a value, a reference to an entry, or a view that
`entry` computes). Names and defaults are those of the directory that ims_spec 12.3
describes; where a standard names the same thing, it is the standard's type.

Heuristics bits 1 and 2 of that directory are EVERYONE and AUTHENTICATED here. Bit 3
("operational", not shown unless asked for by name) is not followed for user attributes: `*`
asks for all of them (RFC 4511 4.5.1.8).

ARC is our private arc: 2.25 and a UUID, which needs no registration (ITU-T X.667).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from protocols.ldap.schema import AttributeType, Usage

ARC: Final = "2.25.138592333518402008670400618459309967027"
ATTRIBUTES: Final = ARC + ".1"

_SYNTAX: Final = "1.3.6.1.4.1.1466.115.121.1."


class Visible(IntEnum):
    """The least rights class that reads an attribute; also the rights classes themselves."""

    EVERYONE = 0
    AUTHENTICATED = 1
    OWNER = 2
    ADMINISTRATOR = 3
    NOBODY = 4


class Writer(IntEnum):
    """Who may change an attribute (the ACL column of ims_spec 12.3)."""

    USER = 0
    """The person the entry is of, and administrators."""
    OWNER = 1
    """Whoever the entry's `owner` names, and administrators (a list's members)."""
    ADMINISTRATOR = 2
    SYSTEM = 3


class Kept(IntEnum):
    """How values are kept."""

    VALUE = 0
    REFERENCE = 1
    """Names of entries, by id (rule 14)."""
    VIEW = 2
    """Computed from other attributes, and written through to them (`entry`)."""
    BACKLINK = 3
    """The entries that refer to this one."""
    COMPUTED = 4
    """Computed, never written."""
    CREDENTIAL = 5
    """Written to the credentials, never read."""
    STATE = 6
    """What is known of a password: read and changed with the credentials."""


COMPUTED: Final = (Kept.COMPUTED, Kept.BACKLINK, Kept.STATE)
"""What is no part of an entry that is added or changed."""


@dataclass(frozen=True, slots=True)
class Definition:
    """An attribute type with our knowledge of it.

    key: the name under which values are stored, lower case. backlink_of: the reference that a
    backlink is the other end of.
    """

    type: AttributeType
    visible: Visible
    writer: Writer
    kept: Kept = Kept.VALUE
    indexed: bool = False
    backlink_of: str = ""
    key: str = field(init=False)
    wire: bytes = field(init=False)
    """Its description in answers: certificates are always named as octets (RFC 4523 2.1, RFC 2798 2.8)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.type.name.lower())
        binary = self.type.syntax in (_SYNTAX + "8", _SYNTAX + "5")
        object.__setattr__(self, "wire", self.type.name.encode() + b";binary" * binary)

    @property
    def base(self) -> str:
        """The key without options."""
        return self.key.partition(";")[0]

    @property
    def options(self) -> tuple[str, ...]:
        """Language tags, or ranges of them, in lower case (RFC 3866)."""
        return tuple(self.key.split(";")[1:])


# Syntax, equality, ordering, substrings by a short name.
_SYNTAXES: Final = {
    "text": ("15", "caseIgnoreMatch", "caseIgnoreOrderingMatch", "caseIgnoreSubstringsMatch"),
    "exact": ("15", "caseExactMatch", "caseExactOrderingMatch", "caseExactSubstringsMatch"),
    "printable": ("44", "caseIgnoreMatch", "caseIgnoreOrderingMatch", "caseIgnoreSubstringsMatch"),
    "ia5": ("26", "caseIgnoreIA5Match", "", "caseIgnoreIA5SubstringsMatch"),
    "phone": ("50", "telephoneNumberMatch", "", "telephoneNumberSubstringsMatch"),
    "lines": ("41", "caseIgnoreListMatch", "", "caseIgnoreListSubstringsMatch"),
    "numeric": ("36", "numericStringMatch", "numericStringOrderingMatch", "numericStringSubstringsMatch"),
    "integer": ("27", "integerMatch", "integerOrderingMatch", ""),
    "boolean": ("7", "booleanMatch", "", ""),
    "time": ("24", "generalizedTimeMatch", "generalizedTimeOrderingMatch", ""),
    "octets": ("40", "octetStringMatch", "octetStringOrderingMatch", ""),
    "name": ("12", "distinguishedNameMatch", "", ""),
    "oid": ("38", "objectIdentifierMatch", "", ""),
    "fax": ("22", "", "", ""),
    "telex": ("52", "", "", ""),
    "teletex": ("51", "", "", ""),
    "jpeg": ("28", "", "", ""),
    "delivery": ("14", "", "", ""),
    "bits": ("6", "bitStringMatch", "", ""),
    "certificate": ("8", "certificateExactMatch", "", ""),
    "binary": ("5", "octetStringMatch", "", ""),
    "uuid": ("1.3.6.1.1.16.1", "UUIDMatch", "UUIDOrderingMatch", ""),
    "described": ("", "objectIdentifierFirstComponentMatch", "", ""),
}

_E, _A, _O, _M, _N = Visible
_USER, _OWNER, _ADMIN, _SYSTEM = Writer


def _define(
    names: str,
    syntax: str = "text",
    *,
    oid: str = "",
    number: int = 0,
    sup: str = "",
    single: bool = False,
    most: int = 0,
    visible: Visible = _E,
    writer: Writer = _ADMIN,
    kept: Kept = Kept.VALUE,
    indexed: bool = False,
    backlink_of: str = "",
    usage: Usage = Usage.USER,
    exact_syntax: str = "",
) -> Definition:
    short, equality, ordering, substrings = _SYNTAXES[syntax]
    inherits = bool(sup)
    return Definition(
        AttributeType(
            oid=oid or f"{ATTRIBUTES}.{number}",
            names=tuple(names.split()),
            sup=sup,
            equality="" if inherits else equality,
            ordering="" if inherits else ordering,
            substrings="" if inherits else substrings,
            syntax=exact_syntax or ("" if inherits else short if short.count(".") else _SYNTAX + short),
            length=most,
            single=single,
            no_user_modification=writer is _SYSTEM,
            usage=usage,
        ),
        visible,
        writer,
        kept,
        indexed,
        backlink_of,
    )


def _x520(number: int, names: str, syntax: str = "text", **more: object) -> Definition:
    return _define(names, syntax, oid=f"2.5.4.{number}", **more)  # type: ignore[arg-type]


def _cosine(number: int, names: str, syntax: str = "text", **more: object) -> Definition:
    return _define(names, syntax, oid=f"0.9.2342.19200300.100.1.{number}", **more)  # type: ignore[arg-type]


def _inet(number: int, names: str, syntax: str = "text", **more: object) -> Definition:
    oid = f"2.16.840.1.113730.3.1.{number}"
    return _define(names, syntax, oid=oid, **more)  # type: ignore[arg-type]


STANDARD: Final = (
    # RFC 4512 2.4, 2.6, 4.2
    _define("objectClass", "oid", oid="2.5.4.0", indexed=True),
    _define("aliasedObjectName aliasedEntryName", "name", oid="2.5.4.1", single=True, kept=Kept.REFERENCE),
    # RFC 4519 2
    _x520(41, "name displayNamePrintable Display-Name-Printable"),
    _x520(3, "cn commonName", sup="name", most=256, indexed=True),
    _x520(4, "sn surname", sup="name", most=64, indexed=True),
    _x520(42, "givenName gn", sup="name", most=64, indexed=True),
    _x520(43, "initials", sup="name", most=64),
    _x520(44, "generationQualifier Generation-Qualifier", sup="name", visible=_A),
    _x520(12, "title", sup="name", most=64, indexed=True),
    _x520(10, "o organizationName", sup="name", indexed=True),
    _x520(11, "ou organizationalUnitName", sup="name", indexed=True),
    _x520(7, "l localityName Locality-Name", sup="name", most=128, indexed=True),
    _x520(8, "st stateOrProvinceName", sup="name", most=128),
    _x520(6, "c countryName", "printable", exact_syntax=_SYNTAX + "11", single=True),
    _x520(13, "description", most=1024),
    _x520(9, "street streetAddress", most=1024, visible=_A),
    _x520(15, "businessCategory", most=128),
    _x520(16, "postalAddress", "lines", most=1024, writer=_USER),
    _x520(17, "postalCode", most=40),
    _x520(18, "postOfficeBox", most=40),
    _x520(19, "physicalDeliveryOfficeName Office", most=128, indexed=True),
    _x520(20, "telephoneNumber", "phone", most=64, writer=_USER, indexed=True),
    _x520(21, "telexNumber", "telex", writer=_USER),
    _x520(22, "teletexTerminalIdentifier", "teletex"),
    _x520(23, "facsimileTelephoneNumber fax", "phone", most=64, writer=_USER),
    _x520(24, "x121Address", "numeric", most=15),
    _x520(25, "internationalISDNNumber", "numeric", most=16),
    _x520(26, "registeredAddress", "lines", sup=""),
    _x520(27, "destinationIndicator", "printable", most=128),
    _x520(28, "preferredDeliveryMethod", "delivery", single=True),
    _x520(31, "member", "name", kept=Kept.REFERENCE, writer=_OWNER),
    _x520(32, "owner", "name", kept=Kept.REFERENCE),
    _x520(34, "seeAlso", "name", kept=Kept.REFERENCE),
    _x520(33, "roleOccupant", "name", kept=Kept.REFERENCE),
    _x520(35, "userPassword", "octets", most=1024, visible=_N, writer=_USER, kept=Kept.CREDENTIAL),
    _x520(36, "userCertificate", "certificate", writer=_USER),
    _x520(45, "x500UniqueIdentifier", "bits"),
    _x520(51, "houseIdentifier", most=1024, visible=_A),
    _x520(46, "dnQualifier", "printable"),
    # RFC 4524, RFC 1274, RFC 2079
    _cosine(1, "uid userid Mail-nickname", most=256, indexed=True),
    _cosine(2, "textEncodedORAddress", single=True, kept=Kept.VIEW, indexed=True),
    # Unicode, not IA5 as in RFC 4524 2.16: local parts may be (RFC 6531).
    _cosine(3, "mail rfc822Mailbox", "text", single=True, most=256, kept=Kept.VIEW, indexed=True),
    _cosine(4, "info", most=2048, writer=_USER),
    _cosine(6, "roomNumber", most=256, writer=_USER),
    _cosine(10, "manager", "name", kept=Kept.REFERENCE),
    _cosine(20, "homePhone homeTelephoneNumber", "phone", most=64, writer=_USER),
    _cosine(22, "otherMailbox", kept=Kept.VIEW, indexed=True),
    _cosine(25, "dc domainComponent", "ia5", single=True),
    _cosine(37, "associatedDomain", "ia5"),
    _cosine(39, "homePostalAddress", "lines", visible=_O, writer=_USER),
    _cosine(40, "personalTitle", most=256, writer=_USER),
    _cosine(41, "mobile mobileTelephoneNumber", "phone", most=64, writer=_USER, indexed=True),
    _cosine(42, "pager pagerTelephoneNumber", "phone", most=64, writer=_USER),
    _cosine(43, "co friendlyCountryName", most=128, writer=_USER),
    _cosine(44, "uniqueIdentifier", most=256),
    _cosine(47, "mailPreferenceOption", "integer", single=True, visible=_A),
    _cosine(60, "jpegPhoto", "jpeg", writer=_USER, visible=_A),
    # RFC 3296 2.2
    _define("ref", "exact", oid="2.16.840.1.113730.3.1.34", visible=_A, usage=Usage.DISTRIBUTED),
    _define("labeledURI", "exact", oid="1.3.6.1.4.1.250.1.57", writer=_USER),
    # RFC 2798
    _inet(1, "carLicense", visible=_A, writer=_USER),
    _inet(2, "departmentNumber"),
    _inet(3, "employeeNumber", single=True, visible=_A, indexed=True),
    _inet(4, "employeeType", visible=_A),
    _inet(39, "preferredLanguage", single=True, writer=_USER),
    _inet(40, "userSMIMECertificate", "binary", writer=_USER),
    _inet(216, "userPKCS12", "binary", visible=_O, writer=_USER),
    _inet(241, "displayName", single=True, most=256, kept=Kept.VIEW, indexed=True),
)

_OPERATIONAL: Final = {"writer": _SYSTEM, "kept": Kept.COMPUTED, "usage": Usage.DIRECTORY}


def _operational(names: str, syntax: str, oid: str, single: bool = True, **more: object) -> Definition:
    values = {**_OPERATIONAL, "single": single, **more}
    return _define(names, syntax, oid=oid, **values)  # type: ignore[arg-type]


def _state(name: str, syntax: str, number: int, **more: object) -> Definition:
    oid = f"1.3.6.1.4.1.42.2.27.8.1.{number}"
    return _operational(name, syntax, oid, **{"visible": _O, "kept": Kept.STATE, **more})  # type: ignore[arg-type]


def _of_server(names: str, syntax: str, oid: str, **more: object) -> Definition:
    return _operational(names, syntax, oid, single=False, usage=Usage.DSA, **more)


_ENTRYWISE: Final = "1.3.6.1.4.1.1466.101.120."

OPERATIONAL: Final = (
    # RFC 4512 3.4, RFC 4530, RFC 5020
    _operational("createTimestamp", "time", "2.5.18.1"),
    _operational("modifyTimestamp", "time", "2.5.18.2"),
    _operational("creatorsName", "name", "2.5.18.3", visible=_A),
    _operational("modifiersName", "name", "2.5.18.4", visible=_A),
    _operational("hasSubordinates", "boolean", "2.5.18.9"),
    _operational("subschemaSubentry", "name", "2.5.18.10"),
    _operational("structuralObjectClass", "oid", "2.5.21.9"),
    _operational("entryUUID", "uuid", "1.3.6.1.1.16.4", indexed=True),
    _operational("entryDN", "name", "1.3.6.1.1.20"),
    _operational("numSubordinates", "integer", "1.3.6.1.4.1.453.16.2.103"),
    _operational(
        "memberOf", "name", "1.2.840.113556.1.2.102", single=False, visible=_A, kept=Kept.BACKLINK,
        backlink_of="member",
    ),
    # draft-behera-ldap-password-policy-10 5.3: the state of a password (`passwords.shown`)
    _state("pwdChangedTime", "time", 16),
    _state("pwdAccountLockedTime", "time", 17, writer=_ADMIN),
    _state("pwdFailureTime", "time", 19, single=False),
    _state("pwdGraceUseTime", "time", 21, single=False),
    _state("pwdReset", "boolean", 22, writer=_ADMIN),
    _state("pwdPolicySubentry", "name", 23, visible=_M),
    # RFC 4512 5.1: the root DSE
    _of_server("namingContexts", "name", _ENTRYWISE + "5"),
    # What OpenLDAP calls the place of its settings, and so do we
    _of_server("configContext", "name", "1.3.6.1.4.1.4203.1.12.2.1"),
    _of_server("altServer", "ia5", _ENTRYWISE + "6"),
    _of_server("supportedExtension", "oid", _ENTRYWISE + "7"),
    _of_server("supportedControl", "oid", _ENTRYWISE + "13"),
    _of_server("supportedSASLMechanisms", "text", _ENTRYWISE + "14"),
    _of_server("supportedLDAPVersion", "integer", _ENTRYWISE + "15"),
    _of_server("supportedFeatures", "oid", "1.3.6.1.4.1.4203.1.3.5"),
    _of_server("vendorName", "exact", "1.3.6.1.1.4"),
    _of_server("vendorVersion", "exact", "1.3.6.1.1.5"),
    # RFC 4512 4.2: the subschema
    _operational("objectClasses", "described", "2.5.21.6", single=False, exact_syntax=_SYNTAX + "37"),
    _operational("attributeTypes", "described", "2.5.21.5", single=False, exact_syntax=_SYNTAX + "3"),
    _operational("matchingRules", "described", "2.5.21.4", single=False, exact_syntax=_SYNTAX + "30"),
    _operational("matchingRuleUse", "described", "2.5.21.8", single=False, exact_syntax=_SYNTAX + "31"),
    _operational("dITContentRules", "described", "2.5.21.2", single=False, exact_syntax=_SYNTAX + "16"),
    _operational("ldapSyntaxes", "described", _ENTRYWISE + "16", single=False, exact_syntax=_SYNTAX + "54"),
)  # fmt: skip


def _ours(number: int, names: str, syntax: str = "text", **more: object) -> Definition:
    return _define(names, syntax, number=number, **more)  # type: ignore[arg-type]


_VOICE: Final = ("Flags", "Greeting", "Password-ID", "Recorded-Name", "Recording-Length", "Speed", "User-ID")
_SENDERS: Final = (
    "Auth-Orig", "Unauth-Orig", "DL-Mem-Submit-Perms", "DL-Mem-Reject-Perms",
    "Public-Delegates publicDelegates",
)  # fmt: skip
_SIZES: Final = (
    "Deliv-Cont-Length", "Incoming-Msg-Size-Limit", "Submission-Cont-Length", "MDB-Storage-Quota",
    "MDB-Over-Quota-Limit", "DXA-Task", "Garbage-Coll-Period",
)  # fmt: skip

# Numbers are for ever: one that is no longer used stays unused.
OURS: Final = (
    _ours(1, "rdn", single=True, kept=Kept.VIEW, indexed=True),
    _ours(2, "proxyAddresses Proxy-Addresses", most=1123, kept=Kept.VIEW, indexed=True),
    _ours(3, "Company", most=64, indexed=True),
    _ours(4, "department", most=64, indexed=True),
    # Unicode there, a name in RFC 4524 2.21; hence an OID of ours.
    _ours(5, "secretary Assistant-Name", most=256, writer=_USER),
    _ours(6, "Telephone-Office2", "phone", most=64, writer=_USER),
    _ours(7, "Telephone-Number", "phone", most=32, writer=_USER),
    _ours(8, "Telephone-Home2", "phone", most=64, writer=_USER),
    _ours(9, "Telephone-Assistant", "phone", most=64, writer=_USER),
    _ours(10, "url WWW-Home-Page", "exact", most=2048, writer=_USER),
    _ours(11, "language", single=True, writer=_USER),
    _ours(12, "User-Cert", "octets", single=True, most=32767, writer=_USER),
    _ours(13, "Hide-From-Address-Book", "boolean", single=True, visible=_A, indexed=True),
    _ours(14, "Hide-DL-Membership", "boolean", single=True, visible=_A),
    _ours(15, "Target-Address targetAddress", single=True, most=1123),
    _ours(16, "MAPI-Recipient", "boolean", single=True),
    _ours(17, "Internet-Encoding", "integer", single=True, visible=_A),
    _ours(18, "Protocol-Settings", visible=_O),
    # Names of servers there; they are stored, and name no entry here.
    _ours(19, "Home-MDB", single=True, visible=_A),
    _ours(20, "Home-MTA", single=True, visible=_A),
    _ours(21, "Assoc-Account Assoc-NT-Account", single=True, visible=_A),
    _ours(22, "Alt-Recipient", "name", single=True, visible=_O, kept=Kept.REFERENCE),
    _ours(23, "Deliver-And-Redirect", "boolean", single=True, visible=_O),
    _ours(24, "MDB-Use-Defaults", "boolean", single=True, visible=_O),
    _ours(25, "AutoReply", "boolean", single=True, visible=_O, writer=_USER),
    _ours(26, "AutoReply-Message", "exact", single=True, most=32767, visible=_O, writer=_USER),
    _ours(27, "AutoReply-Subject", single=True, most=256, visible=_O, writer=_USER),
    _ours(28, "Admin-Description", most=1024, visible=_M),
    _ours(29, "Admin-Display-Name", single=True, most=256, visible=_M),
    _ours(30, "Folder-Pathname", "exact", single=True, most=1024, visible=_A),
    _ours(31, "Security-Protocol", "octets", visible=_M),
    _ours(32, "Reports", "name", kept=Kept.BACKLINK, backlink_of="manager", writer=_SYSTEM,
          usage=Usage.DIRECTORY),
    _ours(33, "whenCreated When-Created", "time", **{**_OPERATIONAL, "single": True}),
    _ours(34, "whenChanged When-Changed", "time", **{**_OPERATIONAL, "single": True}),
    _ours(35, "imsAdministrator", "boolean", single=True, visible=_M, indexed=True),
    _ours(36, "imsAccountDisabled", "boolean", single=True, visible=_M),
    # What becomes of the mailbox when the entry is deleted: "delete", or "refuse" unless it is empty.
    _ours(37, "imsMailboxFate", single=True, visible=_M),
    _ours(38, "Report-To-Originator", "boolean", single=True, visible=_A),
    _ours(39, "Report-To-Owner", "boolean", single=True, visible=_A),
    _ours(40, "OOF-Reply-To-Originator", "boolean", single=True, visible=_A),
    _ours(60, "imsMessageQuota", "integer", single=True, visible=_O),
    # Capabilities of IMAP4 that are off for this mailbox.
    _ours(61, "imsCapabilitiesOff", visible=_O, most=64),
    # The search right of a container.
    _ours(62, "imsSearchableBy", single=True, visible=_M, most=64, indexed=True),
    _ours(63, "imsSearchers", "name", visible=_M, kept=Kept.REFERENCE),
    # Who writes mail in this recipient's name alone.
    _ours(64, "imsSendAs", "name", visible=_O, kept=Kept.REFERENCE),
    # In place of ims.sending for one mailbox; 0: nothing leaves, -1: any number.
    _ours(70, "imsSendMessagesPerHour", "integer", single=True, visible=_O),
    _ours(71, "imsSendMessagesPerDay", "integer", single=True, visible=_O),
    _ours(72, "imsSendRecipientsPerHour", "integer", single=True, visible=_O),
    _ours(73, "imsSendRecipientsPerDay", "integer", single=True, visible=_O),
    *(
        _ours(100 + n, f"Extension-Attribute-{n} extensionAttribute{n}", single=True, most=1024, visible=_A)
        for n in range(1, 16)
    ),
    *(_ours(130 + n, name, "name", visible=_O, kept=Kept.REFERENCE) for n, name in enumerate(_SENDERS)),
    *(_ours(140 + n, name, "integer", single=True, visible=_O) for n, name in enumerate(_SIZES)),
    *(
        _ours(150 + n, f"Voice-Mail-{name}", "octets", visible=_A, writer=_USER)
        for n, name in enumerate(_VOICE)
    ),
)  # fmt: skip

ALL: Final = (*STANDARD, *OPERATIONAL, *OURS)
