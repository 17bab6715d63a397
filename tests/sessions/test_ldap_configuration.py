"""cn=Configuration: every setting as a typed attribute, changed by administrators, at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from imsd import errors
from imsd.directory import settingtypes
from imsd.directory.directory import Directory
from imsd.directory.schema import SCHEMA
from imsd.directory.settingtypes import SETTINGS, Form
from imsd.sessions import ldap_settings
from imsd.sessions.ldap import Door, Identity
from imsd.settings import PAGES
from imsd.settings.directory import Ldap
from imsd.store import settings as rows
from protocols.ldap import client, responses
from protocols.ldap.controls import NONE as PLAIN
from protocols.ldap.controls import POST_READ, PRE_READ, Controls, ListView, SortKey
from protocols.ldap.filters import Present, parse
from protocols.ldap.messages import (
    AddRequest,
    Attribute,
    Change,
    ChangeKind,
    CompareRequest,
    Control,
    DeleteRequest,
    Deref,
    ModifyDnRequest,
    ModifyRequest,
    Scope,
    SearchRequest,
    SearchResultEntry,
)
from protocols.ldap.results import Failed, FailedUpdate, ResultCode
from protocols.ldap.syncing import CHANGE_NOTIFICATION, PERSISTING, Answer, ChangeType, PersistentSearch
from tests.directory.support import configure, open_directory
from tests.sessions.test_ldap import ANN, HERE, RECIPIENTS, Logins
from tests.sessions.test_ldap_syncing import Consumer, wait_for
from tests.support.stores import StoreReactor, open_store, run

CONFIG = "cn=Configuration"
LDAP = f"cn=ldap,{CONFIG}"


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    run(directory.add_user("ann@example.test", name="Ann Lee", password="anns"))
    yield directory
    run(database.close())


@pytest.fixture
def door(directory: Directory) -> Door:
    return Door(directory, directory.settings, Logins(directory))  # type: ignore[arg-type]


@pytest.fixture
def admin(door: Door) -> Identity:
    return run(door.bind("administrator", b"secret", HERE))


def search(
    identity: Identity,
    text: str = "(objectClass=*)",
    *attributes: str,
    base: str = CONFIG,
    scope: Scope = Scope.SUBTREE,
    controls: Controls = PLAIN,
    notes: list[Control] | None = None,
) -> dict[str, dict[str, list[str]]]:
    request = SearchRequest(base, scope, Deref.ALWAYS, 0, 0, False, parse(text), attributes)

    async def gather() -> dict[str, dict[str, list[str]]]:
        found = {}
        async for answer in identity.search(request, controls, (notes if notes is not None else []).append):
            for each in answer if isinstance(answer, list) else filter(None, (answer,)):
                assert isinstance(each, bytes)
                entry = client.read(responses.message(1, each)).operation
                assert isinstance(entry, SearchResultEntry)
                found[entry.dn] = {
                    one.name: [value.decode() for value in one.values] for one in entry.attributes
                }
        return found

    return run(gather())


def page(identity: Identity, name: str = LDAP, *attributes: str) -> dict[str, list[str]]:
    return search(identity, "(objectClass=*)", *attributes, base=name, scope=Scope.BASE)[name]


def changing(name: str, *changes: tuple[ChangeKind, str, list[str]]) -> ModifyRequest:
    return ModifyRequest(
        name,
        tuple(
            Change(kind, Attribute(attribute, tuple(value.encode() for value in values)))
            for kind, attribute, values in changes
        ),
    )


def modify(
    identity: Identity, name: str, *changes: tuple[ChangeKind, str, list[str]], controls: Controls = PLAIN
) -> Any:
    return run(identity.modify(changing(name, *changes), controls))


REPLACE, ADD, DELETE, INCREMENT = (
    ChangeKind.REPLACE, ChangeKind.ADD, ChangeKind.DELETE, ChangeKind.INCREMENT,
)  # fmt: skip


def test_every_setting_is_there_under_a_type_of_the_schema(admin: Identity, directory: Directory) -> None:
    entries = search(admin)
    assert next(iter(entries)) == CONFIG and len(entries) == 1 + len(PAGES)
    fields = 0
    for each in PAGES:
        shown = entries[f"cn={each.section},{CONFIG}"]
        for name in each.model_fields:
            fields += 1
            attribute = f"conf-{each.section}-{name}".replace(".", "-").replace("_", "-")
            assert SCHEMA.attribute(attribute) is not None
            value = directory.settings.find(f"{each.section}.{name}")[1]
            assert (attribute in shown) is (value not in (None, "", (), {})), attribute
    assert fields == len(SETTINGS)
    assert entries[LDAP]["conf-ldap-size-limit"] == ["100"]
    assert entries[LDAP]["conf-ldap-anonymous"] == ["FALSE"]
    oids = [each.oid for each in (*SCHEMA.attributes, *SCHEMA.classes)]
    names = [name.lower() for each in (*SCHEMA.attributes, *SCHEMA.classes) for name in each.names]
    assert len(oids) == len(set(oids)) and len(names) == len(set(names))


def test_the_root_dse_says_where(door: Door) -> None:
    assert dict(door.root_dse().operational)["configContext"] == (b"cn=Configuration",)


def test_what_is_set_holds_at_once_and_is_put_back_by_taking_it_away(
    admin: Identity, directory: Directory
) -> None:
    modify(
        admin, LDAP, (REPLACE, "conf-ldap-size-limit", ["7"]), (REPLACE, "conf-ldap-anonymous", ["TRUE"]),
        (ADD, "conf-ldap-attributes", ['{"title": "owner"}']),
    )  # fmt: skip
    assert directory.settings[Ldap].size_limit == 7 == admin.limits.entries
    assert directory.settings[Ldap].anonymous and directory.settings[Ldap].attributes == {"title": "owner"}
    shown = page(admin)
    assert shown["conf-ldap-size-limit"] == ["7"] and shown["conf-ldap-anonymous"] == ["TRUE"]
    modify(admin, LDAP, (INCREMENT, "conf-ldap-size-limit", ["3"]))
    assert directory.settings[Ldap].size_limit == 10
    modify(admin, LDAP, (DELETE, "conf-ldap-size-limit", []), (DELETE, "conf-ldap-anonymous", ["TRUE"]))
    assert directory.settings[Ldap].size_limit == 100 and not directory.settings[Ldap].anonymous
    assert "ldap.size_limit" not in directory.settings.stored()


def test_lists_have_a_value_for_each(admin: Identity, directory: Directory) -> None:
    name, attribute = f"cn=addressing,{CONFIG}", "conf-addressing-domains"
    modify(admin, name, (ADD, attribute, ["b.test", "a.test"]))
    modify(admin, name, (ADD, attribute, ["c.test"]), (DELETE, attribute, ["a.test"]))
    assert page(admin, name)[attribute] == ["b.test", "c.test"]
    with pytest.raises(errors.AttributeOrValueExists):
        modify(admin, name, (ADD, attribute, ["c.test"]))
    with pytest.raises(errors.NoSuchAttribute):
        modify(admin, name, (DELETE, attribute, ["x.test"]))
    modify(admin, name, (ADD, attribute, ["c.test"]), controls=Controls(permissive=True))
    # An empty list is not the default everywhere: it is written as JSON.
    notifications = f"cn=ims.notifications,{CONFIG}"
    modify(admin, notifications, (REPLACE, "conf-ims-notifications-kinds", ["[]"]))
    assert "conf-ims-notifications-kinds" not in page(admin, notifications)
    assert directory.settings.stored()["ims.notifications.kinds"] == []


@pytest.mark.parametrize(
    ("changes", "refusal", "text"),
    [
        ([(REPLACE, "conf-ldap-size-limit", ["-1"])], errors.ConstraintViolation, "greater than or equal"),
        ([(REPLACE, "conf-ldap-size-limit", ["many"])], errors.InvalidSyntax, "syntax"),
        ([(REPLACE, "conf-ldap-size-limit", ["1", "2"])], errors.ConstraintViolation, "one value"),
        ([(REPLACE, "conf-ldap-substring", ["some"])], errors.ConstraintViolation, "any_as_initial"),
        ([(REPLACE, "conf-ldap-attributes", ["{"])], errors.InvalidSyntax, "conf-ldap-attributes"),
        ([(REPLACE, "conf-ldap-attributes", ["x y"])], errors.InvalidSyntax, "no JSON: .* at character 1$"),
        ([(REPLACE, "conf-ldap-attributes", ["[" * 60_000])], errors.InvalidSyntax, "32 levels"),
        ([(REPLACE, "conf-ldap-attributes", ["[" * 33 + "]" * 33])], errors.InvalidSyntax, "32 levels"),
        ([(REPLACE, "conf-ldap-attributes", ["3"])], errors.ConstraintViolation, "dictionary"),
        ([(REPLACE, "conf-pop3-enabled", ["TRUE"])], errors.ObjectClassViolation, "of this page"),
        ([(REPLACE, "title", ["x"])], errors.ObjectClassViolation, "of this page"),
        ([(REPLACE, "cn", ["x"])], errors.UnwillingToPerform, "not to be changed"),
        ([(REPLACE, "entryUUID", ["x"])], errors.UnwillingToPerform, "not to be changed"),
        ([(REPLACE, "conf-ldap-nonsense", ["x"])], errors.UndefinedAttribute, "nonsense"),
        ([(DELETE, "conf-ldap-authentication", [])], errors.NoSuchAttribute, "not there"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason_and_nothing_is_changed(
    admin: Identity, directory: Directory, changes: Any, refusal: type[errors.Refusal], text: str
) -> None:
    before = directory.settings.stored()
    with pytest.raises(refusal, match=text):
        modify(admin, LDAP, (REPLACE, "conf-ldap-time-limit", ["5"]), *changes)
    assert directory.settings.stored() == before


def test_others_do_not_know_that_it_is_there(door: Door, directory: Directory) -> None:
    configure(directory, ldap__anonymous="true")
    nobody = door.anonymous(HERE)
    assert nobody is not None
    works: list[Callable[[Identity, str], Any]] = [
        lambda who, name: search(who, base=name),
        lambda who, name: modify(who, name, (REPLACE, "conf-ldap-size-limit", ["1"])),
        lambda who, name: run(who.compare(CompareRequest(name, "cn", b"ldap"))),
        lambda who, name: run(who.delete(DeleteRequest(name))),
        lambda who, name: run(who.add(AddRequest(name, ()))),
        lambda who, name: run(who.modify_dn(ModifyDnRequest(name, "cn=x", True, None))),
    ]
    for identity in (run(door.bind("ann", b"anns", HERE)), nobody):
        for name in (CONFIG, LDAP, f"cn=nothing,{CONFIG}"):
            for work in works:
                with pytest.raises(errors.NoSuchEntry) as refused:
                    work(identity, name)
                assert refused.value.matched == ""


def test_a_server_has_values_of_its_own(admin: Identity, directory: Directory) -> None:
    own = f"cn=mail.example.test,{LDAP}"
    given = (Attribute("objectClass", (b"confPage-ldap",)), Attribute("conf-ldap-size-limit", (b"5",)))
    run(admin.add(AddRequest(own, given), Controls(post_read=("conf-ldap-size-limit",))))
    assert page(admin, own, "conf-ldap-size-limit", "cn") == {
        "cn": ["mail.example.test"], "conf-ldap-size-limit": ["5"],
    }  # fmt: skip
    assert page(admin, LDAP, "numSubordinates") == {"numSubordinates": ["1"]}
    assert directory.settings.find("ldap.size_limit@mail.example.test")[1] == 5
    assert directory.settings[Ldap].size_limit == 100
    with pytest.raises(errors.EntryExists):
        run(admin.add(AddRequest(own, given)))
    with pytest.raises(errors.NotAllowedOnNonLeaf):
        run(admin.delete(DeleteRequest(LDAP)))
    modify(admin, own, (ADD, "conf-ldap-time-limit", ["9"]), (DELETE, "conf-ldap-size-limit", []))
    assert set(search(admin, "(conf-ldap-time-limit=9)")) == {own}
    run(admin.delete(DeleteRequest(own)))
    assert "@" not in "".join(directory.settings.stored())
    for name in (f"cn=x,{CONFIG}", f"cn=a,cn=b,{LDAP}", f"ou=mail.example.test,{LDAP}"):
        with pytest.raises((errors.NamingViolation, errors.NoSuchEntry)):
            run(admin.add(AddRequest(name, given)))
    with pytest.raises(errors.NoSuchEntry, match="servers have none"):
        several = (Attribute("conf-ims-flow-unread-limit", (b"5",)),)
        run(admin.add(AddRequest(f"cn=mail.example.test,cn=ims.flow,{CONFIG}", several)))


def test_secrets_are_never_shown_and_stay_when_the_row_is_written_back(
    admin: Identity, directory: Directory
) -> None:
    row = {
        "domain": "example.org",
        "auth": "plain",
        "user": "u",
        "password": "sealed:c2VjcmV0",
        "tls": "encrypt",
    }
    configure(directory, ims__security=json.dumps([row]))
    name, attribute = f"cn=ims,{CONFIG}", "conf-ims-security"
    (shown,) = page(admin, name)[attribute]
    assert "c2VjcmV0" not in shown and settingtypes.HIDDEN in shown
    assert not search(admin, f"({attribute}=*c2VjcmV0*)", base=name)
    changed = {**json.loads(shown), "user": "other"}
    second = {
        "domain": "example.net",
        "auth": "plain",
        "user": "v",
        "password": "file:secret",
        "tls": "encrypt",
    }
    modify(admin, name, (REPLACE, attribute, [json.dumps(changed), json.dumps(second)]))
    first, added = directory.settings.stored()["ims.security"]
    assert (first["user"], first["password"]) == ("other", "sealed:c2VjcmV0")
    assert added["password"] == "file:secret"
    with pytest.raises(errors.InvalidSyntax, match="anew"):
        lost = {**json.loads(shown), "domain": "third.example"}
        modify(admin, name, (REPLACE, attribute, [json.dumps(lost)]))


def test_searching_comparing_sorting_and_reading_around_a_change(admin: Identity) -> None:
    assert set(search(admin, "(cn=ldap)")) == {LDAP}
    assert set(search(admin, "(&(objectClass=confPage)(conf-ldap-size-limit>=100))")) == {LDAP}
    assert set(search(admin, "(!(objectClass=confPage))")) == {CONFIG}
    assert set(search(admin, scope=Scope.ONE)) == {f"cn={each.section},{CONFIG}" for each in PAGES}
    assert set(search(admin, scope=Scope.BASE)) == {CONFIG}
    assert search(admin, "(entryDN=CN=LDAP, cn=configuration)", "1.1") == {LDAP: {}}
    assert "entryUUID" not in page(admin) and "entryUUID" in page(admin, LDAP, "+")
    assert set(page(admin, LDAP, "@confPage")) == {"objectClass", "cn", "description"}
    assert run(admin.compare(CompareRequest(LDAP, "conf-ldap-size-limit", b"100")))
    assert not run(admin.compare(CompareRequest(LDAP, "conf-ldap-size-limit", b"99")))
    with pytest.raises(errors.NoSuchAttribute):
        run(admin.compare(CompareRequest(LDAP, "conf-ldap-authentication", b"basic")))
    with pytest.raises(errors.InvalidSyntax):
        run(admin.compare(CompareRequest(LDAP, "conf-ldap-size-limit", b"x")))
    with pytest.raises(errors.NoSuchEntry) as missing:
        search(admin, base=f"cn=x,cn=y,{LDAP}")
    assert missing.value.matched == LDAP
    controls = Controls(assertion=parse("(conf-ldap-size-limit=99)"))
    with pytest.raises(errors.AssertionFailed):
        modify(admin, LDAP, (REPLACE, "conf-ldap-size-limit", ["1"]), controls=controls)
    both = Controls(pre_read=("conf-ldap-size-limit",), post_read=("conf-ldap-size-limit",))
    before, after = modify(admin, LDAP, (REPLACE, "conf-ldap-size-limit", ["1"]), controls=both)
    assert (before.oid, after.oid) == (PRE_READ, POST_READ)
    assert b"100" in before.value and b"100" not in after.value
    with pytest.raises(errors.UnwillingToPerform):
        run(admin.modify_dn(ModifyDnRequest(LDAP, "cn=x", True, None)))


def test_of_two_at_once_the_second_changes_what_the_first_left(admin: Identity, directory: Directory) -> None:
    name, attribute = f"cn=addressing,{CONFIG}", "conf-addressing-domains"
    viewer = run(admin.viewer())
    steps = [
        ldap_settings.step(directory, viewer, changing(name, (ADD, attribute, [domain])), PLAIN)
        for domain in ("b.test", "c.test")
    ]
    for step in steps:
        run(directory.db.write(step))
    run(directory.read_settings())
    assert page(admin, name)[attribute] == ["b.test", "c.test"]


# Transactions -----------------------------------------------------------------------------


def test_settings_and_people_change_together(admin: Identity, directory: Directory) -> None:
    own = f"cn=mail.example.test,{LDAP}"
    shown = Controls(pre_read=("conf-ldap-size-limit",), post_read=("conf-ldap-size-limit",))
    given = (Attribute("conf-ldap-size-limit", (b"5",)),)
    answered = run(
        admin.settle(
            [
                (changing(LDAP, (REPLACE, "conf-ldap-size-limit", ["7"])), PLAIN),
                (changing(LDAP, (INCREMENT, "conf-ldap-size-limit", ["3"])), shown),
                (changing(ANN, (REPLACE, "title", ["Cook"])), PLAIN),
                (AddRequest(own, given), PLAIN),
                (changing(own, (INCREMENT, "conf-ldap-size-limit", ["1"])), PLAIN),
            ]
        )
    )
    assert directory.settings[Ldap].size_limit == 10
    assert directory.settings.find("ldap.size_limit@mail.example.test")[1] == 6
    assert search(admin, "(title=Cook)", "1.1", base=RECIPIENTS) == {ANN: {}}
    before, after = answered[1]
    assert b"7" in before.value and b"10" in after.value
    assert [len(each) for each in answered] == [0, 2, 0, 0, 0]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((REPLACE, "conf-ldap-size-limit", ["-1"]), ResultCode.CONSTRAINT_VIOLATION),
        ((ADD, "conf-ldap-size-limit", ["8"]), ResultCode.CONSTRAINT_VIOLATION),
        ((REPLACE, "conf-pop3-enabled", ["TRUE"]), ResultCode.OBJECT_CLASS_VIOLATION),
    ],
)
def test_or_none_of_them(admin: Identity, directory: Directory, last: Any, expected: ResultCode) -> None:
    before = directory.settings.stored()
    updates = [
        changing(LDAP, (REPLACE, "conf-ldap-size-limit", ["7"])),
        changing(ANN, (REPLACE, "title", ["Cook"])),
        changing(LDAP, last),
    ]
    with pytest.raises(FailedUpdate) as failed:
        run(admin.settle([(each, PLAIN) for each in updates]))
    assert (failed.value.number, failed.value.result.code) == (2, expected)
    assert directory.settings.stored() == before
    assert run(directory.db.read(rows.values)).keys() == before.keys()
    assert not search(admin, "(title=Cook)", base=RECIPIENTS)


def test_who_gives_up_his_rights_changes_no_settings_after_that(admin: Identity, door: Door) -> None:
    second = changing(ANN, (REPLACE, "imsAdministrator", ["TRUE"]))
    mine = f"cn=administrator,{RECIPIENTS}"
    run(admin.settle([(second, PLAIN)]))
    resigned = changing(mine, (REPLACE, "imsAdministrator", ["FALSE"]))
    page_too = changing(LDAP, (REPLACE, "conf-ldap-size-limit", ["7"]))
    with pytest.raises(FailedUpdate) as failed:
        run(admin.settle([(resigned, PLAIN), (page_too, PLAIN)]))
    assert failed.value.number == 1
    ann = run(door.bind("ann", b"anns", HERE))
    run(ann.settle([(changing(ANN, (REPLACE, "imsAdministrator", ["FALSE"])), PLAIN)]))
    with pytest.raises(FailedUpdate) as failed:
        run(ann.settle([(changing(ANN, (REPLACE, "info", ["x"])), PLAIN), (page_too, PLAIN)]))
    assert (failed.value.number, failed.value.result.code) == (1, ResultCode.NO_SUCH_OBJECT)


# Copies -----------------------------------------------------------------------------------


def copied(identity: Identity, cookie: bytes = b"") -> Consumer:
    made = Consumer(identity, "(objectClass=*)", CONFIG)
    made.attributes = ("conf-ldap-size-limit",)
    made.cookie = cookie
    return made


def test_a_copy_of_the_settings_is_kept_by_polling(admin: Identity, door: Door, directory: Directory) -> None:
    copy = copied(admin)
    assert len(copy.poll()) == 1 + len(PAGES) == len(copy.copy)
    assert copy.poll() == [] and len(copy.copy) == 1 + len(PAGES)
    modify(admin, LDAP, (REPLACE, "conf-ldap-size-limit", ["7"]))
    own = f"cn=mail.example.test,{LDAP}"
    run(admin.add(AddRequest(own, (Attribute("conf-ldap-size-limit", (b"5",)),))))
    assert "add mail.example.test" in copy.poll() and len(copy.copy) == 2 + len(PAGES)
    # The state is in the cookie: another connection, and another process, go on from it.
    again = copied(run(door.bind("administrator", b"secret", HERE)), copy.cookie)
    assert again.poll() == []
    run(admin.delete(DeleteRequest(own)))
    copy.poll()
    assert "mail.example.test" not in copy.names and len(copy.copy) == 1 + len(PAGES)
    other = copied(admin, b"nonsense")
    with pytest.raises(Failed) as refused:
        other.poll()
    assert refused.value.result.code is ResultCode.SYNC_REFRESH_REQUIRED
    assert len(other.poll(reload=True)) == 1 + len(PAGES)
    with pytest.raises(errors.NoSuchEntry):
        copied(run(door.bind("ann", b"anns", HERE))).poll()


def test_changes_of_settings_are_told(admin: Identity, directory: Directory) -> None:
    copy = copied(admin)
    copy.persist()
    wait_for(directory, lambda: copy.persisting)
    before, copy.sent = copy.cookie, []
    modify(admin, LDAP, (REPLACE, "conf-ldap-size-limit", ["7"]))
    wait_for(directory, lambda: copy.sent)
    assert copy.sent == ["modify ldap"] and copy.cookie != before
    own = f"cn=mail.example.test,{LDAP}"
    run(admin.add(AddRequest(own, (Attribute("conf-ldap-size-limit", (b"5",)),))))
    wait_for(directory, lambda: len(copy.sent) > 1)
    run(admin.delete(DeleteRequest(own)))
    wait_for(directory, lambda: len(copy.sent) > 2)
    assert copy.sent[1:] == ["add mail.example.test", "delete mail.example.test"]
    assert copied(admin, copy.cookie).poll() == []
    copy.stop()
    assert not directory.following


def test_who_is_no_administrator_any_more_is_told_of_no_settings(
    admin: Identity, door: Door, directory: Directory
) -> None:
    modify(admin, ANN, (REPLACE, "imsAdministrator", ["TRUE"]))
    copy = copied(run(door.bind("ann", b"anns", HERE)))
    copy.persist()
    wait_for(directory, lambda: copy.persisting)
    modify(admin, ANN, (REPLACE, "imsAdministrator", []))
    copy.sent = []
    modify(admin, LDAP, (REPLACE, "conf-ldap-size-limit", ["7"]))
    wait_for(directory, lambda: copy.error)
    assert isinstance(copy.error, errors.NotPermitted) and copy.sent == []


def test_a_persistent_search_of_settings(admin: Identity, directory: Directory) -> None:
    asked = Controls(persistent=PersistentSearch(ChangeType.MODIFY, True, True))
    request = SearchRequest(CONFIG, Scope.ONE, Deref.NEVER, 0, 0, False, parse("(cn=*)"), ("1.1",))
    whole = replace(request, attributes=("*",))
    told: list[Answer] = []

    async def gather() -> None:
        async for answer in admin.search(whole, asked):
            if isinstance(answer, Answer):
                told.append(answer)

    waiting = Deferred.fromCoroutine(gather())
    waiting.addErrback(lambda failure: failure.trap(CancelledError))
    wait_for(directory, lambda: told)
    modify(admin, LDAP, (REPLACE, "conf-ldap-size-limit", ["7"]))
    wait_for(directory, lambda: len(told) > 1)
    assert told[0] is PERSISTING and LDAP.encode() in told[1].operation
    assert told[1].controls[0].oid == CHANGE_NOTIFICATION
    waiting.cancel()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each.definition.key)
def test_what_is_shown_can_be_written_back(setting: settingtypes.Setting) -> None:
    found = next(each for each in PAGES if each.section == setting.section)
    value = found().model_dump(mode="json")[setting.field]
    shown = settingtypes.shown(setting.form, value)
    if shown:
        back = settingtypes.read(setting.form, list(shown), value)
        assert getattr(found.model_validate({setting.field: back}), setting.field) == getattr(
            found(), setting.field
        )
    else:
        assert value in (None, "", [], {}), setting
    assert setting.form is not Form.INTEGER or isinstance(value, int)


def test_sorted_and_as_a_list(admin: Identity) -> None:
    notes: list[Control] = []
    asked = Controls(sort=(SortKey("cn", "", True),), view=ListView(0, 1, offset=1))
    names = list(search(admin, "(objectClass=confPage)", "1.1", controls=asked, notes=notes))
    last = sorted((each.section for each in PAGES), reverse=True)[:2]
    assert names == [f"cn={name},{CONFIG}" for name in last] and len(notes) == 2
    with pytest.raises(Failed) as refused:
        search(admin, controls=Controls(sort=(SortKey("nonsense", "", False),), sort_critical=True))
    assert refused.value.result.code is ResultCode.UNAVAILABLE_CRITICAL_EXTENSION
    assert search(admin, controls=Controls(assertion=Present("cn")))
