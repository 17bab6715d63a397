"""`cn=Configuration` for one identity: read and changed by administrators, not there for others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from imsd.directory import asking, configuration, settingchanges
from imsd.directory.access import Viewer
from imsd.directory.attributes import Visible
from imsd.directory.changes import Change, Modification
from imsd.directory.configuration import Configuration
from imsd.directory.directory import Directory
from imsd.directory.settingchanges import Rows
from imsd.directory.settingcopies import SettingCopies
from imsd.directory.tree import parse
from imsd.errors import InvalidSyntax, NoSuchAttribute, NoSuchEntry, UnwillingToPerform
from imsd.store.settings import change
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
from protocols.ldap.syncing import Answer

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
) -> AsyncGenerator[bytes | Answer, None]:
    found = _open(directory, viewer)
    if controls.sync is None and controls.persistent is None:
        answers: AsyncGenerator[bytes | Answer, None] = found.search(request, controls, note)
    else:
        if controls.assertion is not None:
            found.assert_that(found.find(request.base), controls.assertion)
        answers = SettingCopies(directory.db, found, request, controls, note).run()
    try:
        async for answer in answers:
            yield answer
    finally:
        await answers.aclose()


def compare(directory: Directory, viewer: Viewer, request: CompareRequest, controls: Controls) -> bool:
    found = _open(directory, viewer)
    item = filters.Equal(request.attribute, request.value)
    outcome = found.compare(request.dn, item, controls.assertion)
    if outcome is None:
        if found.find(request.dn).values(request.attribute):
            raise InvalidSyntax
        raise NoSuchAttribute
    return outcome


def step(
    directory: Directory, viewer: Viewer, request: Update, controls: Controls
) -> Callable[[Unit], Answered]:
    """An update as a step of a unit; once that is written, the settings must be read again."""
    found = _open(directory, viewer)

    def take(unit: Unit) -> Answered:
        # Somebody else's change is seen whole, or this one is done again after it.
        if asking.standing(unit, viewer)[0].level is not Visible.ADMINISTRATOR:
            raise NoSuchEntry
        now = found.of_unit(unit)
        rows = _rows(now, request, controls)
        images = []
        if controls.pre_read is not None and not isinstance(request, AddRequest):
            images.append(read_control(PRE_READ, now.find(request.dn).encoded(controls.pre_read)))
        change(unit, rows.put, rows.gone)
        if controls.post_read is not None and not isinstance(request, DeleteRequest):
            try:
                after = found.of_unit(unit).find(request.dn)
            except NoSuchEntry:
                pass  # a server's last own value was taken away
            else:
                images.append(read_control(POST_READ, after.encoded(controls.post_read)))
        return tuple(images)

    return take


def _rows(found: Configuration, request: Update, controls: Controls) -> Rows:
    match request:
        case ModifyRequest(name, changes):
            modifications = [
                Modification(Change(each.kind), each.attribute.name, each.attribute.values)
                for each in changes
            ]
            return settingchanges.modify(found, name, modifications, controls.assertion, controls.permissive)
        case AddRequest(name, attributes):
            return settingchanges.add(found, name, [(each.name, each.values) for each in attributes])
        case DeleteRequest(name):
            return settingchanges.delete(found, name, controls.assertion)
        case ModifyDnRequest():
            raise UnwillingToPerform("Pages keep their names")
