"""The root DSE and the subschema subentry (RFC 4512 4.2, 5.1): read by anybody, not in the tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from protocols.ldap import dn
from protocols.ldap.evaluation import compiled
from protocols.ldap.interfaces import SpecialEntry
from protocols.ldap.messages import SearchRequest
from protocols.ldap.responses import encode_attribute, encode_entry
from protocols.ldap.schema import AttributeType, Schema
from protocols.ldap.selection import selection
from protocols.ldap.session import Session

FEATURES: Final = (
    "1.3.6.1.1.14",  # the increment of Modify (RFC 4525)
    "1.3.6.1.4.1.4203.1.5.1",  # "+": all operational attributes (RFC 3673)
    "1.3.6.1.4.1.4203.1.5.2",  # "@class": the attributes of a class (RFC 4529)
    "1.3.6.1.4.1.4203.1.5.3",  # (&) and (|) (RFC 4526)
    "1.3.6.1.4.1.4203.1.5.4",  # language tags (RFC 3866)
    "1.3.6.1.4.1.4203.1.5.5",  # language ranges (RFC 3866)
)


def special_answer(request: SearchRequest, session: Session) -> list[bytes] | None:
    """What a base search for one of the two gives; None if it is for neither.

    Raises BadDN for a base that is no name.
    """
    if not request.base:
        return _answer(_root_dse(session), request)
    subschema = session.door.subschema()
    if dn.parse(request.base).normal == dn.parse(subschema.dn).normal:
        return _answer(subschema, request)
    return None


def _root_dse(session: Session) -> SpecialEntry:
    entry = session.door.root_dse()
    own = {
        "supportedLDAPVersion": ["3"],
        "supportedControl": session.controls,
        "supportedExtension": session.extensions,
        "supportedFeatures": FEATURES,
        "supportedSASLMechanisms": session.door.authenticator.mechanisms(session.security),
    }
    supported = tuple(
        (name, tuple(value.encode() for value in values)) for name, values in own.items() if values
    )
    return SpecialEntry("", entry.user, entry.operational + supported)


def _answer(entry: SpecialEntry, request: SearchRequest) -> list[bytes]:
    readable = _Readable(entry)
    schema = Schema(
        AttributeType(name, (name,), equality="caseIgnoreMatch", syntax="1.3.6.1.4.1.1466.115.121.1.15")
        for name in readable.descriptions()
    )
    if not compiled(request.filter, schema)(readable):
        return []
    wanted = selection(request.attributes)
    attributes = [
        encode_attribute(name.encode(), () if request.types_only else values)
        for operational, part in ((False, entry.user), (True, entry.operational))
        for name, values in part
        if wanted.wants(name.lower(), operational)
    ]
    return [encode_entry(entry.dn.encode(), b"".join(attributes))]


@dataclass(frozen=True, slots=True)
class _Readable:
    """A SpecialEntry as filters see it."""

    entry: SpecialEntry

    @property
    def name(self) -> dn.DN:
        return dn.parse(self.entry.dn)

    def values(self, description: str) -> Iterable[bytes]:
        wanted = description.lower()
        for name, values in self.entry.user + self.entry.operational:
            if name.lower() == wanted:
                return values
        return ()

    def descriptions(self) -> Iterable[str]:
        return [name for name, _ in self.entry.user + self.entry.operational]
