"""Every control of the server, typed, with defaults, effective at once.

page        what a property page is
live        the current values, of the site and of servers, kept up to date by the change feed
networks    networks in settings, and which of them an address is in
domains     patterns of domains, and which of them a domain matches
formats     formats that addresses are made by
secrets     passwords, sealed
others      one module per property page

A page is found by its class: `settings[Pop3].idle_minutes`. Only what differs from the
default is stored, as one row per dotted key (`pop3.idle_minutes`), and per server where one
differs from the site (`pop3.idle_minutes@mail.example.org`).
"""

from __future__ import annotations

from imsd.settings.accept import Accept
from imsd.settings.connectors import Delivery, DeliveryRestrictions, Ims
from imsd.settings.deletion import Deletion
from imsd.settings.diagnostics import Archive, Diagnostics, ProtocolLog
from imsd.settings.directory import Addressing, Ldap
from imsd.settings.dkim import Dkim
from imsd.settings.filters import Filter
from imsd.settings.folders import Folders
from imsd.settings.hooks import Hooks
from imsd.settings.imap import Imap
from imsd.settings.links import Dialup, Etrn
from imsd.settings.listeners import Admission
from imsd.settings.live import LiveSettings
from imsd.settings.logins import Logins
from imsd.settings.outbound import ConnectionLimits
from imsd.settings.outside import Outside
from imsd.settings.page import Page
from imsd.settings.passwords import PasswordPolicy
from imsd.settings.pickup import Pickup
from imsd.settings.pop3 import Pop3
from imsd.settings.protocols import Protocols
from imsd.settings.queue import Queue
from imsd.settings.quotas import Quotas
from imsd.settings.referrals import Referrals
from imsd.settings.reports import Ndr, Notifications
from imsd.settings.routing import Rerouting, Restrictions
from imsd.settings.scheduling import DelayNotice, Flow, Retry, Timeout, TransferTime
from imsd.settings.security import Tls
from imsd.settings.sending import Sending
from imsd.settings.smtp import Smtp
from imsd.settings.spool import Spool
from imsd.settings.timers import Timers
from imsd.settings.tls_reports import TlsReports
from imsd.settings.tokens import Tokens
from imsd.settings.unknowns import Dnsbl, Greylisting

PAGES: tuple[type[Page], ...] = (
    Admission,
    Smtp,
    Queue,
    Spool,
    Pickup,
    Ims,
    Accept,
    Filter,
    ConnectionLimits,
    Sending,
    Greylisting,
    Dnsbl,
    Delivery,
    DeliveryRestrictions,
    Retry,
    Timeout,
    DelayNotice,
    TransferTime,
    Flow,
    Timers,
    Tls,
    TlsReports,
    Dkim,
    Dialup,
    Etrn,
    Ndr,
    Notifications,
    Rerouting,
    Restrictions,
    Hooks,
    Diagnostics,
    ProtocolLog,
    Archive,
    Protocols,
    Pop3,
    Imap,
    Referrals,
    Logins,
    PasswordPolicy,
    Tokens,
    Outside,
    Quotas,
    Folders,
    Addressing,
    Deletion,
    Ldap,
)
"""All property pages, in the order in which they are shown."""

__all__ = ["PAGES", "LiveSettings", "Page"]
