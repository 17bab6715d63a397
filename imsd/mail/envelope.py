"""The envelope of one message: who sent it, who shall have it, how it came."""

from dataclasses import field

from imsd.directory.values import Recipient
from imsd.store.ids import AccountId
from protocols.smtp.parameters import MailParameters
from protocols.values import value


@value(frozen=True, slots=True)
class Addressee:
    """One accepted recipient.

    address: local@domain as it goes on the wire. recipient: what the directory knows it as;
    None for an address that is not ours. notify, orcpt_type, orcpt: as given (RFC 3461 4).
    destination: where it is bound for (imsd.mail.destinations), "": its domain. parked: why it
    waits in the queue, "" if it need not. sender: the reverse-path of this copy, None for the envelope's;
    anew: nothing else of it is the original's either (RFC 3461 5.2.7.1 b). head: fields that this copy begins
    with. form: of protocols.message.flatten, "" as composed; None: nobody has said yet.
    """

    address: str
    recipient: Recipient | None = None
    notify: tuple[str, ...] = ()
    orcpt_type: str = ""
    orcpt: str = ""
    destination: str = ""
    parked: str = ""
    sender: str | None = None
    anew: bool = False
    head: str = ""
    form: str | None = None


@value(frozen=True, slots=True)
class Origin:
    """How a message came, for tracking: protocol is the word of the Received line
    ("ESMTPSA", RFC 3848) or of the door ("local"); address is the peer's IP address,
    hello what it calls itself, name what the name system calls it ("": not known)."""

    protocol: str = "local"
    address: str = ""
    hello: str = ""
    name: str = ""

    @property
    def told(self) -> str:
        """How it came, in words: "ESMTPS, out.example, mail.example.org"."""
        return ", ".join(filter(None, (self.protocol, self.hello, self.name)))


@value(frozen=True, slots=True)
class Timing:
    """Times are microseconds, 0 for none. deliver_by, by_mode: RFC 2852, as `By.mode`. release, future: until
    when it is kept back, and how that was said (RFC 4865)."""

    deliver_by: int = 0
    by_mode: str = ""
    release: int = 0
    future: str = ""


NO_TIMING = Timing()


def timing_of(parameters: MailParameters, now: int) -> Timing:
    """What MAIL said of times, counted from now."""
    by, hold = parameters.by, parameters.hold
    if by is None and hold is None:
        return NO_TIMING
    release = 0
    if hold is not None:
        release = hold.until or now + hold.seconds * 1_000_000
    if by is None:
        return Timing(release=release, future=hold.text if hold is not None else "")
    future = hold.text if hold is not None else ""
    return Timing(now + by.seconds * 1_000_000, by.mode, release, future)


@value(frozen=True, slots=True)
class Envelope:
    """What was agreed about a message before its content.

    reverse_path: "" is the null path, nobody is to be told of failures. body: "7BIT",
    "8BITMIME" or "BINARYMIME". ret: "", "FULL" or "HDRS". account: who submitted it, None for
    what came from outside or from the server itself. priority: 1 urgent, 0 normal, -1 non-urgent.
    mt_priority: -9 to 9 (RFC 6710), None where it was not said. timing: deadline and release time.
    tls: what is asked of its way, as imsd.mail.requiring has it. solicit: kinds of solicitation that it says
    it is (RFC 3865).
    """

    reverse_path: str
    addressees: tuple[Addressee, ...]
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    account: AccountId | None = None
    origin: Origin = field(default_factory=Origin)
    priority: int = 0
    mt_priority: int | None = None
    timing: Timing = NO_TIMING
    tls: str = ""
    solicit: tuple[str, ...] = ()
