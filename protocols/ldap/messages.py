"""The values of LDAPMessage (RFC 4511 4): every request, every response, controls.

Names and attribute descriptions are str (decoded from UTF-8), assertion and attribute values
bytes. `requests` and `responses` turn these values into BER and back.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

from protocols.ldap.filters import Filter
from protocols.ldap.results import Result
from protocols.values import value


@value(frozen=True, slots=True)
class Control:
    """RFC 4511 4.1.11."""

    oid: str
    critical: bool = False
    value: bytes | None = None


# Requests ------------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Simple:
    """simple authentication (RFC 4513 5.1)."""

    password: bytes


@value(frozen=True, slots=True)
class Sasl:
    """sasl authentication; `credentials` None and b"" differ (RFC 4511 4.2)."""

    mechanism: str
    credentials: bytes | None = None


@value(frozen=True, slots=True)
class BindRequest:
    """RFC 4511 4.2. `authentication` is None for a choice that is not known here."""

    version: int
    name: str
    authentication: Simple | Sasl | None


@value(frozen=True, slots=True)
class UnbindRequest:
    """RFC 4511 4.3."""


class Scope(IntEnum):
    """RFC 4511 4.5.1.2."""

    BASE = 0
    ONE = 1
    SUBTREE = 2
    CHILDREN = 3
    """The subtree without its base (draft-sermersheim-ldap-subordinate-scope)."""


class Deref(IntEnum):
    """When aliases are followed (RFC 4511 4.5.1.3)."""

    NEVER = 0
    SEARCHING = 1
    FINDING = 2
    ALWAYS = 3


@value(frozen=True, slots=True)
class SearchRequest:
    """RFC 4511 4.5.1. Limits are entries and seconds; 0 means none asked for."""

    base: str
    scope: Scope
    deref: Deref
    size_limit: int
    time_limit: int
    types_only: bool
    filter: Filter
    attributes: tuple[str, ...] = ()


class ChangeKind(IntEnum):
    """RFC 4511 4.6; INCREMENT is RFC 4525."""

    ADD = 0
    DELETE = 1
    REPLACE = 2
    INCREMENT = 3


@value(frozen=True, slots=True)
class Attribute:
    """An attribute description with values (PartialAttribute, RFC 4511 4.1.7)."""

    name: str
    values: tuple[bytes, ...] = ()


@value(frozen=True, slots=True)
class Change:
    """One change of a ModifyRequest."""

    kind: ChangeKind
    attribute: Attribute


@value(frozen=True, slots=True)
class ModifyRequest:
    """RFC 4511 4.6: all changes or none, in order."""

    dn: str
    changes: tuple[Change, ...]


@value(frozen=True, slots=True)
class AddRequest:
    """RFC 4511 4.7."""

    dn: str
    attributes: tuple[Attribute, ...]


@value(frozen=True, slots=True)
class DeleteRequest:
    """RFC 4511 4.8."""

    dn: str


@value(frozen=True, slots=True)
class ModifyDnRequest:
    """RFC 4511 4.9. `new_superior` None keeps the parent."""

    dn: str
    new_rdn: str
    delete_old_rdn: bool
    new_superior: str | None = None


@value(frozen=True, slots=True)
class CompareRequest:
    """RFC 4511 4.10."""

    dn: str
    attribute: str
    value: bytes


@value(frozen=True, slots=True)
class AbandonRequest:
    """RFC 4511 4.11."""

    message_id: int


@value(frozen=True, slots=True)
class ExtendedRequest:
    """RFC 4511 4.12."""

    oid: str
    value: bytes | None = None


@value(frozen=True, slots=True)
class PasswordModify:
    """The value of a Password Modify request (RFC 3062 2).

    user: a DN or another name, None for whoever is bound.
    new: None asks the server to generate a password and return it.
    """

    user: str | None = None
    old: bytes | None = None
    new: bytes | None = None


# Responses -----------------------------------------------------------------------------


@value(frozen=True, slots=True)
class BindResponse:
    """RFC 4511 4.2.2."""

    result: Result
    credentials: bytes | None = None


@value(frozen=True, slots=True)
class SearchResultEntry:
    """RFC 4511 4.5.2."""

    dn: str
    attributes: tuple[Attribute, ...] = ()


@value(frozen=True, slots=True)
class SearchResultReference:
    """Continuation: LDAP URLs (RFC 4511 4.5.3)."""

    urls: tuple[str, ...]


@value(frozen=True, slots=True)
class SearchResultDone:
    """RFC 4511 4.5.2."""

    result: Result


@value(frozen=True, slots=True)
class ModifyResponse:
    result: Result


@value(frozen=True, slots=True)
class AddResponse:
    result: Result


@value(frozen=True, slots=True)
class DeleteResponse:
    result: Result


@value(frozen=True, slots=True)
class ModifyDnResponse:
    result: Result


@value(frozen=True, slots=True)
class CompareResponse:
    result: Result


@value(frozen=True, slots=True)
class ExtendedResponse:
    """RFC 4511 4.12; with message id 0 an unsolicited notification (4.4)."""

    result: Result
    oid: str | None = None
    value: bytes | None = None


@value(frozen=True, slots=True)
class IntermediateResponse:
    """RFC 4511 4.13."""

    oid: str | None = None
    value: bytes | None = None


Request: TypeAlias = (
    BindRequest
    | UnbindRequest
    | SearchRequest
    | ModifyRequest
    | AddRequest
    | DeleteRequest
    | ModifyDnRequest
    | CompareRequest
    | AbandonRequest
    | ExtendedRequest
)

Response: TypeAlias = (
    BindResponse
    | SearchResultEntry
    | SearchResultReference
    | SearchResultDone
    | ModifyResponse
    | AddResponse
    | DeleteResponse
    | ModifyDnResponse
    | CompareResponse
    | ExtendedResponse
    | IntermediateResponse
)


@value(frozen=True, slots=True)
class Message:
    """An LDAPMessage (RFC 4511 4.1.1)."""

    message_id: int
    operation: Request | Response
    controls: tuple[Control, ...] = ()
