"""What becomes of a filter before it is planned: the settings narrow it, names of classes are made one."""

from __future__ import annotations

from imsd.directory import schema
from protocols.ldap import filters


def narrowed(item: filters.Filter, mode: str) -> filters.Filter:
    """What the substring mode makes of a filter (ims_spec 7.5). What is not performed is Undefined."""
    if mode == "all":
        return item
    match item:
        case filters.And(parts):
            return filters.And(tuple(narrowed(part, mode) for part in parts))
        case filters.Or(parts):
            return filters.Or(tuple(narrowed(part, mode) for part in parts))
        case filters.Not(part):
            return filters.Not(narrowed(part, mode))
        case filters.Substrings(attribute, initial, middle, final):
            if initial is not None and not middle and final is None:
                return item
            if mode == "any_as_initial" and (initial is not None or middle):
                first = initial if initial is not None else middle[0]
                return filters.Substrings(attribute, initial=first)
            return _UNDEFINED
    return item


def recognised(item: filters.Filter) -> filters.Filter:
    """Object classes by the name they are stored under; an unknown one is Undefined (RFC 4517 4.2.26)."""
    match item:
        case filters.And(parts):
            return filters.And(tuple(map(recognised, parts)))
        case filters.Or(parts):
            return filters.Or(tuple(map(recognised, parts)))
        case filters.Not(part):
            return filters.Not(recognised(part))
        case filters.Equal(attribute, value) | filters.Approx(attribute, value):
            wanted = schema.definition(attribute)
            if wanted is not None and wanted.key in _CLASSES:
                name = _class_name(value)
                return filters.Equal(attribute, name) if name else _UNDEFINED
        case filters.Extensible(rule, attribute, value, with_dn):
            wanted = schema.definition(attribute) if attribute else None
            if wanted is not None and wanted.key in _CLASSES:
                name = _class_name(value)
                return filters.Extensible(rule, attribute, name, with_dn) if name else _UNDEFINED
    return item


_CLASSES = frozenset({"objectclass", "structuralobjectclass"})


def _class_name(value: bytes) -> bytes:
    """The first name of an object class; b"" for one that is not known."""
    found = schema.SCHEMA.object_class(value.decode("utf-8", "replace").strip())
    return found.name.encode() if found else b""


_UNDEFINED = filters.Extensible(rule="2.5.13.0.0", attribute="objectClass", value=b"")
"""A rule that does not exist: Undefined for every entry."""
