"""Several sessions on one mailbox over the wire, in any order, against a simple model.

The clients believe what they are told and check that it can be true; the model says what is
true, with the mod-sequence of each message. After a NOOP a client knows exactly that; one that
asked NOTIFY for the selected mailbox, or is in IDLE, knows it without. Some clients speak QRESYNC,
lose their connection and come back with what they knew; some know no message numbers; some follow
searches.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from imsd.sessions.imap4 import marks
from imsd.sessions.imap4.held import Mailstore
from imsd.store import mailboxes, messages
from imsd.store.ids import MailboxId
from protocols.imap4.server import Imap4Server
from tests.support.imap import mailstore, session
from tests.support.imap4 import FakeDoor, World
from tests.support.mail import ALICE, NOW, content, make_account
from tests.support.stores import run

EXAMPLES = int(os.environ.get("IMSD_EXAMPLES", "60"))
FLAGS = (b"\\Seen", b"\\Deleted", b"\\Flagged", b"$One")
_FETCH = re.compile(rb"\* (\d+) (UID)?FETCH \((.*)\)")
_CONTEXT = re.compile(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)?((?: (?:ADDTO|REMOVEFROM) \([^)]*\))+)')
_RESULTS = re.compile(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)? ALL ([0-9:,]+)')
_STEP = re.compile(rb"(ADDTO|REMOVEFROM) \(0 ([0-9:,]+)\)")
KEYS: dict[bytes, Callable[[frozenset[bytes]], bool]] = {
    b"ALL": lambda flags: True,
    b"FLAGGED": lambda flags: FLAGS[2] in flags,
    b"UNDELETED": lambda flags: FLAGS[1] not in flags,
    b"KEYWORD $One": lambda flags: FLAGS[3] in flags,
    b"OR SEEN NOT FLAGGED": lambda flags: FLAGS[0] in flags or FLAGS[2] not in flags,
}
_CODE = re.compile(rb".* OK \[HIGHESTMODSEQ (\d+)\]")


class Truth:
    """What is in the mailbox: flags and mod-sequence by UID."""

    def __init__(self) -> None:
        self.messages: dict[int, tuple[frozenset[bytes], int]] = {}
        self.modseq = 1
        self.uidnext = 1

    def add(self, many: list[frozenset[bytes]]) -> None:
        if many:
            self.modseq += 1
        for flags in many:
            self.messages[self.uidnext] = (flags, self.modseq)
            self.uidnext += 1

    def store(self, uids: list[int], change: bytes, flag: bytes, unchanged_since: int | None) -> None:
        changed = {}
        for uid in uids:
            if uid not in self.messages:
                continue
            old, modseq = self.messages[uid]
            if unchanged_since is not None and modseq > unchanged_since:
                continue
            new = old | {flag} if change == b"+" else old - {flag} if change == b"-" else frozenset((flag,))
            if new != old:
                changed[uid] = (new, self.modseq + 1)
        if changed:
            self.modseq += 1
            self.messages.update(changed)

    def remove(self, uids: list[int]) -> None:
        if uids:
            self.modseq += 1
        for uid in uids:
            del self.messages[uid]


class RealDoor(FakeDoor):
    """Logs alice into the store."""

    def __init__(self, held: Mailstore) -> None:
        super().__init__(World())
        self.held = held

    async def login(self, name: str, password: str, security: Any) -> Any:
        return session(self.held)

    def explain(self, error: Exception) -> Any:
        raise error


class Wire(StringTransport):
    """Tells when a line that starts with what is waited for was sent."""

    def __init__(self) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        self.text = b""
        self.waiting: tuple[bytes, Deferred[None]] | None = None

    def write(self, data: bytes) -> None:
        self.text += data
        self.look()

    def look(self) -> None:
        if self.waiting is not None and re.search(rb"(?m)^" + re.escape(self.waiting[0]), self.text):
            done, self.waiting = self.waiting[1], None
            done.callback(None)

    def until(self, start: bytes) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        self.waiting = (start, done)
        self.look()
        return done

    def taken(self) -> list[bytes]:
        text, self.text = self.text, b""
        return text.split(b"\r\n")[:-1]


@dataclass(frozen=True)
class Speaks:
    """notify: SELECTED or SELECTED-DELAYED, or nothing."""

    qresync: bool = False
    uidonly: bool = False
    notify: bytes = b""


class Client:
    """One client and what it believes. `uids` has 0 where it was not told which."""

    def __init__(self, held: Mailstore, name: bytes, speaks: Speaks) -> None:
        self.held, self.name, self.speaks = held, name, speaks
        self.qresync = speaks.qresync
        # Numbers that may move at any time, or that there are none of, are not used.
        self.by_uid = speaks.uidonly or speaks.notify == b"SELECTED"
        self.idling = False
        # By tag: the key, and the UIDs of what it was told to find; or a mark for each of `uids`.
        self.followed: dict[bytes, tuple[bytes, set[int]]] = {}
        self.marked: dict[bytes, tuple[bytes, list[bool]]] = {}
        self.uids: list[int] = []
        self.known: dict[int, tuple[frozenset[bytes], int]] = {}
        self.modseq = 0
        self.validity = b""
        self.count = 0
        self.connect()

    def connect(self) -> None:
        self.server = Imap4Server(self.held.reactor, RealDoor(self.held))
        self.wire = Wire()
        self.server.makeConnection(self.wire)
        self.wire.abortConnection = lambda: None  # type: ignore[method-assign]
        run(self.wire.until(b"* OK"))
        self.wire.taken()
        self.idling = False
        self.followed, self.marked = {}, {}
        self.say(b"LOGIN alice secret")
        if self.speaks.uidonly:
            self.say(b"ENABLE UIDONLY")
        if self.qresync:
            self.say(b"ENABLE QRESYNC")
            known = sorted(self.known)
            parameter = b""
            if self.modseq:
                # A sample of what it knew: the first, the middle and the last.
                places = sorted({0, len(known) // 2, len(known) - 1}) if known else []
                sample = b""
                if places and not self.speaks.uidonly:
                    sample = b" (%b %b)" % (
                        b",".join(b"%d" % (at + 1) for at in places),
                        b",".join(b"%d" % known[at] for at in places),
                    )
                parameter = b" (QRESYNC (%b %d%b))" % (self.validity, self.modseq, sample)
            self.say(b"SELECT " + self.name + parameter, known)
        else:
            self.say(b"SELECT " + self.name)
        self.complete()
        if self.speaks.notify:
            items = b"UID FLAGS MODSEQ" if self.qresync else b"UID FLAGS"
            self.say(
                b"NOTIFY SET (%b (MessageNew (%b) MessageExpunge FlagChange))" % (self.speaks.notify, items)
            )
            self.complete()

    @property
    def told_unasked(self) -> bool:
        return self.idling or self.speaks.notify == b"SELECTED"

    def listen(self) -> None:
        """Hear what comes without a command."""
        if self.idling or self.speaks.notify:
            for _ in range(3):
                run(self.held.breath())
            self.hear(self.wire.taken(), self.told_unasked)

    def idle(self) -> None:
        self.server.dataReceived(b"idle IDLE\r\n")
        run(self.wire.until(b"+ "))
        self.idling = True
        self.listen()

    def say(self, line: bytes, known: list[int] | None = None) -> list[bytes]:
        if self.idling:
            self.server.dataReceived(b"DONE\r\n")
            run(self.wire.until(b"idle OK"))
            self.hear(self.wire.taken(), True)
            self.idling = False
        elif self.speaks.notify and self.server.view is not None:
            self.listen()
        self.count += 1
        tag = b"t%d" % self.count
        self.server.dataReceived(tag + b" " + line + b"\r\n")
        run(self.wire.until(tag + b" "))
        lines = self.wire.taken()
        assert lines[-1].startswith(tag)
        verb = line.split(b" ", 1)[0]
        if verb == b"SELECT":
            self.uids, old = [], set(known or ())
            self.known = {uid: self.known[uid] for uid in old}
        self.hear(lines, verb not in (b"FETCH", b"STORE", b"SEARCH") or self.told_unasked)
        if verb == b"SELECT":
            # Messages it knew of and was not told to be gone are the first ones.
            kept = sorted(self.known)
            assert len(kept) <= len(self.uids)
            for at, uid in enumerate(kept):
                assert self.uids[at] in (0, uid)
                self.uids[at] = uid
        return lines

    def hear(self, lines: list[bytes], expunges: bool) -> None:
        told: list[int] = []
        code = 0
        for line in lines:
            if found := re.match(rb".*\[UIDVALIDITY (\d+)\]", line):
                self.validity = found[1]
            if found := _CODE.match(line):
                code = int(found[1])
            if found := re.fullmatch(rb"\* (\d+) EXISTS", line):
                assert int(found[1]) >= len(self.uids)
                for _key, marks_ in self.marked.values():
                    marks_ += [False] * (int(found[1]) - len(marks_))
                self.uids += [0] * (int(found[1]) - len(self.uids))
            elif found := re.fullmatch(rb"\* (\d+) EXPUNGE", line):
                assert expunges and not self.qresync and not self.speaks.uidonly
                for _key, marks_ in self.marked.values():
                    # 4.3.4: it was told before that this is no result any more.
                    assert not marks_.pop(int(found[1]) - 1)
                self.known.pop(self.uids.pop(int(found[1]) - 1), None)
            elif found := re.fullmatch(rb"\* VANISHED( \(EARLIER\))? (.*)", line):
                for uid in numbers(found[2]):
                    if found[1]:
                        assert uid not in self.uids
                    else:
                        assert expunges and (self.qresync or self.speaks.uidonly)
                        assert not any(uid in uids for _key, uids in self.followed.values())
                        self.uids.remove(uid if uid in self.uids else 0)
                    self.known.pop(uid, None)
            elif found := _FETCH.fullmatch(line):
                assert bool(found[2]) is self.speaks.uidonly
                told.append(self.fetched(int(found[1]), found[3]))
            elif found := _RESULTS.fullmatch(line):
                self.moved(found[1], bool(found[2]), True, numbers(found[3]))
            elif found := _CONTEXT.fullmatch(line):
                for verb, text in _STEP.findall(found[3]):
                    self.moved(found[1], bool(found[2]), verb == b"ADDTO", numbers(text))
        if code:
            self.modseq = code
        elif told:
            self.modseq = max(self.modseq, *told)

    def moved(self, tag: bytes, uid: bool, added: bool, which: list[int]) -> None:
        for number in which:
            if uid:
                results = self.followed[tag][1]
                assert (number in results) is not added
                (results.add if added else results.remove)(number)
            else:
                marks_ = self.marked[tag][1]
                assert marks_[number - 1] is not added
                marks_[number - 1] = added

    def follow(self, key: bytes, uid: bool) -> None:
        tag = b"t%d" % (self.count + 1)
        if uid:
            self.followed[tag] = (key, set())
        else:
            self.marked[tag] = (key, [False] * len(self.uids))
        lines = self.say((b"UID " if uid else b"") + b"SEARCH RETURN (UPDATE ALL) " + key)
        if any(b"NOUPDATE" in line for line in lines):
            self.followed.pop(tag, None)
            self.marked.pop(tag, None)

    def fetched(self, number: int, text: bytes) -> int:
        modseq = int(found[1]) if (found := re.search(rb"MODSEQ \((\d+)\)", text)) else 0
        if self.speaks.uidonly:
            # The number is the UID; which of those it knows to exist that is, is known in the end.
            uid = number
            if uid not in self.uids:
                assert 0 in self.uids
                self.uids[self.uids.index(0)] = uid
                self.uids = sorted(filter(None, self.uids)) + [0] * self.uids.count(0)
            number = self.uids.index(uid) + 1
        if found := re.search(rb"UID (\d+)", text):
            uid = int(found[1])
            assert self.uids[number - 1] in (0, uid)
            self.uids[number - 1] = uid
        uid = self.uids[number - 1]
        if uid and (found := re.search(rb"FLAGS \(([^)]*)\)", text)):
            flags = frozenset(found[1].split()) - {b"\\Recent"}
            if modseq or uid in self.known or not self.qresync:
                self.known[uid] = (flags, modseq or self.known.get(uid, (flags, 0))[1])
        elif uid and modseq and uid in self.known:
            self.known[uid] = (self.known[uid][0], modseq)
        return modseq

    def complete(self) -> None:
        """Learn of the messages it only knows to exist."""
        for _ in range(3):
            if 0 not in self.uids and len(self.known) == len(self.uids):
                return
            self.say(b"UID FETCH 1:* (FLAGS MODSEQ)" if self.qresync else b"UID FETCH 1:* (FLAGS)")
        raise AssertionError("messages that are not told of")

    def agree(self, truth: Truth) -> None:
        if self.told_unasked:
            self.listen()
        else:
            self.say(b"NOOP")
        if self.idling or 0 in self.uids:
            # Messages it made itself are not fetched for it.
            before = len(self.uids)
            self.complete()
            assert len(self.uids) == before
        self.check(truth)

    def check(self, truth: Truth) -> None:
        self.complete()
        assert self.uids == sorted(truth.messages)
        for uid, (flags, modseq) in truth.messages.items():
            assert self.known[uid][0] == flags
            if self.qresync:
                assert self.known[uid][1] == modseq
        if self.qresync:
            assert self.modseq <= truth.modseq
        for key, results in self.followed.values():
            assert results == {uid for uid, (flags, _) in truth.messages.items() if KEYS[key](flags)}
        for key, marks_ in self.marked.values():
            assert marks_ == [KEYS[key](truth.messages[uid][0]) for uid in self.uids]

    def count_up(self, truth: Truth) -> None:
        """STATUS agrees too (RFC 9051 6.3.11, RFC 9208 4.1.4)."""
        lines = self.say(b"STATUS " + self.name + b" (MESSAGES UNSEEN DELETED DELETED-STORAGE SIZE)")
        found = next(m for line in lines if (m := re.fullmatch(rb"\* STATUS \w+ \((.*)\)", line)))
        words = found[1].split()
        told = {words[at].decode(): int(words[at + 1]) for at in range(0, len(words), 2)}
        every = [flags for flags, _ in truth.messages.values()]
        deleted = sum(FLAGS[1] in flags for flags in every)
        size = told["SIZE"] // max(len(every), 1)
        assert told == {
            "MESSAGES": len(every), "UNSEEN": sum(FLAGS[0] not in flags for flags in every),
            "DELETED": deleted, "DELETED-STORAGE": size * deleted, "SIZE": size * len(every),
        }  # fmt: skip


def numbers(text: bytes) -> list[int]:
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


def machine(held: Mailstore) -> Callable[[], RuleBasedStateMachine]:
    """The machine over one open store; each example has a mailbox of its own."""
    made = [0]

    class Mailbox(RuleBasedStateMachine):
        clients = Bundle("clients")
        away = Bundle("away")

        def __init__(self) -> None:
            super().__init__()
            made[0] += 1
            self.name = f"box{made[0]}"
            row = run(held.db.write(mailboxes.create, ALICE, self.name, NOW, account=ALICE))
            self.id: MailboxId = row.id
            self.truth = Truth()
            self.truth.modseq = row.highestmodseq
            self.everyone: list[Client] = []

        @rule(
            target=clients,
            qresync=st.booleans(),
            uidonly=st.booleans(),
            notify=st.sampled_from([b"", b"SELECTED", b"SELECTED-DELAYED"]),
        )
        def arrive(self, qresync: bool, uidonly: bool, notify: bytes) -> Client:
            client = Client(held, self.name.encode(), Speaks(qresync, uidonly, notify))
            self.everyone.append(client)
            return client

        @rule(many=st.integers(1, 3), flags=st.sets(st.sampled_from(FLAGS[:3])))
        def append(self, many: int, flags: set[bytes]) -> None:
            for _ in range(many):
                run(
                    held.db.write(
                        messages.append, ALICE, self.id, content("x"), _bits(flags), (), None, NOW,
                        account=ALICE,
                    )
                )  # fmt: skip
                self.truth.add([frozenset(flags)])

        @rule(
            client=clients,
            places=st.sets(st.integers(0, 7), min_size=1, max_size=3),
            change=st.sampled_from([b"+", b"-", b""]),
            flag=st.sampled_from(FLAGS),
            conditional=st.booleans(),
            uid=st.booleans(),
            silent=st.booleans(),
        )
        def store(
            self, client: Client, places: set[int], change: bytes, flag: bytes, conditional: bool, uid: bool,
            silent: bool,
        ) -> None:  # fmt: skip
            at = [place for place in sorted(places) if place < len(client.uids)]
            if not at:
                return
            uid = uid or client.by_uid
            uids = [client.uids[place] for place in at]
            since = client.modseq if conditional and client.qresync else None
            which = b",".join(b"%d" % (client.uids[place] if uid else place + 1) for place in at)
            self.truth.store(uids, change, flag, since)
            client.say(
                (b"UID " if uid else b"")
                + b"STORE "
                + which
                + (b" (UNCHANGEDSINCE %d)" % since if since is not None else b"")
                + b" %bFLAGS%b (%b)" % (change, b".SILENT" if silent else b"", flag)
            )
            if silent:
                client.say(b"UID FETCH 1:* (FLAGS)")
            client.complete()

        @rule(client=clients, some=st.booleans())
        def expunge(self, client: Client, some: bool) -> None:
            uids = client.uids[:2] if some else list(client.uids)
            if some and not uids:
                return
            self.truth.remove(
                [u for u in uids if u in self.truth.messages and FLAGS[1] in self.truth.messages[u][0]]
            )
            if some:
                client.say(b"UID EXPUNGE " + b",".join(b"%d" % uid for uid in uids))
            else:
                client.say(b"EXPUNGE")
            client.complete()

        @rule(client=clients, places=st.sets(st.integers(0, 7), min_size=1, max_size=3), moved=st.booleans())
        def copy(self, client: Client, places: set[int], moved: bool) -> None:
            at = [place for place in sorted(places) if place < len(client.uids)]
            if not at:
                return
            there = [client.uids[place] for place in at if client.uids[place] in self.truth.messages]
            flags = [self.truth.messages[uid][0] for uid in there]
            if moved:
                self.truth.remove(there)
            self.truth.add(flags)
            which = b",".join(b"%d" % (client.uids[place] if client.by_uid else place + 1) for place in at)
            verb = (b"UID " if client.by_uid else b"") + (b"MOVE " if moved else b"COPY ")
            client.say(verb + which + b" " + self.name.encode())
            client.complete()

        @rule(client=clients, line=st.sampled_from([b"FETCH 1:* (FLAGS)", b"SEARCH ALL", b"UID SEARCH 1"]))
        def look(self, client: Client, line: bytes) -> None:
            if client.uids:
                if client.by_uid:
                    line = b"UID " + line.removeprefix(b"UID ")
                if client.speaks.uidonly:
                    line = line.replace(b"SEARCH 1", b"SEARCH UID 1")
                client.say(line)
                client.complete()

        @rule(client=clients)
        def catch_up(self, client: Client) -> None:
            if client.qresync:
                client.say(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)" % client.modseq)
                client.complete()

        @rule(client=clients)
        def sit_idle(self, client: Client) -> None:
            client.say(b"NOOP")
            client.idle()

        @rule(client=clients, key=st.sampled_from(sorted(KEYS)), uid=st.booleans())
        def follow(self, client: Client, key: bytes, uid: bool) -> None:
            # A client that is told UIDs of what it was not told the place of cannot use numbers.
            client.complete()
            client.follow(key, uid or client.by_uid or client.qresync)
            client.complete()

        @rule(client=clients)
        def count_up(self, client: Client) -> None:
            client.count_up(self.truth)

        @invariant()
        def who_is_told_unasked_knows(self) -> None:
            for client in self.everyone:
                if client.server.view is not None and client.told_unasked:
                    client.listen()
                    assert len(client.uids) == len(self.truth.messages)
                    for uid in client.uids:
                        if uid and uid in client.known:
                            assert client.known[uid][0] == self.truth.messages[uid][0]

        @rule(client=clients, other=clients, last=st.booleans())
        def miss(self, client: Client, other: Client, last: bool) -> None:
            """What is held back while the connection is lost is told afterwards."""
            other.agree(self.truth)
            client.agree(self.truth)
            if client is other or len(client.uids) < 2:
                return
            going, marked = (client.uids[-1], client.uids[0]) if last else (client.uids[0], client.uids[-1])
            self.truth.store([going], b"+", FLAGS[1], None)
            other.say(b"UID STORE %d +FLAGS (\\Deleted)" % going)
            self.truth.remove([going])
            other.say(b"UID EXPUNGE %d" % going)
            if other.idling or client.idling:
                return
            change = b"-" if FLAGS[2] in self.truth.messages[marked][0] else b"+"
            self.truth.store([marked], change, FLAGS[2], None)
            if client.by_uid:
                client.say(b"UID STORE %d %bFLAGS (%b)" % (marked, change, FLAGS[2]))
            else:
                client.say(b"STORE %d %bFLAGS (%b)" % (client.uids.index(marked) + 1, change, FLAGS[2]))
            client.server.connectionLost(_lost())
            client.connect()
            client.agree(self.truth)

        @rule(target=away, client=consumes(clients))
        def leave(self, client: Client) -> Client:
            client.server.connectionLost(_lost())
            return client

        @rule(target=clients, client=consumes(away))
        def come_back(self, client: Client) -> Client:
            client.connect()
            client.agree(self.truth)
            return client

        @rule(client=clients)
        def agree(self, client: Client) -> None:
            client.agree(self.truth)

        def teardown(self) -> None:
            for client in self.everyone:
                if client.server.view is not None:
                    client.agree(self.truth)
                    client.server.connectionLost(_lost())

    return Mailbox


def _bits(flags: set[bytes]) -> int:
    return marks.parse(sorted(flags))[0]


def _lost() -> Any:
    return Failure(ConnectionDone())


def test_sessions_agree_with_the_model(sqlite_database: Any) -> None:
    make_account(sqlite_database)
    held = mailstore(sqlite_database)
    run_state_machine_as_test(
        machine(held),
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=25, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate),
        ),
    )  # fmt: skip
