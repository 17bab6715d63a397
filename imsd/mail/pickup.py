"""Files in the pickup folder become messages (ims_spec 1.3).

    X-Sender: from@example.org        the envelope, before the header; each receiver a line.
    X-Receiver: to@example.org        Without them it is taken from the header: Sender, else
    Subject: ...                      From; To, Cc and Bcc. X-RequireTLS: yes is the parameter
                                      REQUIRETLS (imsd.mail.requiring).
    X-Sender: <from@example.org> RET=HDRS ENVID=id      After an address in brackets: what RFC 3461
    X-Receiver: <to@example.org> NOTIFY=NEVER           lets MAIL and RCPT say of reports.

1. Whoever may write into the folder is trusted as the administrator is: any sender, any recipient.
2. A file enters as a submission does: Date and Message-ID are added, Bcc is removed, line ends
   become CRLF. An unknown recipient of ours is told to the sender by a report.
3. A file without a sender or a recipient, or refused for good, is put into the archive; one over
   the size limit, or that cannot be read or taken now, stays where it is. Both are logged, and
   neither keeps another file waiting.
4. A name without a domain (cron writes to "root") is that of our first domain, in the header, too. Where
   nobody has the address it is the postmaster's mail: accounts of the system have no mailboxes here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from imsd.errors import LoopDetected, MalformedMessage, NoSuchRecipient, Refusal
from imsd.mail import received, requiring, submission
from imsd.mail.envelope import Addressee, Envelope, Origin
from imsd.mail.intake import MAX_HEADER, Intake, header_end
from imsd.mail.policy import Policy, Submitter
from imsd.mail.qualifying import qualified
from imsd.settings.connectors import Ims
from imsd.settings.pickup import Pickup as Page
from imsd.settings.smtp import Smtp
from imsd.store import tracking
from imsd.store.pickup import Claimed, PickupFolder
from protocols.errors import BadSyntax
from protocols.message import addresses, headers
from protocols.smtp.grammar import BadArgument, BadPath, Cursor, Path, parse_address, parse_parameters
from protocols.smtp.parameters import (
    EIGHT_BIT,
    NO_MAIL_PARAMETERS,
    NO_RCPT_PARAMETERS,
    SEVEN_BIT,
    MailParameters,
    RcptParameters,
)

if TYPE_CHECKING:
    from imsd.mail.delivery import Delivery
    from imsd.settings import LiveSettings
    from imsd.store.blobs import Blobs
    from imsd.store.database import Database
    from imsd.summaries import Summaries

AT_ONCE: Final = 100
"""Files of one look at the folder."""

PIECE: Final = 128 * 1024
"""Octets that are scanned in one turn of the reactor."""

_LINE_END: Final = re.compile(rb"\r?\n|\r(?!\n)")
_SPACED: Final = re.compile(rb"[ \t]|\Z")
_TAKEN: Final = frozenset((b"NOTIFY", b"ORCPT", b"RET", b"ENVID"))
_BARE: Final = re.compile(rb"[A-Za-z0-9._+-]+")
_ENVELOPE: Final = re.compile(rb"(X-Sender|X-Receiver|X-RequireTLS)[ \t]*:([^\r\n]*+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file taken apart. reverse_path: "" is the null path; content has CRLF; required: REQUIRETLS.
    said: of each recipient; ret, envid: of the message (RFC 3461). bare: recipients without a domain."""

    reverse_path: str
    recipients: tuple[Path, ...]
    content: bytes
    required: bool = False
    said: tuple[RcptParameters, ...] = ()
    ret: str = ""
    envid: str = ""
    bare: frozenset[Path] = frozenset()


def parse(data: bytes, domain: str = "") -> Dropped:
    """The envelope and the message of a file. domain: of names that have none.

    Takes long for a large file, and lets others run meanwhile if it runs in a thread. Raises
    MalformedMessage.
    """
    content = _with_crlf(data)
    sender: str | None = None
    receivers: dict[Path, RcptParameters] = {}
    of_all = NO_MAIL_PARAMETERS
    bare: set[Path] = set()
    required = False
    at = 0
    while (line := _ENVELOPE.match(content, at)) is not None:
        at = line.end()
        value, parameters = _divided(line[2].strip(b" \t"))
        if line[1].lower() == b"x-receiver":
            path = _path(value, domain)
            receivers.setdefault(path, _said(parameters, RcptParameters.parse))
            if b"@" not in value:
                bare.add(path)
        elif line[1].lower() == b"x-requiretls":
            required = value.lower() == b"yes"
        else:
            sender = str(_path(value, domain)) if value else ""
            of_all = _said(parameters, MailParameters.parse)
    content = content[at:]
    end = header_end(content)
    header = content if end < 0 else content[:end]
    if len(header) > MAX_HEADER:
        raise MalformedMessage("Header section is too large")
    named: dict[bytes, list[bytes]] = {}
    for field in headers.fields(header):
        for one in addresses.mailboxes(field.text):
            if one.host or _BARE.fullmatch(one.mailbox):
                named.setdefault(field.name.lower(), []).append(one.spec if one.host else one.mailbox)
    if sender is None:
        authors = named.get(b"sender") or named.get(b"from")
        if not authors:
            raise MalformedMessage("There is no X-Sender, Sender or From")
        sender = str(_path(authors[0], domain))
    if not receivers:
        specs = [spec for name in (b"to", b"cc", b"bcc") for spec in named.get(name, [])]
        receivers = {_path(spec, domain): NO_RCPT_PARAMETERS for spec in specs}
        bare = {_path(spec, domain) for spec in specs if b"@" not in spec}
    if not receivers:
        raise MalformedMessage("There is no X-Receiver, To, Cc or Bcc")
    said = tuple(receivers.values())
    return Dropped(
        sender, tuple(receivers), content, required, said, of_all.ret, of_all.envid, frozenset(bare)
    )


def _divided(value: bytes) -> tuple[bytes, bytes]:
    """The address, and what comes after its brackets."""
    value = value.strip(b" \t")
    address, bracket, rest = value.rpartition(b">")
    if not (value.startswith(b"<") and bracket and _SPACED.match(rest)):
        return value.strip(b"<> \t"), b""
    return address.strip(b"<> \t"), rest


T = TypeVar("T")


def _said(parameters: bytes, parse: Callable[[Mapping[bytes, bytes]], T]) -> T:
    try:
        given = parse_parameters(Cursor(parameters))
        if given.keys() - _TAKEN:
            raise BadArgument("NOTIFY, ORCPT, RET and ENVID alone are taken here")
        return parse(given)
    except BadSyntax as error:
        raise MalformedMessage(f"{parameters.decode('utf-8', 'replace').strip()}: {error}") from None


def _with_crlf(data: bytes) -> bytes:
    """Every line end as CRLF, a piece at a time: one call over all would stop the reactor's thread too."""
    pieces = []
    at = 0
    while at < len(data):
        end = min(at + PIECE, len(data))
        if data[end - 1 : end + 1] == b"\r\n":
            end += 1
        pieces.append(_LINE_END.sub(b"\r\n", data[at:end]))
        at = end
    return b"".join(pieces)


def _path(spec: bytes, domain: str) -> Path:
    try:
        return parse_address(spec if b"@" in spec or not domain else spec + b"@" + domain.encode())
    except BadPath:
        raise MalformedMessage(f"{spec.decode('utf-8', 'replace')} is no address") from None


class Pickup:
    """Looks at the folder now and then."""

    log = Logger()

    def __init__(
        self,
        db: Database,
        delivery: Delivery,
        policy: Policy,
        blobs: Blobs,
        summaries: Summaries,
        settings: LiveSettings,
        hostname: str,
        clock: Any,
    ) -> None:
        self._db = db
        self._delivery = delivery
        self._policy = policy
        self._blobs = blobs
        self._summaries = summaries
        self._settings = settings
        self._hostname = hostname
        self._clock = clock
        self._folder = PickupFolder(db.home)
        self._not_before: dict[str, float] = {}
        self._round: Deferred[None] | None = None
        self._stopping = False
        self._loop = LoopingCall(self._begin)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin with what a crash may have left."""
        self._loop.start(self._settings[Page].seconds)

    def stop(self) -> Deferred[None]:
        """No further file; fires when the one in work is done with."""
        self._stopping = True
        if self._loop.running:
            self._loop.stop()
        done: Deferred[None] = Deferred()
        if self._round is None:
            done.callback(None)
        else:
            self._round.addBoth(lambda _: done.callback(None))
        return done

    def _begin(self) -> Deferred[None]:
        self._loop.interval = self._settings[Page].seconds
        self._round = Deferred.fromCoroutine(self.look())
        return self._round.addBoth(self._ended)

    def _ended(self, outcome: Any) -> None:
        self._round = None
        if outcome is None:
            return
        if outcome.check(OSError):
            self.log.error(
                "the pickup folder cannot be used: {reason}", reason=outcome.getErrorMessage(), event_id=4164
            )
        elif not outcome.check(CancelledError):
            self.log.failure("a look at the pickup folder failed; it is tried again", outcome)

    async def look(self) -> None:
        """Take every file that is whole."""
        if not self._settings[Page].enabled:
            return
        in_thread = self._db.in_thread
        await in_thread(self._folder.prepare)
        now = self._clock.seconds()
        self._not_before = {name: when for name, when in self._not_before.items() if when > now}
        for claimed in await in_thread(self._folder.left):
            if claimed.file in self._not_before:
                continue
            if await self._accepted_before(claimed):
                await in_thread(self._folder.finish, claimed)
            else:
                await self._take(claimed)
        for name in await in_thread(self._folder.waiting, AT_ONCE + len(self._not_before)):
            if self._stopping:
                return
            if name in self._not_before:
                continue
            try:
                self._policy.check_space()
            except Refusal:
                return  # They wait where they are.
            try:
                claimed = await in_thread(self._folder.claim, name, self._delivery.new_id())
            except OSError as error:
                self._later(name, f"cannot be taken: {error}")
                continue
            await self._take(claimed)

    async def _accepted_before(self, claimed: Claimed) -> bool:
        """Whether the process that claimed it died between its COMMIT and the file's end."""
        found = await self._db.read(
            lambda tx: tracking.query(tx, queue_id=claimed.queue_id, event="accepted", limit=1)
        )
        return bool(found)

    async def _take(self, claimed: Claimed) -> None:
        try:
            await self._try(claimed)
        except CancelledError:
            raise
        except Exception:
            # It stays claimed: a later look asks whether it was accepted. Others do not wait for it.
            self._not_before[claimed.file] = self._clock.seconds() + self._settings[Page].retry_seconds
            self.log.failure("file {name} of the pickup folder could not be worked on", name=claimed.name)

    async def _try(self, claimed: Claimed) -> None:
        limit = self._settings[Ims].inbound_limit
        if limit and claimed.size > limit:
            await self._leave(claimed, f"has {claimed.size} octets, {limit} are allowed")
            return
        try:
            data = await self._db.in_thread(self._folder.read, claimed, claimed.size)
        except OSError as error:
            await self._leave(claimed, f"cannot be read: {error}")
            return
        try:
            dropped = await self._db.in_thread(parse, data, self._policy.first_domain)
            await self._accept(dropped, claimed.queue_id)
        except Refusal as refusal:
            if refusal.temporary:
                await self._leave(claimed, refusal.text)
                return
            path = await self._db.in_thread(self._folder.put_aside, claimed)
            self.log.warn(
                "file {name} of the pickup folder is put aside as {path}: {reason}",
                name=claimed.name, path=str(path), reason=refusal.text, event_id=4164,
            )  # fmt: skip
            return
        await self._db.in_thread(self._folder.finish, claimed)

    async def _leave(self, claimed: Claimed, reason: str) -> None:
        await self._db.in_thread(self._folder.give_back, claimed)
        self._later(claimed.name, reason)

    def _later(self, name: str, reason: str) -> None:
        self._not_before[name] = self._clock.seconds() + self._settings[Page].retry_seconds
        self.log.warn(
            "file {name} of the pickup folder stays there: {reason}", name=name, reason=reason, event_id=4164
        )

    async def _accept(self, dropped: Dropped, queue_id: str) -> None:
        addressees = [
            await self._addressee(path, dropped.reverse_path, said, path in dropped.bare)
            for path, said in zip(dropped.recipients, dropped.said, strict=True)
        ]
        priority, tls = 0, ""

        async def edit(header: bytes) -> bytes:
            nonlocal priority, tls
            if received.hops(header) > self._settings[Smtp].hops:
                raise LoopDetected
            priority = received.priority(header)
            tls = requiring.tag(header, dropped.required)
            if self._policy.first_domain:
                header = qualified(header, self._policy.first_domain)
            message = submission.Submitted(header)
            sender = dropped.reverse_path or f"postmaster@{self._hostname}"
            return message.complete(sender, self._hostname, queue_id, self._clock.seconds())

        intake = Intake(self._blobs, edit, self._summaries, self._clock)
        try:
            for at in range(0, len(dropped.content), PIECE):
                intake.write(dropped.content[at : at + PIECE])
                await intake.drained()
            ours = any(each.recipient is not None for each in addressees)
            content = await (intake.kept(self._blobs) if ours else intake.finish())
        except BaseException:
            intake.abandon()
            raise
        envelope = Envelope(
            dropped.reverse_path,
            tuple(addressees),
            EIGHT_BIT if intake.eight_bit else SEVEN_BIT,
            not all(str(path).isascii() for path in dropped.recipients) or not dropped.reverse_path.isascii(),
            dropped.ret,
            dropped.envid,
            origin=Origin("pickup"),
            priority=priority,
            tls=tls,
        )
        try:
            await self._delivery.accept(envelope, content, queue_id)
        except Refusal:
            await self._blobs.discard(content)
            raise

    async def _addressee(self, path: Path, sender: str, said: RcptParameters, bare: bool) -> Addressee:
        """As the routing pages have it. Who leads nowhere is queued, and the queue tells the sender."""
        try:
            by = Submitter(sender=sender, trusted=True)
            return await self._policy.addressee(path, said, by)
        except Refusal as refusal:
            if refusal.temporary:
                raise
            if bare and isinstance(refusal, NoSuchRecipient):
                return await self._addressee(Path("postmaster", path.domain), sender, said, False)
            return Addressee(str(path), None, said.notify, said.orcpt_type, said.orcpt)
