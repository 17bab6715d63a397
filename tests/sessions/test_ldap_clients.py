"""What today's programs ask a directory, message by message, and what they rely on in the answers.

Each test is one program: its way of encoding, its filters and attributes (known to us or not), its
controls, in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from imsd import errors
from imsd.auth.account import Account
from imsd.directory.directory import Directory
from imsd.sessions.ldap import Door
from protocols.ldap import ber, client, controls, filters
from protocols.ldap.messages import (
    AbandonRequest,
    Attribute,
    BindRequest,
    Change,
    ChangeKind,
    Control,
    Deref,
    ExtendedRequest,
    ModifyRequest,
    PasswordModify,
    Request,
    Scope,
    SearchRequest,
    SearchResultDone,
    SearchResultEntry,
    Simple,
    UnbindRequest,
)
from protocols.ldap.reader import Reader
from protocols.ldap.results import ResultCode
from protocols.ldap.server import LdapConnection
from protocols.lines import NEED_DATA
from protocols.security import Security
from tests.directory.support import as_elsewhere, configure, open_directory
from tests.ldap.fake import Transport
from tests.sessions.test_ldap import Logins
from tests.support.stores import StoreReactor, open_store, run

BASE = "dc=example,dc=test"
RECIPIENTS = f"cn=Recipients,ou=Main,{BASE}"
ALICE = f"cn=alice,{RECIPIENTS}"
PEOPLE = [
    ("alice", "Alice", "Adams"), ("stacey", "Stacey", "Baker"), ("steve", "Steve", "Cole"),
    ("suzan", "Suzan", "Fine"), ("maria", "Maria", "Stone"), ("raymond", "Raymond", "Ost"),
]  # fmt: skip


class Authenticator(Logins):
    def mechanisms(self, security: Security) -> list[str]:
        return ["PLAIN", "SCRAM-SHA-256"]

    def watch_rights(self, account: Account, moved: Any) -> Any:
        return SimpleNamespace(stop=lambda: None)

    async def external(self, authzid: str, security: Security) -> Any:
        raise errors.AuthenticationFailed


def long_form(data: bytes) -> bytes:
    """The same message with lengths of constructed elements in four octets, as Microsoft's clients write."""
    made, at = b"", 0
    while at < len(data):
        tag, start, stop = ber.element(data, at, len(data))
        inside = data[start:stop]
        if tag & 0x20:
            inside = long_form(inside)
            made += bytes([tag, 0x84]) + len(inside).to_bytes(4, "big") + inside
        else:
            made += data[at:stop]
        at = stop
    return made


class Program:
    """One client on a connection of its own. form: how it writes a message."""

    def __init__(
        self, door: Door, reactor: StoreReactor, form: Callable[[bytes], bytes] = lambda data: data
    ) -> None:
        self.reactor = reactor
        self.form = form
        self.transport = Transport(peerAddress=IPv4Address("TCP", "127.0.0.1", 4444))
        self.connection = LdapConnection(reactor, door, lambda: None)
        self.connection.makeConnection(self.transport)
        self.number = 0
        self.controls: dict[str, bytes | None] = {}

    def send(self, request: Request, *more: Control) -> int:
        self.number += 1
        self.connection.dataReceived(self.form(client.write(self.number, request, more)))
        return self.number

    def receive(self) -> list[Any]:
        """All that is answered to what was sent."""

        async def turn() -> None:
            waiting: Deferred[None] = Deferred()
            self.reactor.callFromThread(waiting.callback, None)
            await waiting

        for _ in range(10_000):
            self.reactor.advance(0)
            if not self.connection.operations:
                break
            run(turn())
        reader = Reader(1 << 30)
        reader.feed(self.transport.value())
        self.transport.clear()
        found = []
        while (taken := reader.next()) is not NEED_DATA:
            message = client.read(taken)
            assert message.message_id in (0, self.number)
            self.controls = {each.oid: each.value for each in message.controls}
            found.append(message.operation)
        return found

    def ask(self, request: Request, *more: Control) -> list[Any]:
        self.send(request, *more)
        return self.receive()

    def bind(self, name: str, password: str) -> ResultCode:
        return code(self.ask(BindRequest(3, name, Simple(password.encode())))[0])

    def search(
        self,
        text: str,
        attributes: str = "",
        *more: Control,
        base: str = BASE,
        scope: Scope = Scope.SUBTREE,
        deref: Deref = Deref.NEVER,
        size: int = 0,
        seconds: int = 0,
        expect: ResultCode = ResultCode.SUCCESS,
    ) -> dict[str, dict[str, list[str]]]:
        request = SearchRequest(
            base, scope, deref, size, seconds, False, filters.parse(text), tuple(attributes.split())
        )
        *entries, done = self.ask(request, *more)
        assert isinstance(done, SearchResultDone) and done.result.code is expect, done
        found = {}
        for each in entries:
            assert isinstance(each, SearchResultEntry)
            found[each.dn] = {
                one.name: [value.decode("utf-8", "backslashreplace") for value in one.values]
                for one in each.attributes
            }
        return found


def code(answer: Any) -> ResultCode:
    found: ResultCode = answer.result.code
    return found


def names(found: dict[str, Any]) -> list[str]:
    return [name.partition(",")[0].partition("=")[2] for name in found]


@pytest.fixture
def directory(tmp_path: Path, store_reactor: StoreReactor) -> Iterator[Directory]:
    database = open_store(tmp_path / "home")
    directory = open_directory(database)
    for uid, given, surname in PEOPLE:
        run(
            directory.add_user(
                f"{uid}@example.test", alias=uid, name=f"{given} {surname}", given_name=given,
                surname=surname, password=f"{uid}s",
            )
        )  # fmt: skip
    run(directory.add_group("staff@example.test", name="Staff", members=["alice", "suzan"], owner="alice"))
    run(directory.change("suzan", {"telephoneNumber": ["+1 555 0102"]}))
    yield directory
    run(database.close())


@pytest.fixture
def program(directory: Directory, store_reactor: StoreReactor) -> Callable[..., Program]:
    door = Door(directory, directory.settings, Authenticator(directory))  # type: ignore[arg-type]

    def make(who: str = "alice", form: Callable[[bytes], bytes] = lambda data: data) -> Program:
        made = Program(door, store_reactor, form)
        if who:
            assert made.bind(who, "secret" if who == "administrator" else f"{who}s") is ResultCode.SUCCESS
        return made

    return make


def paged(size: int, cookie: bytes = b"", critical: bool = False) -> Control:
    return Control(controls.PAGED_RESULTS, critical, ber.sequence([ber.integer(size), ber.octets(cookie)]))


def cookie_of(answered: dict[str, bytes | None]) -> bytes:
    inside = ber.Cursor(answered[controls.PAGED_RESULTS] or b"").enter()
    inside.integer()
    return inside.octets()


# Address books ----------------------------------------------------------------------------

_THUNDERBIRD = (
    "cn commonname mail sn surname givenName givenname displayName xmozillanickname mozillaNickname "
    "mozillaSecondEmail mozillaUseHtmlMail nsAIMid _AimScreenName telephoneNumber homePhone "
    "facsimiletelephonenumber fax pager pagerphone mobile cellphone carphone mozillaHomeStreet street "
    "streetaddress postOfficeBox l locality region st postalCode zip c countryname o company ou department "
    "orgunit description notes modifytimestamp objectclass userCertificate;binary jpegPhoto birthyear"
)


def test_thunderbird(program: Callable[..., Program], directory: Directory) -> None:
    """Completion of addresses, the address book's search, and the certificate of a recipient."""
    thunderbird = program("")
    assert thunderbird.bind("", "") is ResultCode.SUCCESS  # anonymous first
    assert thunderbird.bind(ALICE, "alices") is ResultCode.SUCCESS
    text = "(&(objectClass=*)(|(mail=*tac*)(|(cn=*tac*)(|(givenName=*tac*)(sn=*tac*)))))"
    found = thunderbird.search(text, _THUNDERBIRD, size=100, seconds=0)
    assert names(found) == ["stacey"]
    stacey = next(value for name, value in found.items() if name.startswith("cn=stacey"))
    assert stacey["mail"] == ["stacey@example.test"] and stacey["cn"][0] == "Stacey Baker"
    assert stacey["modifyTimestamp"][0].endswith("Z") and "_AimScreenName" not in stacey
    as_elsewhere(directory, f"cn=suzan,{RECIPIENTS}", "userCertificate", b"not asked what it is")
    text = "(&(mail=suzan@example.test)(objectclass=*))"
    (shown,) = thunderbird.search(text, "usercertificate;binary", deref=Deref.ALWAYS).values()
    assert list(shown) == ["userCertificate;binary"]
    # Its replication asks the root DSE what there is, and finds no change log.
    asked = "changelog firstChangeNumber lastChangeNumber dataVersion"
    (root,) = thunderbird.search("(objectclass=*)", asked, base="", scope=Scope.BASE).values()
    assert root == {}


def test_outlook(program: Callable[..., Program]) -> None:
    """Long-form lengths, aliases always followed, 999 entries; browsing by a list view in order."""
    outlook = program("alice", long_form)
    attributes = (
        "cn commonName mail roleOccupant display-name displayname sn surname co organizationName o givenName "
        "legacyExchangeDN objectClass uid mailNickname title company telephoneNumber"
    )
    (root,) = outlook.search("(objectclass=*)", "supportedControl supportedCapabilities namingContexts",
                             base="", scope=Scope.BASE, size=999, seconds=60).values()  # fmt: skip
    assert {controls.VLV, controls.SORT} <= set(root["supportedControl"])
    text = "(&(mail=*)(|(mail=st*)(|(cn=st*)(|(sn=st*)(|(givenName=st*)(displayName=st*))))))"
    found = outlook.search(text, attributes, size=999, seconds=60, deref=Deref.ALWAYS)
    assert sorted(names(found)) == ["maria", "stacey", "staff", "steve"]
    # The address book is opened: as many rows as the window has, then a letter is typed.
    sort = Control(controls.SORT, True, ber.sequence([ber.sequence([ber.octets(b"displayName")])]))

    def view(choice: bytes) -> Control:
        value = ber.sequence([ber.integer(0), ber.integer(3), choice])
        return Control(controls.VLV, True, long_form(value))

    first = ber.sequence([ber.integer(1), ber.integer(0)], 0xA0)
    text = "(&(mail=*)(displayName=*))"
    shown = outlook.search(text, attributes, sort, view(first), size=999, deref=Deref.ALWAYS)
    assert names(shown) == ["administrator", "alice", "maria", "raymond"]
    answered = ber.Cursor(outlook.controls[controls.VLV_ANSWER] or b"").enter()
    assert (answered.integer(), answered.integer(), answered.integer(ber.ENUMERATED)) == (1, 8, 0)
    typed = ber.wrap(0x81, b"su")
    shown = outlook.search(text, attributes, sort, view(typed), size=999, deref=Deref.ALWAYS)
    assert names(shown) == ["suzan"]
    below = ber.sequence([ber.integer(5), ber.integer(8)], 0xA0)
    assert names(outlook.search(text, "cn", sort, view(below), deref=Deref.ALWAYS)) == [
        "stacey", "staff", "steve", "suzan",
    ]  # fmt: skip
    # One recipient's details, by the DN it was given.
    assert names(outlook.search("(objectClass=*)", attributes, base=next(iter(shown)), scope=Scope.BASE)) == [
        "suzan"
    ]


def test_outlook_express(program: Callable[..., Program]) -> None:
    """Q177724: beginnings of given name, surname, directory name and address."""
    express = program("alice", long_form)
    text = "(|(mail=st*)(|(cn=st*)(|(sn=st*)(givenname=st*))))"
    found = express.search(text, "cn mail sn givenname c l st co", size=100, deref=Deref.ALWAYS)
    assert sorted(names(found)) == ["maria", "stacey", "staff", "steve"]


def test_apple_contacts(program: Callable[..., Program]) -> None:
    """Asks the root DSE for the base, then words in any order."""
    contacts = program()
    (root,) = contacts.search("(objectClass=*)", "namingContexts", base="", scope=Scope.BASE).values()
    assert root["namingContexts"][0] == BASE
    text = "(|(&(givenName=su*)(sn=fi*))(&(givenName=fi*)(sn=su*))(cn=*su*fi*)(mail=su*))"
    assert names(contacts.search(text, "*", size=50)) == ["suzan"]


# Systems ----------------------------------------------------------------------------------


def test_sssd(program: Callable[..., Program]) -> None:
    """The root DSE and the schema first, then people and groups by name, member and UUID, in pages."""
    sssd = program()
    root = sssd.search(
        "(objectclass=*)", "* altServer namingContexts supportedControl supportedExtension supportedFeatures "
        "supportedLDAPVersion supportedSASLMechanisms domainControllerFunctionality defaultNamingContext "
        "highestCommittedUSN lastUSN", base="", scope=Scope.BASE,
    )[""]  # fmt: skip
    assert controls.PAGED_RESULTS in root["supportedControl"] and root["supportedLDAPVersion"] == ["3"]
    attributes = (
        "objectClass uid userPassword uidNumber gidNumber gecos homeDirectory loginShell krbPrincipalName cn "
        "memberOf ipaUniqueID ipaNTSecurityIdentifier modifyTimestamp entryUSN shadowLastChange shadowMin "
        "nsAccountLock host loginDisabled sshPublicKey userCertificate;binary mail entryUUID"
    )
    text = "(&(uid=suzan)(objectclass=inetOrgPerson)(&(uid=*)(!(uid=root))))"
    (person,) = sssd.search(text, attributes, paged(1000)).values()
    assert person["memberOf"] == [f"cn=staff,{RECIPIENTS}"] and "userPassword" not in person
    assert cookie_of(sssd.controls) == b""
    # No POSIX account: an empty answer, not an error.
    assert not sssd.search(
        "(&(uid=suzan)(objectclass=posixAccount)(&(uidNumber=*)(!(uidNumber=0))))", attributes
    )
    text = f"(&(member=cn=suzan,{RECIPIENTS})(objectClass=groupOfNames)(cn=*))"
    (group,) = sssd.search(
        text, "objectClass cn userPassword gidNumber member modifyTimestamp entryUSN"
    ).values()
    assert group["member"] == [f"cn=alice,{RECIPIENTS}", f"cn=suzan,{RECIPIENTS}"]
    by_uuid = f"(&(entryUUID={person['entryUUID'][0]})(objectclass=inetOrgPerson))"
    assert names(sssd.search(by_uuid, "uid")) == ["suzan"]
    since = f"(&(objectclass=inetOrgPerson)(modifyTimestamp>={person['modifyTimestamp'][0]}))"
    assert "suzan" in names(sssd.search(since, "uid", paged(1000)))
    # pam_sss binds as the person.
    assert program("").bind(f"cn=suzan,{RECIPIENTS}", "wrong") is ResultCode.INVALID_CREDENTIALS
    assert program("").bind(f"cn=suzan,{RECIPIENTS}", "suzans") is ResultCode.SUCCESS


def test_postfix_ldap_table(program: Callable[..., Program]) -> None:
    """Aliases by query_filter with result_attribute, lists by special_result_attribute (ldap_table(5))."""
    postfix = program()

    def lookup(address: str) -> list[str]:
        text = f"(|(mail={address})(otherMailbox=smtp${address}))"
        found = postfix.search(text, "mail member", size=0, deref=Deref.NEVER)
        results = []
        for entry in found.values():
            results += entry.get("mail", []) if "member" not in entry else []
            for member in entry.get("member", []):
                below = postfix.search("(objectclass=*)", "mail member", base=member, scope=Scope.BASE)
                results += below[member]["mail"]
        return results

    assert lookup("suzan@example.test") == ["suzan@example.test"]
    assert lookup("SUZAN@EXAMPLE.TEST") == ["suzan@example.test"]
    assert lookup("staff@example.test") == ["alice@example.test", "suzan@example.test"]
    assert lookup("nobody@example.test") == []
    assert (
        lookup(
            "a*b(c)\\".replace("\\", "\\5c").replace("(", "\\28").replace(")", "\\29").replace("*", "\\2a")
        )
        == []
    )


def test_dovecot(program: Callable[..., Program]) -> None:
    """auth_bind: the entry is looked up by one connection, the password tried by another."""
    lookup = program()
    text = "(&(objectClass=inetOrgPerson)(|(uid=suzan)(mail=suzan)))"
    (name,) = lookup.search(text, "uid mail")
    for password, expected in (("suzans", ResultCode.SUCCESS), ("", ResultCode.UNWILLING_TO_PERFORM)):
        assert program("").bind(name, password) is expected


# Web applications -------------------------------------------------------------------------


def test_nextcloud(program: Callable[..., Program], directory: Directory) -> None:
    """Pages of 3 with every attribute it knows, over more than ldap.size_limit, given up in the middle."""
    configure(directory, ldap__size_limit="4")
    nextcloud = program()
    attributes = (
        "entryuuid nsuniqueid objectguid guid ipauniqueid dn uid samaccountname memberof mail displayname "
        "jpegphoto thumbnailphoto quota"
    )
    text = "(&(|(objectclass=inetOrgPerson))(displayname=*))"
    everybody: list[str] = []
    cookie = b""
    for _ in range(10):
        found = nextcloud.search(text, attributes, paged(3, cookie))
        everybody += names(found)
        assert all(len(entry["entryUUID"][0]) == 36 for entry in found.values())
        cookie = cookie_of(nextcloud.controls)
        if not cookie:
            break
    assert sorted(everybody) == sorted(["administrator", *(uid for uid, _, _ in PEOPLE)])
    nextcloud.search(text, "1.1", paged(3))
    gone = cookie_of(nextcloud.controls)
    assert not nextcloud.search(text, "1.1", paged(0, gone))
    nextcloud.search(text, "1.1", paged(3, gone), expect=ResultCode.UNWILLING_TO_PERFORM)
    # Counting by reading one base after the other; a group's members one by one.
    assert nextcloud.search("(objectClass=*)", "member", base=f"cn=staff,{RECIPIENTS}", scope=Scope.BASE)
    # Without pages it is told of the limit, and has what fits.
    assert len(nextcloud.search(text, "1.1", expect=ResultCode.SIZE_LIMIT_EXCEEDED)) == 4


def test_go_ldap(program: Callable[..., Program]) -> None:
    """github.com/go-ldap: pages with a critical control, modify, password modify, whoami, compare."""
    go = program("administrator")
    found: list[str] = []
    cookie = b""
    while True:
        found += names(go.search("(objectClass=person)", "dn cn", paged(2, cookie, True)))
        cookie = cookie_of(go.controls)
        if not cookie:
            break
    assert len(found) == len(set(found)) == 1 + len(PEOPLE)
    change = Change(ChangeKind.REPLACE, Attribute("title", (b"Chef",)))
    assert code(go.ask(ModifyRequest(ALICE, (change,)))[0]) is ResultCode.SUCCESS
    value = client.encode_password_modify(PasswordModify(ALICE, None, None))
    (answer,) = go.ask(ExtendedRequest("1.3.6.1.4.1.4203.1.11.1", value))
    inside = ber.Cursor(answer.value).enter()
    assert program("").bind(ALICE, inside.octets(0x80).decode()) is ResultCode.SUCCESS
    (who,) = go.ask(ExtendedRequest("1.3.6.1.4.1.4203.1.11.3"))
    assert who.value.startswith(b"dn:cn=administrator,")
    # Its UnauthenticatedBind: a name and no password is nobody's login.
    assert program("").bind(ALICE, "") is ResultCode.UNWILLING_TO_PERFORM


def test_ldapjs(program: Callable[..., Program]) -> None:
    """JavaScript: several requests at once, an abandon, controls without a value, then unbind."""
    js = program()
    request = SearchRequest(
        BASE, Scope.SUBTREE, Deref.NEVER, 0, 10, False, filters.parse("(objectclass=*)"), ()
    )
    first = js.send(request, Control(controls.MANAGE_DSA_IT, False, None))
    js.connection.dataReceived(client.write(first + 1, AbandonRequest(first)))
    js.number = first + 2
    js.connection.dataReceived(
        client.write(
            js.number, SearchRequest(ALICE, Scope.BASE, Deref.NEVER, 0, 10, False, filters.Present("cn"), ())
        )
    )
    for _ in range(1000):
        js.reactor.advance(0)
        if not js.connection.operations:
            break
    reader = Reader(1 << 30)
    reader.feed(js.transport.value())
    ids = []
    while (taken := reader.next()) is not NEED_DATA:
        ids.append(client.read(taken).message_id)
    assert ids[-1] == first + 2 and first + 1 not in ids
    js.transport.clear()
    js.send(UnbindRequest())
    assert js.transport.disconnecting and not js.transport.value()
