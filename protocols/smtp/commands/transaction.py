"""MAIL and RCPT (RFC 5321 4.1.1.2, 4.1.1.3): the envelope."""

from __future__ import annotations

import re
from typing import ClassVar

from protocols.smtp import responses
from protocols.smtp.commands.command import GROWTH, Channel, Command, Mail, Refused, Session
from protocols.smtp.grammar import (
    MAX_ENCAPSULATED,
    BadArgument,
    Cursor,
    Path,
    parse_forward_path,
    parse_parameters,
    parse_reverse_path,
)
from protocols.smtp.interfaces import Limits
from protocols.smtp.parameters import BINARY, MailParameters, RcptParameters
from protocols.smtp.responses import Reply
from protocols.smtp.solicitation import refusal, unwanted
from protocols.smtp.timing import date_time
from protocols.values import value

_FROM = re.compile(rb" *FROM: *", re.IGNORECASE)
_TO = re.compile(rb" *TO: *", re.IGNORECASE)


@value(frozen=True, slots=True)
class MailFrom(Command):
    name: ClassVar[str] = "MAIL"
    usage: ClassVar[str] = (
        "MAIL FROM:<reverse-path> [SIZE=n] [BODY=7BIT|8BITMIME|BINARYMIME] [SMTPUTF8]"
        " [RET=FULL|HDRS] [ENVID=id] [AUTH=mailbox] [MT-PRIORITY=-9..9] [BY=seconds;N|R[T]]"
        " [HOLDFOR=seconds|HOLDUNTIL=time] [REQUIRETLS]"
    )
    greeted: ClassVar[bool] = True
    free: ClassVar[bool] = False
    # SIZE 26 (RFC 1870 4), BODY 17 (RFC 6152 3), SMTPUTF8 10 (RFC 6531 3.1),
    # RET and ENVID 120 (RFC 3461 4), AUTH 500 (RFC 4954 3), MT-PRIORITY 15 (RFC 6710 3),
    # BY 17 (RFC 2852 2), HOLDFOR and HOLDUNTIL 34 (RFC 4865 3), SOLICIT 1010 (RFC 3865 2),
    # REQUIRETLS 11 (RFC 8689 2)
    longest: ClassVar[int] = GROWTH + 26 + 17 + 10 + 120 + 500 + 15 + 17 + 34 + 1010 + 11

    path: Path
    parameters: MailParameters

    @classmethod
    def parse(cls, cursor: Cursor) -> MailFrom:
        """mail = "MAIL FROM:" Reverse-path [SP Mail-parameters]; a blank after the colon is common."""
        if cursor.take(_FROM) is None:
            raise BadArgument("FROM:<path> expected")
        path = parse_reverse_path(cursor)
        return cls(path, MailParameters.parse(parse_parameters(cursor)))

    async def run(self, session: Session, channel: Channel) -> None:
        limits, parameters = session.limits, self.parameters
        if session.strict:
            session.alone(channel)
        if session.mail is not None:
            raise Refused(responses.NESTED_MAIL)
        if not parameters.smtputf8 and not self.path.ascii:
            raise Refused(responses.NEED_SMTPUTF8)
        if limits.message and parameters.size > limits.message:
            raise Refused(responses.TOO_BIG)
        if parameters.by is not None or parameters.hold is not None:
            self._check_times(session, channel.now())
        if parameters.requiretls:
            if not limits.requiretls:
                raise Refused(responses.NOT_OFFERED)
            if not channel.security.encrypted:
                # RFC 8689 2: only in a session that has TLS.
                raise Refused(responses.REQUIRETLS_NEEDS_TLS)
        if parameters.solicit:
            if not limits.no_soliciting:
                raise Refused(responses.NOT_OFFERED)
            refused = unwanted(parameters.solicit, limits.no_soliciting)
            if refused:
                raise Refused(Reply(550, "5.7.1", refusal(refused)))
        if session.transactions >= limits.transactions:
            channel.answer(responses.TOO_MANY_TRANSACTIONS)
            channel.finish()
            return
        session.transactions += 1
        transaction = await session.own.begin(session.client, self.path, parameters)
        session.mail = Mail(transaction, parameters)
        channel.answer(responses.ORIGINATOR_OK)

    def _check_times(self, session: Session, now: float) -> None:
        limits, by, hold = session.limits, self.parameters.by, self.parameters.hold
        if by is not None:
            if limits.deliver_by is None:
                raise Refused(responses.NOT_OFFERED)
            if by.returns and by.seconds < limits.deliver_by:
                # RFC 2852 3: a 55z reply.
                raise Refused(responses.TOO_SOON)
        if hold is not None:
            if not limits.hold or not session.role.submission:
                raise Refused(responses.NOT_OFFERED)
            seconds = hold.seconds or hold.until / 1e6 - now
            if seconds > limits.hold:
                raise Refused(responses.TOO_LATE)
            if by is not None and seconds > by.seconds:
                # RFC 4865 5.2.2
                raise Refused(responses.LATER_THAN_ITS_END)

    @staticmethod
    def keywords(session: Session, channel: Channel) -> list[str]:
        limits = session.limits
        timing = ["MT-PRIORITY MIXER"]
        if limits.deliver_by is not None:
            timing.append(f"DELIVERBY {limits.deliver_by}" if limits.deliver_by else "DELIVERBY")
        if limits.hold and session.role.submission:
            latest = date_time(channel.now() + limits.hold)
            timing.append(f"FUTURERELEASE {limits.hold} {latest}")
        return [
            "PIPELINING",
            f"SIZE {session.limits.message}",
            "8BITMIME",
            "SMTPUTF8",
            "ENHANCEDSTATUSCODES",
            "DSN",
            *timing,
            *(["REQUIRETLS"] if limits.requiretls and channel.security.encrypted else []),
            *_limits(limits),
            *([f"NO-SOLICITING {','.join(limits.no_soliciting)}"] if limits.no_soliciting else []),
        ]


@value(frozen=True, slots=True)
class RcptTo(Command):
    name: ClassVar[str] = "RCPT"
    usage: ClassVar[str] = "RCPT TO:<forward-path> [NOTIFY=NEVER|SUCCESS,FAILURE,DELAY] [ORCPT=type;address]"
    greeted: ClassVar[bool] = True
    free: ClassVar[bool] = False
    # NOTIFY 28, ORCPT 507 (RFC 3461 4.1, 4.2); UTF-8 paths are counted in octets
    # and an address within the address
    longest: ClassVar[int] = GROWTH + 28 + 507 + MAX_ENCAPSULATED

    path: Path
    parameters: RcptParameters

    @classmethod
    def parse(cls, cursor: Cursor) -> RcptTo:
        """rcpt = "RCPT TO:" ( Path / "<Postmaster>" ) [SP Rcpt-parameters]"""
        if cursor.take(_TO) is None:
            raise BadArgument("TO:<path> expected")
        path = parse_forward_path(cursor)
        return cls(path, RcptParameters.parse(parse_parameters(cursor)))

    async def run(self, session: Session, channel: Channel) -> None:
        mail = session.mail
        if session.strict:
            session.alone(channel)
        if mail is None:
            raise Refused(responses.NEED_MAIL)
        if mail.chunking:
            raise Refused(responses.BDAT_BROKEN)
        if not self.path.ascii and not mail.parameters.smtputf8:
            raise Refused(responses.NEED_SMTPUTF8)
        if mail.recipients >= session.limits.recipients:
            raise Refused(responses.TOO_MANY_RECIPIENTS)
        domains = session.limits.domains
        if domains and len(mail.domains | {self.path.domain.lower()}) > domains:
            raise Refused(responses.TOO_MANY_DOMAINS)
        try:
            await mail.transaction.add(self.path, self.parameters)
        except Exception:
            # Guessing at addresses is counted; the refusal itself is the server's to word.
            session.refused += 1
            raise
        mail.recipients += 1
        if domains:
            mail.domains.add(self.path.domain.lower())
        channel.answer(responses.RECIPIENT_OK)


def _limits(limits: Limits) -> list[str]:
    """What is enforced, so that a client need not find out (RFC 9422 4)."""
    # RCPTDOMAINMAX is of a session; who keeps to it there is refused in none of its messages.
    domains = f" RCPTDOMAINMAX={limits.domains}" if limits.domains else ""
    return [f"LIMITS MAILMAX={limits.transactions} RCPTMAX={limits.recipients}{domains}"]


def needs_chunks(mail: Mail) -> bool:
    """BINARYMIME content may not go through DATA (RFC 3030 3)."""
    return mail.parameters.body == BINARY
