"""Bind (RFC 4511 4.2, RFC 4513): simple with a password, SASL in steps, or anonymous.

Every BindRequest makes the connection anonymous first; a SASL exchange is kept between
requests and dropped by any other request (RFC 4511 4.2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from protocols import sasl
from protocols.ldap import requests
from protocols.ldap.ber import Cursor
from protocols.ldap.channel import Channel, Kind
from protocols.ldap.messages import BindRequest, BindResponse, Sasl, Simple
from protocols.ldap.results import SUCCESS, Failed, Result, ResultCode
from protocols.ldap.session import Session


@dataclass(frozen=True, slots=True)
class Bind:
    kind: ClassVar = Kind.BIND
    answer: ClassVar = 0x61
    verb: ClassVar = "bind"

    request: BindRequest

    @classmethod
    def parse(cls, cursor: Cursor) -> Bind:
        return cls(requests.bind(cursor))

    async def run(self, session: Session, channel: Channel) -> BindResponse:
        exchange, mechanism = session.exchange, session.mechanism
        session.forget()
        if self.request.version != 3:
            raise Failed(ResultCode.PROTOCOL_ERROR, "Only version 3 is spoken here")
        match self.request.authentication:
            case Simple(password):
                await self._simple(session, password)
                await _tell(session, channel)
                return BindResponse(SUCCESS)
            case Sasl(name, credentials):
                if exchange is None or name.upper() != mechanism:
                    exchange = _begin(session, name)
                elif credentials is None:
                    credentials = b""  # only the first one has a meaning when it is absent
                answer = await self._step(session, exchange, name, credentials)
                await _tell(session, channel)
                return answer
            case None:
                raise Failed(ResultCode.AUTH_METHOD_NOT_SUPPORTED, "simple and sasl are supported")

    async def _simple(self, session: Session, password: bytes) -> None:
        name = self.request.name
        if not name and not password:
            # Clients do this before they read the root DSE; what else may be read is asked there.
            return
        if not password:
            # RFC 4513 5.1.2: a client that forgot the password must not believe it is bound.
            raise Failed(ResultCode.UNWILLING_TO_PERFORM, "Unauthenticated bind is refused")
        if not name:
            raise Failed(ResultCode.INVALID_CREDENTIALS, "A name is needed with a password")
        if not session.security.private and not session.door.limits.clear_text:
            raise Failed(ResultCode.CONFIDENTIALITY_REQUIRED, "Start TLS before sending a password")
        session.bind(await session.door.bind(name, password, session.security))

    async def _step(
        self,
        session: Session,
        exchange: sasl.IExchange,
        mechanism: str,
        credentials: bytes | None,
    ) -> BindResponse:
        step = await exchange.step(credentials)
        if isinstance(step, sasl.Challenge):
            session.exchange, session.mechanism = exchange, mechanism.upper()
            return BindResponse(Result(ResultCode.SASL_BIND_IN_PROGRESS), step.data)
        session.bind(session.door.bound(step.identity, session.security))
        return BindResponse(SUCCESS, step.data)


async def _tell(session: Session, channel: Channel) -> None:
    """What the policy says of the password, to those that asked (draft-behera 8.1)."""
    if session.bound is not None and channel.controls.password_policy:
        channel.answer_controls = (await session.bound.password_policy(),)


def _begin(session: Session, mechanism: str) -> sasl.IExchange:
    try:
        return sasl.begin(mechanism, session.door.authenticator, session.security)
    except sasl.EncryptionNeeded as error:
        raise Failed(ResultCode.CONFIDENTIALITY_REQUIRED, error.text) from None
    except sasl.NoSuchMechanism as error:
        raise Failed(ResultCode.AUTH_METHOD_NOT_SUPPORTED, error.text) from None
