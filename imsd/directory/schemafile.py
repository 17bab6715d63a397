"""Our part of the schema as a file other servers and tools read (RFC 4512 4.1 in LDIF).

python -m imsd.directory.schemafile > etc/schema/imsd.ldif
"""

from __future__ import annotations

from imsd.directory import attributes, classes

_HEAD = """\
# The attribute types and object classes of imsd that no standard defines, as cn=config of
# OpenLDAP takes them. Made by: python -m imsd.directory.schemafile
#
# Their OIDs are under a private arc of ours, 2.25 and a UUID (ITU-T X.667).

dn: cn=imsd,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: imsd
"""


def text() -> str:
    """The whole file."""
    lines = [_HEAD.rstrip("\n")]
    lines += [f"olcAttributeTypes: {each.type}" for each in attributes.OURS]
    lines += [f"olcObjectClasses: {each}" for each in classes.OURS_CLASSES]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(text(), end="")
