"""`cn=Configuration` for one identity: read and changed by administrators, not there for others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from imsd.directory import configuration
from imsd.directory.access import Viewer
from imsd.directory.attributes import Visible
from imsd.directory.changes import Change, Modification
from imsd.directory.configuration import Configuration
from imsd.directory.directory import Directory
from imsd.directory.tree import parse
from imsd.errors import InvalidSyntax, NoSuchAttribute, NoSuchEntry, UnwillingToPerform
from imsd.store.transaction import Unit
from protocols.ldap import filters
from protocols.ldap.controls import POST_READ, PRE_READ, Controls, read_control
from protocols.ldap.interfaces import Answered
from protocols.ldap.messages import (
    AddRequest,
    CompareRequest,
    Control,
    DeleteRequest,
    ModifyDnRequest,
    ModifyRequest,
    SearchRequest,
)
from protocols.ldap.session import Update

_TAIL = "configuration"


def holds(name: str) -> bool:
    """Is it a name of the settings? What is no name is not."""
    return _TAIL in name[-32:].lower() and configuration.holds(parse(name))


def _open(directory: Directory, viewer: Viewer) -> Configuration:
    """Raises NoSuchEntry for who is no administrator."""
    if viewer.level is not Visible.ADMINISTRATOR:
        raise NoSuchEntry
    return directory.configuration


async def search(
    directory: Directory,
    viewer: Viewer,
    request: SearchRequest,
    controls: Controls,
    note: Callable[[Control], None],
) -> AsyncGenerator[bytes, None]:
    async for answer in _open(directory, viewer).search(request, controls, note):
        yield answer


def compare(directory: Directory, viewer: Viewer, request: CompareRequest, controls: Controls) -> bool:
    found = _open(directory, viewer)
    item = filters.Equal(request.attribute, request.value)
    outcome = found.compare(request.dn, item, controls.assertion)
    if outcome is None:
        if found.find(request.dn).values(request.attribute):
            raise InvalidSyntax
        raise NoSuchAttribute
    return outcome


async def update(directory: Directory, viewer: Viewer, request: Update, controls: Controls) -> Answered:
    """It holds when this returns."""
    found = _open(directory, viewer)
    images = []
    if controls.pre_read is not None and not isinstance(request, AddRequest):
        images.append(read_control(PRE_READ, found.find(request.dn).encoded(controls.pre_read)))
    step = _step(found, request, controls)
    await directory.db.write(step)
    await directory.read_settings()
    if controls.post_read is not None and not isinstance(request, DeleteRequest):
        try:
            images.append(read_control(POST_READ, found.find(request.dn).encoded(controls.post_read)))
        except NoSuchEntry:
            pass  # a server's last own value was taken away
    return tuple(images)


def _step(found: Configuration, request: Update, controls: Controls) -> Callable[[Unit], None]:
    match request:
        case ModifyRequest(name, changes):
            modifications = [
                Modification(Change(each.kind), each.attribute.name, each.attribute.values)
                for each in changes
            ]
            return found.modifying(name, modifications, controls.assertion, controls.permissive)
        case AddRequest(name, attributes):
            return found.adding(name, [(each.name, each.values) for each in attributes])
        case DeleteRequest(name):
            return found.deleting(name, controls.assertion)
        case ModifyDnRequest():
            raise UnwillingToPerform("Pages keep their names")
