"""Attacks on IMAP4 and POP3: what a peer can send to keep a server busy or to fill its memory.

Each attack is a function of an `Aim` that goes on until the aim's time is over and takes
whatever the server does to it: answers, refusals, disconnections. Each is run against a
running server by benchmarks/hostile.py, which measures the others' latency meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import PASSWORD, RunningServer

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Aim:
    """Where to aim, as whom, and until when by the monotonic clock."""

    imap: int
    pop3: int
    user: str
    password: str
    until: float

    @property
    def over(self) -> bool:
        return time.monotonic() > self.until


class Wire:
    """One connection of an attacker."""

    def __init__(self, port: int, timeout: float = 5) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.heard = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, pattern: bytes) -> bytes:
        """What came up to a line that fits. Raises OSError where the connection ends before."""
        while True:
            found = re.search(rb"(?m)^(?:%b).*\r\n" % pattern, self.heard[-65536:])
            if found is not None:
                said, self.heard = self.heard, b""
                return said
            data = self.socket.recv(1 << 18)
            if not data:
                raise ConnectionError(self.heard[-200:])
            self.heard += data

    def say(self, line: bytes) -> bytes:
        """A command under the tag x, and all that is answered."""
        self.send(b"T0 " + line + b"\r\n")
        return self.hear(rb"T0 |\* BYE|\+ |\+OK|-ERR")

    def drain(self) -> None:
        """Throw away what there is to read now."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(1 << 18):
                pass
        self.socket.settimeout(5)

    def close(self) -> None:
        self.socket.close()


def imap(aim: Aim, select: bool = True) -> Wire:
    """Logged in, INBOX selected."""
    wire = Wire(aim.imap)
    wire.hear(rb"\* OK")
    wire.say(f'LOGIN "{aim.user}" "{aim.password}"'.encode())
    if select:
        wire.say(b"SELECT INBOX")
    return wire


def pop3(aim: Aim) -> Wire:
    wire = Wire(aim.pop3)
    wire.hear(rb"\+OK")
    return wire


def again(aim: Aim, attack: Callable[[], None], pause: float = 0.01) -> None:
    """The attack over and over; the server may cut it off each time."""
    while not aim.over:
        with contextlib.suppress(OSError):
            attack()
        time.sleep(pause)


def many(aim: Aim, port: int, count: int, first: bytes = b"") -> list[socket.socket]:
    """Connections that said one thing and wait."""
    made = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            one = socket.create_connection(("127.0.0.1", port), 5)
            one.sendall(first)
            made.append(one)
    return made


# Size ------------------------------------------------------------------------------------------


def literals(aim: Aim) -> None:
    """Literals of 4 GiB and more, synchronizing or not, before and after login."""
    sizes = (b"4294967296", b"99999999999999999999", b"67108864")
    commands = (b"APPEND INBOX {%b}", b"APPEND INBOX {%b+}", b"SEARCH SUBJECT {%b+}", b"LOGIN {%b+}")

    def attack() -> None:
        for command in commands:
            for size in sizes:
                wire = imap(aim) if b"LOGIN" not in command else Wire(aim.imap)
                with contextlib.suppress(OSError):
                    wire.say(command % size)
                    for _ in range(64):
                        wire.send(b"x" * 65536)
                        if aim.over:
                            return
                wire.close()

    again(aim, attack)


def endless_lines(aim: Aim) -> None:
    """Octets without an end of line, on both protocols."""

    def attack() -> None:
        for port in (aim.imap, aim.pop3):
            wire = Wire(port)
            with contextlib.suppress(OSError):
                while not aim.over:
                    wire.send(b"a" * 262_144)
            wire.close()

    again(aim, attack)


def garbage(aim: Aim) -> None:
    """64 connections that send what is no protocol."""
    kinds = (os.urandom(65536), b"x" * 70 + b"\r\n", bytes(65536), b"a b c\r\n" * 9000, b"(" * 65536)
    peers: dict[int, socket.socket] = {}
    while not aim.over:
        for number in range(64):
            try:
                if number not in peers:
                    port = aim.imap if number % 2 else aim.pop3
                    peers[number] = socket.create_connection(("127.0.0.1", port), 5)
                    peers[number].setblocking(False)
                peers[number].send(kinds[number % len(kinds)])
            except BlockingIOError:
                continue
            except OSError:
                peers.pop(number).close()
        time.sleep(0.001)
    for peer in peers.values():
        peer.close()


def bombs(aim: Aim) -> None:
    """COMPRESS=DEFLATE: a few kibibytes that become 64 MiB."""
    contents = (
        bytes(64 * MIB),
        b"x NOOP\r\n" * (8 * MIB),
        b"x SEARCH SUBJECT {60000+}\r\n" + b"y" * 60_000 + b"\r\n",
    )

    def attack() -> None:
        for content in contents:
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            packed = packer.compress(content) + packer.flush(zlib.Z_SYNC_FLUSH)
            wire = imap(aim)
            wire.say(b"COMPRESS DEFLATE")
            with contextlib.suppress(OSError):
                wire.send(packed)
                while not aim.over and wire.socket.recv(1 << 18):
                    pass
            wire.close()

    again(aim, attack)


# Work ------------------------------------------------------------------------------------------


def odd_numbers(count: int, first: int = 1) -> bytes:
    return b",".join(b"%d" % number for number in range(first, first + 2 * count, 2))


def sets(aim: Aim) -> None:
    """Sequence sets of a million elements (refused) and of as many as a line holds."""
    million = odd_numbers(1_000_000)
    most = odd_numbers(11_000)

    def attack() -> None:
        wire = imap(aim)
        with contextlib.suppress(OSError):
            wire.say(b"FETCH " + million + b" FLAGS")
        wire.close()
        wire = imap(aim)
        for _ in range(20):
            if aim.over:
                return
            wire.say(b"UID FETCH " + most + b" FLAGS")
            wire.say(b"UID SEARCH UID " + most + b" NOT UID " + most[:10_000].rpartition(b",")[0])
            wire.say(b"UID STORE " + odd_numbers(5_000) + b" +FLAGS.SILENT (\\Seen)")
        wire.close()

    again(aim, attack)


def parsed_again(aim: Aim) -> None:
    """A long command that each of 900 small literals makes the server look at again."""
    head = b"UID SEARCH UID " + odd_numbers(11_000)
    command = head + b"".join(b" SUBJECT {1+}\r\nx" for _ in range(900))

    def attack() -> None:
        wire = imap(aim)
        wire.say(command)
        wire.close()

    again(aim, attack)


def searches(aim: Aim) -> None:
    """The dearest keys: deep, many, of fields and of bodies."""
    deep = b"SEARCH " + b"NOT " * 48 + b"TEXT zebra"
    parens = b"SEARCH " + b"(" * 48 + b"BODY zebra" + b")" * 48
    flags = b"SEARCH " + b" ".join([b"NOT DELETED"] * 990)
    fields = b"SEARCH " + b" ".join(b"NOT HEADER X-%d zebra" % n for n in range(900))
    texts = b"SEARCH " + b" ".join(b"NOT BODY zebra%d" % n for n in range(900))
    either = b"SEARCH " + b"OR NOT SEEN " * 48 + b"DELETED"

    def attack() -> None:
        wire = imap(aim)
        wire.socket.settimeout(1)
        for command in (deep, parens, flags, fields, texts, either):
            wire.send(b"x " + command + b"\r\n")
        while not aim.over:
            wire.hear(rb"x ")
        wire.close()

    again(aim, attack)


def parentheses(aim: Aim) -> None:
    """Brackets that open for ever, in every command that takes a list."""
    many = b"(" * 60_000
    commands = [
        b"SEARCH " + many,
        b"FETCH 1 " + many,
        b"LIST " + many,
        b'LIST "" ' + many,
        b"STORE 1 FLAGS " + many,
        b"STATUS INBOX " + many,
        b"ID " + many,
        b"APPEND INBOX " + many,
        b"THREAD REFERENCES UTF-8 " + many,
        b"SELECT INBOX " + many,
        b"SEARCH " + b"OR " * 20_000,
        b"SEARCH " + b"NOT " * 15_000,
        b"FETCH 1 (BODY[" + b"1." * 30_000 + b"])",
        b"FETCH 1 (" + b"BODYSTRUCTURE " * 900 + b"UID)",
        b'LIST "" ' + b"*%" * 400,
    ]

    def attack() -> None:
        wire = imap(aim)
        for command in commands:
            wire.say(command)
        wire.close()

    again(aim, attack)


def nested(depth: int) -> bytes:
    """A message of parts in parts."""
    head = b"From: a@example.org\r\nMIME-Version: 1.0\r\n"
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth)
    )
    return head + opened + b"\r\nx\r\n" + b"".join(b"--b%d--\r\n" % n for n in reversed(range(depth)))


def parts(aim: Aim) -> None:
    """Messages of 100,000 parts, of 10,000 levels, of 50,000 addresses and of 50,000 fields."""
    flat = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + b"--b\r\n\r\nx\r\n" * 100_000
        + b"--b--\r\n"
    )
    people = b"To: " + b",\r\n ".join(b"a%d@example.org" % n for n in range(50_000)) + b"\r\n\r\nx\r\n"
    fields = b"".join(b"X-%d: y\r\n" % n for n in range(50_000)) + b"\r\nx\r\n"
    words = b"Subject: " + b"=?utf-8?q?=41?= " * 60_000 + b"\r\n\r\nx\r\n"
    levels = nested(10_000)

    def attack() -> None:
        wire = imap(aim, select=False)
        wire.say(b"CREATE bombs")
        wire.say(b"SELECT bombs")
        for content in (flat, levels, people, fields, words):
            wire.say(b"APPEND bombs {%d+}\r\n%b" % (len(content), content))
            wire.say(b"UID FETCH * (ENVELOPE BODY BODY.PEEK[1.1.1] BODY.PEEK[HEADER.FIELDS (TO X-1)])")
            wire.say(b"UID SEARCH UID * TEXT zebra")
            wire.say(b"SORT (SUBJECT) UTF-8 ALL")
            if aim.over:
                break
        wire.close()

    again(aim, attack)


def arranging(aim: Aim) -> None:
    """SORT and THREAD of everything, again and again, on four connections."""
    commands = b"".join(
        b"x %b\r\n" % line
        for line in (
            b"SORT (SUBJECT FROM DATE) UTF-8 ALL",
            b"THREAD REFERENCES UTF-8 ALL",
            b"SORT (DISPLAYFROM REVERSE SIZE) UTF-8 ALL",
            b"UID SEARCH RETURN (ALL SAVE) ALL",
            b"UID FETCH $ (UID FLAGS INTERNALDATE RFC822.SIZE)",
        )
    )
    read_all(aim, [imap(aim) for _ in range(4)], commands)


def read_all(aim: Aim, wires: list[Wire], commands: bytes) -> None:
    """Each connection says this again whenever there is something to read."""
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            wire.send(commands)
            selector.register(wire.socket, selectors.EVENT_READ, wire)
        while not aim.over and selector.get_map():
            for key, _ in selector.select(0.2):
                try:
                    data = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
                    if not data:
                        raise ConnectionError
                    if data.endswith(b"\r\n") and b"x " in data[-200:]:
                        key.data.send(commands)
                except OSError:
                    selector.unregister(key.fileobj)
    for wire in wires:
        wire.close()


def pipelined(aim: Aim) -> None:
    """100,000 commands in one breath, by a client that reads the answers."""
    burst = b"x NOOP\r\nx STATUS INBOX (MESSAGES)\r\nx FETCH 1 FLAGS\r\nx CAPABILITY\r\n" * 25_000
    flood(aim, imap(aim), burst)


def pipelined_pop3(aim: Aim) -> None:
    """The same on POP3."""
    wire = pop3(aim)
    login = f"USER {aim.user}\r\nPASS {aim.password}\r\n".encode()
    flood(aim, wire, login + b"NOOP\r\nSTAT\r\nLIST 1\r\nTOP 1 0\r\nUIDL\r\n" * 20_000)


def flood(aim: Aim, wire: Wire, burst: bytes) -> None:
    wire.socket.setblocking(False)
    left = memoryview(burst)
    while not aim.over:
        with contextlib.suppress(BlockingIOError):
            left = left[wire.socket.send(left[:65536]) :] or memoryview(burst)
        with contextlib.suppress(BlockingIOError):
            if not wire.socket.recv(1 << 18):
                return
    wire.close()


# Waiting ---------------------------------------------------------------------------------------


def unread(aim: Aim) -> None:
    """Twenty clients that ask for everything and read nothing."""
    wires = [imap(aim) for _ in range(20)]
    for wire in wires:
        wire.socket.setblocking(False)
    while not aim.over:
        for wire in wires:
            with contextlib.suppress(OSError):
                wire.socket.send(b"x FETCH 1:* (ENVELOPE BODY.PEEK[])\r\n")
        time.sleep(0.01)
    for wire in wires:
        wire.close()


def unread_pop3(aim: Aim) -> None:
    """A maildrop asked for whole, many times, and not read."""
    wire = pop3(aim)
    wire.send(f"USER {aim.user}\r\nPASS {aim.password}\r\n".encode())
    wire.socket.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while not aim.over:
            wire.socket.send(b"".join(b"RETR %d\r\n" % number for number in range(1, 2000)))
    while not aim.over:
        time.sleep(0.05)
    wire.close()


def loris(aim: Aim) -> None:
    """Six hundred connections, an octet at a time, each stuck in another phase."""
    login = f'a LOGIN "{aim.user}" "{aim.password}"\r\n'.encode()
    phases = (
        (aim.imap, b""),
        (aim.imap, b"a LOG"),
        (aim.imap, b"a LOGIN {10}\r\n"),
        (aim.imap, b"a AUTHENTICATE PLAIN\r\n"),
        (aim.imap, login + b"b SELECT INBOX\r\nc IDLE\r\nDO"),
        (aim.imap, login + b"b APPEND INBOX {100000}\r\n"),
        (aim.pop3, b"USER "),
        (aim.pop3, b"AUTH PLAIN\r\n"),
    )
    made = [one for port, first in phases for one in many(aim, port, 75, first)]
    while not aim.over:
        for one in made:
            with contextlib.suppress(OSError):
                one.send(b"A")
        time.sleep(0.05)
    for one in made:
        one.close()


def idlers(aim: Aim) -> None:
    """Three hundred clients in IDLE on one mailbox, and a storm of changes in it."""
    wires = [imap(aim) for _ in range(300)]
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            wire.send(b"i IDLE\r\n")
            selector.register(wire.socket, selectors.EVENT_READ)
        storm = imap(aim)
        turn = 0
        while not aim.over:
            turn += 1
            sign = b"+" if turn % 2 else b"-"
            with contextlib.suppress(OSError):
                storm.say(b"STORE 1:500 %bFLAGS.SILENT (\\Flagged)" % sign)
            for key, _ in selector.select(0):
                with contextlib.suppress(OSError):
                    key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
    for wire in wires:
        wire.close()


def expunging(aim: Aim) -> None:
    """Fifty clients in IDLE while thousands of messages come and go."""
    first = imap(aim, select=False)
    first.say(b"CREATE busy")
    letter = b"Subject: x\r\n\r\nx\r\n"
    first.say(b"APPEND busy {%d+}\r\n%b" % (len(letter), letter))
    first.say(b"SELECT busy")
    wires = [imap(aim, select=False) for _ in range(50)]
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            wire.send(b"s SELECT busy\r\ni IDLE\r\n")
            selector.register(wire.socket, selectors.EVENT_READ)
        while not aim.over:
            with contextlib.suppress(OSError):
                for _ in range(12):
                    first.say(b"COPY 1:* busy")
                first.say(b"STORE 2:* +FLAGS.SILENT (\\Deleted)")
                first.say(b"EXPUNGE")
            for key, _ in selector.select(0):
                with contextlib.suppress(OSError):
                    key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
    for wire in wires:
        wire.close()


# Growth ----------------------------------------------------------------------------------------


def keywords(aim: Aim) -> None:
    """A new keyword in every command."""

    def attack() -> None:
        wire = imap(aim)
        for number in range(1000):
            words = b" ".join(b"k%d-%d-%d" % (os.getpid(), number, n) for n in range(50))
            wire.say(b"STORE 1:10 +FLAGS.SILENT (%b)" % words)
            if aim.over:
                break
        wire.close()

    again(aim, attack)


def names(aim: Aim) -> None:
    """Mailboxes with long names, many levels, and patterns that match in many ways."""

    def attack() -> None:
        wire = imap(aim)
        for number in range(200):
            wire.say(b"CREATE " + b"n" * (900 + number))
            wire.say(b"CREATE " + b"/".join([b"d"] * (300 + number)))
            wire.say(b"CREATE flood/%d/%d" % (number, time.monotonic_ns()))
            wire.say(b'LIST "" ("*' + b"%n*" * 200 + b'x" "%/%/%/%/%")')
            wire.say(b'LIST "" * RETURN (STATUS (MESSAGES UNSEEN SIZE HIGHESTMODSEQ))')
            if aim.over:
                break
        wire.close()

    again(aim, attack)


def mailboxes(wire: Wire, count: int) -> None:
    """As many mailboxes, fifty commands in a breath."""
    for first in range(0, count, 50):
        some = range(first, min(first + 50, count))
        wire.send(b"".join(b"c CREATE many/%d/%d\r\n" % (number // 100, number) for number in some))
        wire.say(b"NOOP")


def notifying(aim: Aim) -> None:
    """NOTIFY of all there is, again and again on four connections, while mailboxes and messages come
    and go. (Whoever runs it makes `mailboxes` first.)"""
    busy = imap(aim)
    busy.socket.settimeout(1)
    wires = [imap(aim, select=False) for _ in range(4)]
    every = b"(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange)"
    commands = (
        b"x NOTIFY SET STATUS (subtree many %b) (personal %b)\r\n" % (every, every)
        + b'x NOTIFY NONE\r\nx LIST "" * RETURN (SUBSCRIBED CHILDREN)\r\n'
        + b"x NOTIFY SET (personal %b)\r\n" % every
    )
    letter = b"Subject: x\r\n\r\nx\r\n"
    with selectors.DefaultSelector() as selector:
        for wire in wires:
            wire.send(commands)
            selector.register(wire.socket, selectors.EVENT_READ, wire)
        turn = 0
        while not aim.over:
            turn += 1
            with contextlib.suppress(OSError):
                busy.send(
                    b"".join(
                        b"x APPEND many/0/%d {%d+}\r\n%b\r\n" % (number, len(letter), letter)
                        for number in range(20)
                    )
                    + b"x CREATE came/%d\r\nx SUBSCRIBE came/%d\r\nx RENAME came/%d went/%d\r\n"
                    % (turn, turn, turn, turn)
                    + b"x DELETE went/%d\r\n" % turn
                )
                busy.say(b"STORE 1:100 %bFLAGS.SILENT (\\Flagged)" % (b"+" if turn % 2 else b"-"))
            for key, _ in selector.select(0.01):
                with contextlib.suppress(OSError):
                    data = key.fileobj.recv(1 << 18)  # type: ignore[union-attr]
                    if data.endswith(b"\r\n") and b"x OK" in data[-200:]:
                        key.data.send(commands)
    for wire in (busy, *wires):
        wire.close()


def connecting(aim: Aim) -> None:
    """As many connections as can be made, each dropped at once."""

    def attack() -> None:
        for port in (aim.imap, aim.pop3):
            for one in many(aim, port, 50, b"a"):
                one.close()

    again(aim, attack, 0)


def guessing(aim: Aim) -> None:
    """Wrong passwords, as quickly as they are refused."""

    def attack() -> None:
        wire = Wire(aim.imap)
        wire.hear(rb"\* OK")
        for number in range(5):
            wire.say(b"LOGIN nobody%d wrong%d" % (number, number))
        wire.close()

    again(aim, attack, 0)


ATTACKS: dict[str, Callable[[Aim], None]] = {
    attack.__name__: attack
    for attack in (
        literals,
        endless_lines,
        garbage,
        bombs,
        sets,
        parsed_again,
        searches,
        parentheses,
        parts,
        arranging,
        pipelined,
        pipelined_pop3,
        unread,
        unread_pop3,
        loris,
        idlers,
        expunging,
        keywords,
        names,
        notifying,
        connecting,
        guessing,
    )
}


def letters() -> Iterator[bytes]:
    """Messages as people send them: 2 KiB, many words, threads."""
    text = b"".join(b"line %04d of a letter that somebody wrote to somebody else\r\n" % n for n in range(30))
    for number in range(100):
        yield (
            b"From: Person %d <p%d@example.org>\r\nTo: alice@example.test\r\nSubject: %bletter %d\r\n"
            b"Date: Mon, 7 Feb 2022 21:%02d:25 -0800\r\nMessage-ID: <%d@example.org>\r\n%b\r\n"
            % (
                number % 17,
                number % 17,
                b"Re: " if number % 3 else b"",
                number % 23,
                number % 60,
                number,
                b"References: <%d@example.org>\r\n" % (number // 2) if number else b"",
            )
        ) + text


def fill(wire: Wire, count: int) -> None:
    """`count` letters in INBOX, by MULTIAPPEND and then by COPY of all there are."""
    batch = b"".join(b" {%d+}\r\n%b" % (len(letter), letter) for letter in letters())
    assert b"T0 OK" in wire.say(b"APPEND INBOX" + batch)
    have = 100
    wire.say(b"SELECT INBOX")
    while have < count:
        more = min(have, count - have)
        assert b"T0 OK" in wire.say(b"COPY 1:%d INBOX" % more)
        have += more


# Who is not to be harmed ------------------------------------------------------------------------

PAUSE = 0.003
ASKED = (b"NOOP", b"FETCH 1 (FLAGS)", b"STATUS INBOX (MESSAGES UNSEEN)", b"FETCH 2 (BODY.PEEK[])")


def resident(pid: int) -> int:
    """Octets of resident memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Quiet:
    """Somebody else's session."""

    def __init__(self, server: RunningServer, alias: str = "bob") -> None:
        self.server = server
        self.socket = socket.create_connection(("127.0.0.1", server.port("imap")), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.recv(4096)
        self.ask(f'LOGIN "{server.address(alias)}" "{PASSWORD}"'.encode())

    def ask(self, line: bytes) -> float:
        """Seconds until the tagged OK."""
        started = time.perf_counter()
        self.socket.sendall(b"q " + line + b"\r\n")
        heard = b""
        while not (heard.endswith(b"\r\n") and heard[heard.rfind(b"\n", 0, -1) + 1 :].startswith(b"q ")):
            data = self.socket.recv(65536)
            assert data, (line, heard[-300:])
            heard += data
        assert b"q OK" in heard, (line, heard)
        return time.perf_counter() - started

    def watch(self, seconds: float) -> tuple[list[float], int]:
        """Every wait, in order of length; the most resident memory, in octets."""
        assert self.server.process is not None
        pid = self.server.process.pid
        waits, most, turn = [], 0, 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            waits.append(self.ask(ASKED[turn % len(ASKED)]))
            turn += 1
            if turn % 16 == 0:
                most = max(most, resident(pid))
            time.sleep(PAUSE)
        return sorted(waits), most
