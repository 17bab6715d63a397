"""Every control of the server, typed, with defaults, effective at once.

page        what a property page is
live        the current values, kept up to date by the change feed
others      one module per property page

A page is found by its class: `settings[Pop3].idle_minutes`. Only what differs from the
default is stored, as one row per dotted key (`pop3.idle_minutes`).
"""

from __future__ import annotations

from imsd.settings.directory import Addressing, Ldap
from imsd.settings.imap import Imap
from imsd.settings.listeners import Admission
from imsd.settings.live import LiveSettings
from imsd.settings.logins import Logins
from imsd.settings.page import Page
from imsd.settings.pop3 import Pop3
from imsd.settings.queue import Queue, Routes
from imsd.settings.smtp import Smtp

PAGES: tuple[type[Page], ...] = (
    Admission,
    Smtp,
    Queue,
    Routes,
    Pop3,
    Imap,
    Logins,
    Addressing,
    Ldap,
)
"""All property pages, in the order in which they are shown."""

__all__ = ["PAGES", "LiveSettings", "Page"]
