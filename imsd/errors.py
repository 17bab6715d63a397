"""What the domain may refuse.

A refusal is an answer, not a bug: it carries a public text that may be shown to the
peer, and says whether trying again later can help. `imsd.sessions.refusals` is the one
table that turns a refusal into each protocol's reply; a class raised here must have a
row there.
"""


class Refusal(Exception):
    """Base of everything that store, directory, mail, auth and sessions refuse.

    text: one line of printable ASCII for the peer, without names of other people's data.
    """

    default = "Refused"
    temporary = False

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.default)

    @property
    def text(self) -> str:
        return str(self.args[0])


class Temporary(Refusal):
    """A refusal that may not happen again later."""

    temporary = True
    default = "Try again later"


# Store ---------------------------------------------------------------------------------


class TryLater(Temporary):
    """The outcome is unknown or the server is busy; the caller may repeat."""


class StoreFull(Temporary):
    """No space left for new content."""

    default = "Insufficient system storage"


class StoreUnavailable(Temporary):
    default = "The store is not available"


class StoreDamaged(StoreUnavailable):
    """Something that must be there is not: `imsctl verify` tells what (RFC 5530 3, CORRUPTION)."""

    default = "Stored content is damaged; the administrator has to look at it"


class OverQuota(Refusal):
    default = "Mailbox is full"


class OverQuotaForNow(OverQuota):
    """The same, where the site wants senders to try again."""

    temporary = True


class TooLarge(Refusal):
    default = "Message exceeds the size limit"


class TooLargeHere(TooLarge):
    """Too large for this recipient (RFC 3463 3.3, X.2.3)."""

    default = "Message is too large for this recipient"


class LimitReached(Refusal):
    """A count that a peer can grow has reached its limit."""

    default = "Limit reached"


class TooManyAnnotations(LimitReached):
    """RFC 5464 4.3, TOOMANY."""

    default = "Too many annotations"


class NoPrivateAnnotations(Refusal):
    """RFC 5464 4.3, NOPRIVATE."""

    default = "Who has no name has no private annotations"


class InvalidName(Refusal):
    default = "Invalid name"


class NoSuchMailbox(Refusal):
    default = "No such mailbox"


class MailboxExists(Refusal):
    default = "Mailbox already exists"


class MailboxHasChildren(Refusal):
    default = "Mailbox has inferior names"


class MailboxInUse(Temporary):
    """The maildrop is locked by another session (RFC 2449 8.1.1)."""

    default = "Mailbox is in use by another session"


class NoSuchMessage(Refusal):
    default = "No such message"


class AlreadyExpunged(NoSuchMessage):
    """Another session expunged the message (RFC 5530 3, EXPUNGEISSUED)."""

    default = "The message was expunged"


class NotPermitted(Refusal):
    default = "Not permitted"


class Referred(Refusal):
    """The mailbox is on another server. urls: of it, for IMAP4 (RFC 2193 3)."""

    default = "That mailbox is on another server"

    def __init__(self, text: str = "", urls: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.urls = urls


class Unsupported(Refusal):
    default = "Not supported"


class UnsupportedUse(Unsupported):
    """A mailbox cannot be made for a special use (RFC 6154 3)."""

    default = "That special use is not offered"


class UnknownEncoding(Refusal):
    """A body part cannot be decoded (RFC 3516 4.3)."""

    default = "Unknown content transfer encoding"


class UnsupportedCharset(Refusal):
    default = "Unsupported charset"


# Mail ----------------------------------------------------------------------------------


class NoSuchRecipient(Refusal):
    default = "No such recipient here"


class AmbiguousRecipient(Refusal):
    default = "Recipient address is ambiguous"


class NoRoute(Refusal):
    """No connector carries such addresses (ims_spec 3.2)."""

    default = "No route to intended recipient"


class SecurityRequired(Refusal):
    """The host must log in or encrypt before it may bring mail (ims_spec 3.4.4)."""

    default = "Must authenticate or encrypt first"


class HostRejected(Refusal):
    default = "Access denied"


class NotHomed(Refusal):
    default = "Mailbox is not local"


class QueueElsewhere(Temporary):
    """ETRN for a domain whose mail is not held here (RFC 1985 5.2)."""

    default = "Node does not store mail here"


class AskedTooOften(Temporary):
    """ETRN for a domain for which it came a moment ago, whoever it was that said it (RFC 1985 5.2)."""

    default = "Asked too often"


class RelayDenied(Refusal):
    default = "Relaying is prohibited"


class SenderNotPermitted(Refusal):
    default = "Originator address does not match authentication credentials"


class TooManyRecipients(Temporary):
    default = "Too many recipients"


class PostingDenied(Refusal):
    """The list of a public folder lets the sender not post."""

    default = "Posting to this folder is not permitted"


class LoopDetected(Refusal):
    default = "Too many hops"


class MalformedMessage(Refusal):
    default = "Malformed message"


class TooFast(Temporary):
    """More in a time than one host may bring; it tries again later."""

    default = "Too much mail in a short time"


class Greylisted(Temporary):
    """A host that is not known; it shows that it is a mail server by coming again (RFC 6647)."""

    default = "Greylisted, try again later"


class HostListed(Refusal):
    """A host that is on lists the site believes (RFC 5782)."""

    default = "Your address is on a list"


class SentAway(Temporary):
    """A host or an account has used up what it may; its connection is ended."""

    default = "Too many connections"


class Filtered(Refusal):
    """The originator is on the list of the message filter (ims_spec 3.4.4)."""

    default = "Message refused by this site's policy"


class PolicyRejected(Refusal):
    default = "Rejected by policy"


# Login ---------------------------------------------------------------------------------


class AuthenticationFailed(Refusal):
    """Wrong name or password; never says which."""

    default = "Authentication failed"


class AccountLocked(AuthenticationFailed):
    """After too many wrong passwords. Says so where strangers may know."""

    told = "Account is locked after too many wrong passwords"


class PasswordExpired(Refusal):
    """The password is right, and too old."""

    default = "Password has expired"


class PasswordMustChange(PasswordExpired):
    """The password is right, and good for setting another alone."""

    default = "Password must be changed first"


class ChangePasswordFirst(NotPermitted):
    """Whoever is logged in may do nothing but set another password."""

    default = "Change your password first"


class NotAuthorized(NotPermitted):
    """Who logged in may not act for the identity asked for (RFC 4422 3.4.1)."""

    default = "Not permitted to act for that identity"


class ProtocolOff(Refusal):
    """The mailbox may not be used by this protocol."""

    default = "This protocol is switched off for the mailbox"


class AccountDisabled(Refusal):
    default = "Account is disabled"


class Throttled(Temporary):
    default = "Too many failed logins, try again later"


class LoginTooSoon(Temporary):
    """Two logins within the delay between them (RFC 2449 8.1.2)."""

    default = "Minimum time between logins not over yet"


class EncryptionRequired(Refusal):
    default = "Encryption is required"


# Directory -----------------------------------------------------------------------------


class NoSuchEntry(Refusal):
    """matched: the DN of the deepest ancestor that exists (RFC 4511 4.1.9)."""

    default = "No such entry"

    def __init__(self, text: str = "", matched: str = "") -> None:
        super().__init__(text)
        self.matched = matched


class AliasProblem(NoSuchEntry):
    """An alias stands for nothing that is to be seen, or leads back to itself."""

    default = "The alias leads nowhere"


class HeldElsewhere(Refusal):
    """Another server holds this part of the tree. urls: where it may be."""

    default = "Held by another server"

    def __init__(self, *urls: str) -> None:
        super().__init__()
        self.urls = urls


class AffectsOthers(Refusal):
    """It would have to be done on another server, too."""

    default = "Another server holds that part of the tree"


class EntryExists(Refusal):
    default = "Entry already exists"


class NotAllowedOnNonLeaf(Refusal):
    default = "Entry has subordinates"


class NotAllowedOnRdn(Refusal):
    default = "Attribute is part of the RDN"


class NamingViolation(Refusal):
    default = "Naming violation"


class ObjectClassViolation(Refusal):
    default = "Object class violation"


class UndefinedAttribute(Refusal):
    default = "Undefined attribute type"


class NoSuchAttribute(Refusal):
    default = "No such attribute or value"


class AttributeOrValueExists(Refusal):
    default = "Attribute or value exists"


class ConstraintViolation(Refusal):
    default = "Constraint violation"


class PasswordTooShort(ConstraintViolation):
    default = "Password too short"


class PasswordTooWeak(ConstraintViolation):
    default = "Password too easy to guess"


class PasswordUnusable(ConstraintViolation):
    """Too long, or of characters that nobody can type."""

    default = "Password that cannot be used"


class PasswordUsedBefore(ConstraintViolation):
    default = "That password was used before"


class InvalidSyntax(Refusal):
    default = "Invalid attribute syntax"


class InvalidDN(Refusal):
    default = "Invalid DN syntax"


class InappropriateMatching(Refusal):
    default = "Inappropriate matching"


class AssertionFailed(Refusal):
    """What was asserted of the entry is not so: nothing was done."""

    default = "The assertion is not true of the entry"


class StepRefused(Refusal):
    """One of several changes was refused, and so none is done. number: which, from 0."""

    def __init__(self, number: int, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.number = number
        self.refusal = refusal


class UnwillingToPerform(Refusal):
    default = "Unwilling to perform"
