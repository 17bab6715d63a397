"""Our part of the schema as a file other servers and tools read (RFC 4512 4.1 in LDIF).

python -m imsd.directory.schemafile > etc/schema/imsd.ldif
"""

from __future__ import annotations

from dataclasses import replace

from imsd.directory import attributes, classes
from protocols.ldap.schema import AttributeType, Usage

_HEAD = """\
# The attribute types and object classes of imsd that no standard defines, as cn=config of
# OpenLDAP takes them. Made by: python -m imsd.directory.schemafile
#
# Their OIDs are under a private arc of ours, 2.25 and a UUID (ITU-T X.667). What is operational here is a
# user attribute there, where the configuration takes no others.

dn: cn=imsd,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: imsd
"""


_STANDARD = frozenset({"secretary"})
"""Names that are of another type in the standards' schema, which is there already (RFC 4524 2.21)."""


def _elsewhere(kind: AttributeType) -> AttributeType:
    """An attribute type as OpenLDAP takes it beside its own."""
    names = tuple(name for name in kind.names if name not in _STANDARD)
    return replace(kind, names=names, usage=Usage.USER, no_user_modification=False)


def text() -> str:
    """The whole file."""
    lines = [_HEAD.rstrip("\n")]
    lines += [f"olcAttributeTypes: {_elsewhere(each.type)}" for each in attributes.OURS]
    lines += [f"olcObjectClasses: {each}" for each in classes.OURS_CLASSES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(text(), end="")
