"""The door of a listener for SMTP: what all its connections share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from imsd.mail.filtering import MessageFilter
from imsd.mail.greylisting import Greylist
from imsd.mail.limits import InboundLimits
from imsd.mail.lookups import Lookups
from imsd.mail.policy import Policy
from imsd.sessions import refusals
from imsd.sessions.smtp.session import Session
from imsd.settings.connectors import Ims
from imsd.settings.smtp import Smtp
from protocols.security import Security
from protocols.smtp.interfaces import IDoor, Limits, Role
from protocols.smtp.responses import Reply

if TYPE_CHECKING:
    from imsd.auth import Authenticator
    from imsd.diagnostics.diagnosis import Diagnosis
    from imsd.mail.delivery import Delivery
    from imsd.mail.handover import Handovers
    from imsd.settings import LiveSettings
    from imsd.store.blobs import Blobs
    from imsd.summaries import Summaries


@implementer(IDoor)
class Door:
    """What all connections of one listener share.

    tls: gives the context factory for STARTTLS, None when there is no certificate.
    """

    def __init__(
        self,
        role: Role,
        hostname: str,
        *,
        policy: Policy,
        delivery: Delivery,
        authenticator: Authenticator,
        blobs: Blobs,
        summaries: Summaries,
        settings: LiveSettings,
        clock: IReactorTime,
        tls: Callable[[], Any],
        inbound: InboundLimits | None = None,
        lookups: Lookups | None = None,
        greylist: Greylist | None = None,
        handovers: Handovers | None = None,
        diagnosis: Diagnosis | None = None,
    ) -> None:
        self.role = role
        self.handovers = handovers
        self.diagnosis = diagnosis
        self.hostname = hostname
        self.policy = policy
        self.delivery = delivery
        self.authenticator = authenticator
        self.blobs = blobs
        self.summaries = summaries
        self.settings = settings
        self.clock = clock
        self.inbound = inbound or InboundLimits(settings, clock)
        self.filter = MessageFilter(settings, blobs, delivery)
        self.lookups = lookups
        self.greylist = greylist
        self.plugins = delivery.plugins
        self._tls = tls
        self._limits: tuple[Smtp | None, Ims | None, Limits] = (None, None, Limits())

    def limits(self) -> Limits:
        page, ims = self.settings[Smtp], self.settings[Ims]
        if self._limits[0] is not page or self._limits[1] is not ims:
            limits = Limits(
                message=ims.inbound_limit,
                recipients=page.recipients,
                refused=page.refused_recipients,
                bad_commands=page.bad_commands,
                transactions=page.transactions,
                idle=page.idle_seconds,
                content=page.content_seconds,
                etrn=page.etrn,
                deliver_by=page.deliver_by_seconds if page.deliver_by else None,
                hold=page.hold_hours * 3600,
                domains=page.recipient_domains,
                banner=page.banner,
                esmtp=not page.disable_esmtp,
                auth=not page.disable_auth,
                lenient=page.lenient_addresses,
                vrfy=page.vrfy,
                expn=page.expn,
                no_soliciting=page.no_soliciting,
                atrn=page.atrn and self.handovers is not None,
                requiretls=page.requiretls,
                turn=page.atrn and ims.turn == "atrn" and self.handovers is not None,
            )
            self._limits = (page, ims, limits)
        return self._limits[2]

    def tls(self) -> Any:
        return self._tls()

    def session(self, security: Security) -> Session:
        return Session(self, security)

    def explain(self, error: Exception) -> Reply | None:
        return refusals.smtp(error)
