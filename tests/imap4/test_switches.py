"""A capability that is switched off is neither announced nor served."""

from __future__ import annotations

import pytest

from protocols.imap4 import switches
from protocols.imap4.server import Limits
from protocols.imap4.verbs import AFTER_LOGIN, VERBS
from tests.support.imap4 import Client, World, world_with


def without(*names: bytes, world: World | None = None) -> Client:
    return Client(world or world_with(3), limits=lambda: Limits(off=frozenset(names)))


def announced(client: Client) -> list[bytes]:
    return client.say(b"c CAPABILITY").split(b"\r\n")[0].split()[2:]


SERVED = [
    (b"COMPRESS=DEFLATE", b"a COMPRESS DEFLATE"),
    (b"IDLE", b"a IDLE"),
    (b"ID", b"a ID NIL"),
    (b"NAMESPACE", b"a NAMESPACE"),
    (b"UNSELECT", b"a UNSELECT"),
    (b"UIDPLUS", b"a UID EXPUNGE 1"),
    (b"MOVE", b"a MOVE 1 INBOX"),
    (b"MOVE", b"a UID MOVE 1 INBOX"),
    (b"SORT", b"a UID SORT (DATE) UTF-8 ALL"),
    (b"SORT=DISPLAY", b"a SORT (DISPLAYFROM) UTF-8 ALL"),
    (b"ESORT", b"a SORT RETURN (COUNT) (DATE) UTF-8 ALL"),
    (b"THREAD=REFS", b"a THREAD REFS UTF-8 ALL"),
    (b"ESEARCH", b"a SEARCH RETURN (COUNT) ALL"),
    (b"SEARCHRES", b"a SEARCH RETURN (SAVE) ALL"),
    (b"PARTIAL", b"a SEARCH RETURN (PARTIAL 1:2) ALL"),
    (b"PARTIAL", b"a UID FETCH 1:* FLAGS (PARTIAL 1:2)"),
    (b"WITHIN", b"a SEARCH OLDER 10"),
    (b"CONDSTORE", b"a FETCH 1 (MODSEQ)"),
    (b"CONDSTORE", b"a FETCH 1 FLAGS (CHANGEDSINCE 1)"),
    (b"CONDSTORE", b"a STORE 1 (UNCHANGEDSINCE 1) FLAGS ()"),
    (b"CONDSTORE", b"a SELECT INBOX (CONDSTORE)"),
    (b"CONDSTORE", b"a STATUS INBOX (HIGHESTMODSEQ)"),
    (b"CONDSTORE", b"a SEARCH MODSEQ 1"),
    (b"BINARY", b"a FETCH 1 BINARY.SIZE[1]"),
    (b"SAVEDATE", b"a FETCH 1 SAVEDATE"),
    (b"PREVIEW", b"a FETCH 1 PREVIEW"),
    (b"OBJECTID", b"a FETCH 1 EMAILID"),
    (b"STATUS=SIZE", b"a STATUS INBOX (SIZE)"),
    (b"LIST-EXTENDED", b'a LIST (SUBSCRIBED) "" *'),
    (b"LIST-EXTENDED", b'a LIST "" * RETURN (CHILDREN)'),
    (b"LIST-STATUS", b'a LIST "" * RETURN (STATUS (MESSAGES))'),
    (b"SPECIAL-USE", b'a LIST (SPECIAL-USE) "" *'),
    (b"CREATE-SPECIAL-USE", b"a CREATE x (USE (\\Sent))"),
    (b"MULTIAPPEND", b"a APPEND INBOX {1+}\r\nx {1+}\r\ny"),
    (b"BINARY", b"a APPEND INBOX ~{1+}\r\nx"),
    (b"QUOTA", b"a GETQUOTAROOT INBOX"),
    (b"QUOTASET", b'a SETQUOTA "#user/alice" (STORAGE 1)'),
    (b"REPLACE", b"a REPLACE 1 INBOX {1+}\r\nx"),
    (b"LANGUAGE", b"a LANGUAGE"),
    (b"CONTEXT=SEARCH", b"a SEARCH RETURN (UPDATE) ALL"),
    (b"MULTISEARCH", b"a ESEARCH IN (personal) ALL"),
    (b"ENABLE", b"a ENABLE CONDSTORE"),
]


@pytest.mark.parametrize(("capability", "line"), SERVED, ids=lambda value: value[:30].decode())
def test_what_is_off_is_not_served(capability: bytes, line: bytes) -> None:
    client = without(capability).select()
    assert capability not in announced(client)
    assert client.say(line).split(b"\r\n")[-2].startswith(b"a BAD "), line
    assert client.say(b"z NOOP").endswith(b"z OK NOOP completed\r\n")


@pytest.mark.parametrize(("capability", "line"), SERVED, ids=lambda value: value[:30].decode())
def test_the_same_is_served_where_it_is_on(capability: bytes, line: bytes) -> None:
    # Or else the tests above would show nothing.
    client = Client(world_with(3)).login() if capability == b"ENABLE" else Client(world_with(3)).select()
    assert capability in announced(client)
    assert b"a BAD " not in client.say(line)


@pytest.mark.parametrize("verb", VERBS)
def test_commands_of_rfc_3501_are_always_there(verb: bytes) -> None:
    every = switches.closed(AFTER_LOGIN)
    base = verb.removeprefix(b"UID ")
    expected = base in switches._RFC3501 and verb != b"UID EXPUNGE"
    assert switches.usable(VERBS[verb], VERBS, every) is expected


def test_what_is_built_on_it_goes_with_it() -> None:
    off = switches.closed([b"condstore"])
    assert off == {b"CONDSTORE", b"QRESYNC"}
    assert b"IMAP4REV2" in switches.closed([b"MOVE"])
    assert switches.closed([b"IMAP4rev1", b"STARTTLS"]) == frozenset()
    assert b"IMAP4rev2" not in announced(without(b"IDLE").login())
    assert b"IMAP4rev2" in announced(without(b"QRESYNC").login())


def test_what_is_off_is_not_enabled() -> None:
    client = without(b"QRESYNC").login()
    assert client.say(b"a ENABLE QRESYNC CONDSTORE").startswith(b"* ENABLED CONDSTORE\r\n")


def test_no_initial_response_without_sasl_ir() -> None:
    client = without(b"SASL-IR")
    assert b"SASL-IR" not in announced(client)
    assert client.say(b"a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==").startswith(b"a BAD ")


def test_an_account_has_its_own() -> None:
    world = world_with(1)
    world.capabilities_off = frozenset({b"MOVE"})
    client = Client(world)
    assert b"MOVE" not in client.login().say(b"c CAPABILITY")
    assert client.say(b"a MOVE 1 x").startswith(b"a BAD ")
    # Once logged out, the next one's hold.
    world.capabilities_off = frozenset()
    client.say(b"u UNAUTHENTICATE")
    client.login()
    assert b"MOVE" in announced(client)


def test_a_clumsy_client_is_told_of_what_it_has_now() -> None:
    client = Client(world_with(1)).login()
    assert b"UIDONLY" in announced(client)
    told = client.say(b'a ID ("name" "Clumsy")').split(b"\r\n")
    assert told[0].startswith(b"* ID ")
    assert told[1].startswith(b"* CAPABILITY ")
    assert b" UIDONLY" not in told[1]
    assert client.say(b"a ENABLE UIDONLY").startswith(b"* ENABLED\r\n")
    # Who is as others are hears nothing.
    assert Client(world_with(1)).login().say(b'a ID ("name" "Fine")').count(b"\r\n") == 2


def test_a_change_is_effective_with_the_next_command() -> None:
    off: list[bytes] = []
    client = Client(world_with(1), limits=lambda: Limits(off=frozenset(off))).login()
    assert b"IDLE" in announced(client)
    off.append(b"IDLE")
    assert b"IDLE" not in announced(client)
    assert client.say(b"a IDLE").startswith(b"a BAD ")


def test_no_uids_are_told_where_uidplus_is_off() -> None:
    for names, told in (((), True), ((b"UIDPLUS",), False)):
        client = without(*names).select()
        for line in (b"a COPY 1 INBOX", b"a UID COPY 1 INBOX", b"a APPEND INBOX {1+}\r\nx"):
            answer = client.say(line)
            assert b"a OK" in answer and (b"UID " in answer.split(b"a OK")[1]) is told, (names, line)


@pytest.mark.parametrize(
    ("capability", "line", "code"),
    [
        (b"CONDSTORE", b"a SELECT INBOX", b"HIGHESTMODSEQ"),
        (b"CONDSTORE", b"a EXAMINE INBOX", b"HIGHESTMODSEQ"),
        (b"OBJECTID", b"a SELECT INBOX", b"MAILBOXID"),
        (b"OBJECTID", b"a CREATE Other", b"MAILBOXID"),
        (b"URLAUTH", b"a SELECT INBOX", b"URLMECH"),
    ],
)
def test_codes_of_what_is_off_are_not_sent(capability: bytes, line: bytes, code: bytes) -> None:
    for names, told in (((), True), ((capability,), False)):
        answer = without(*names).login().say(line)
        assert b"a OK" in answer and (code in answer) is told, (names, answer)
