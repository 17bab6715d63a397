"""What holds for a mailbox in a protocol, and who decided (ims_spec 1.1, 7.1, 7.4).

Three levels: the site's settings, those a server has of its own, and the mailbox's
Protocol-Settings. A protocol that is off at the server is off for all mailboxes. A mailbox that "uses
protocol defaults" says nothing but whether it is enabled. Time-outs, authentication and
anonymous access are the site's and the server's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeVar

from imsd.directory.protocols import Format, ProtocolSettings, of
from imsd.errors import NoSuchEntry, ProtocolOff
from imsd.settings import LiveSettings, Page
from imsd.settings.directory import Ldap
from imsd.settings.imap import Imap
from imsd.settings.logins import Logins
from imsd.settings.pop3 import Pop3
from imsd.settings.protocols import Protocols

Protocol = Literal["IMAP4", "POP3", "LDAP"]
P = TypeVar("P", Imap, Pop3, Ldap)

PAGES: Final[dict[str, type[Imap] | type[Pop3] | type[Ldap]]] = {"IMAP4": Imap, "POP3": Pop3, "LDAP": Ldap}
_NAMES: Final[dict[type[Page], str]] = {page: name for name, page in PAGES.items()}


def check(settings: LiveSettings, protocol: str, own: Iterable[ProtocolSettings]) -> None:
    """Raises ProtocolOff where the mailbox may not be used by this protocol."""
    if not settings[PAGES[protocol]].enabled or not of(own, protocol).enabled:
        raise ProtocolOff(f"{protocol} is switched off for this mailbox")


def page_for(settings: LiveSettings, page: type[P], own: Iterable[ProtocolSettings]) -> P:
    """A protocol's page as it holds for one mailbox."""
    whole = settings[page]
    changed = _changed(whole, of(own, _NAMES[page]))
    return whole.model_copy(update=changed) if changed else whole


def _changed(page: Imap | Pop3 | Ldap, own: ProtocolSettings) -> dict[str, Any]:
    """Fields of the page that the mailbox decides otherwise."""
    given: dict[str, Any] = {} if own.enabled else {"enabled": False}
    if own.use_defaults:
        return given
    if isinstance(page, Imap):
        given |= {"list_public": own.list_public, "delegate": own.delegate}
    elif isinstance(page, Pop3):
        given |= {"format": own.form.value, "charset": own.charset or None}
    return {key: value for key, value in given.items() if value is not None}


# Authentication --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Methods:
    """clear: names and passwords in clear text without TLS; basic: the same under TLS; challenge:
    SCRAM; certificates: EXTERNAL; tokens: OAUTHBEARER and XOAUTH2."""

    clear: bool
    basic: bool
    challenge: bool
    certificates: bool
    tokens: bool = False


def methods(logins: Logins, listed: Iterable[str] | None) -> Methods:
    """What the logins page allows, and of it what a protocol lists (None: no list of its own).

    Clear text is allowed by either: a protocol that lists `clear` takes it without TLS.
    """
    if listed is None:
        return Methods(
            logins.basic and logins.allow_cleartext,
            logins.basic,
            logins.challenge,
            logins.certificates,
            logins.tokens,
        )
    named = set(listed)
    return Methods(
        logins.basic and "clear" in named,
        logins.basic and "basic" in named,
        logins.challenge and "challenge" in named,
        logins.certificates and "certificates" in named,
        logins.tokens and "tokens" in named,
    )


def methods_of(settings: LiveSettings, page: type[Imap] | type[Pop3] | type[Ldap]) -> Callable[[], Methods]:
    return lambda: methods(settings[Logins], settings[page].authentication)


# Explaining ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """One effective value. level: "default", "site", "server" or "mailbox"."""

    name: str
    value: Any
    level: str
    why: str


_WHY: Final = {
    "default": "nobody set it",
    "site": "the site's setting",
    "server": "this server's own setting",
}


def explain(
    settings: LiveSettings, protocol: str, own: Iterable[ProtocolSettings], off: Sequence[str] = ()
) -> list[Decision]:
    """Every value that holds, who decided it, and why. off: capabilities of IMAP4 that are off for the
    mailbox, besides those that are off for all. Raises NoSuchEntry."""
    name = protocol.upper()
    name = "IMAP4" if name == "IMAP" else name
    page = PAGES.get(name)
    if page is None:
        raise NoSuchEntry(f"There is no protocol {protocol}; there are {', '.join(PAGES)}")
    whole, mine = settings[page], of(own, name)
    changed = _changed(whole, mine)
    found = []
    for key in page.model_fields:
        level = settings.level(page.section, key)
        value, why = getattr(whole, key), _WHY[level]
        if key == "enabled":
            value, level, why = _enabled(whole.enabled, level, mine)
        elif key in changed:
            value, level, why = changed[key], "mailbox", "Protocol-Settings, which does not use the defaults"
        elif key == "authentication" and value is None:
            value, why = _listed(methods(settings[Logins], None)), f"{why}; as the logins page says"
        elif key == "capabilities_off" and off:
            value, level = tuple(dict.fromkeys((*value, *off))), "mailbox"
            why = f"{', '.join(off)} for the mailbox (imsctl user capabilities)"
        found.append(Decision(f"{page.section}.{key}", value, level, why))
    level = settings.level(Protocols.section, "connections")
    why = f"{_WHY[level]}; the same for all mailboxes"
    found.append(Decision(f"{Protocols.section}.connections", settings[Protocols].connections, level, why))
    if page is not Pop3 and not mine.use_defaults and mine.form is not Format.AS_COMPOSED:
        found.append(
            Decision(
                "format", Format.AS_COMPOSED.value, "default", f"{name} hands out messages as composed only"
            )
        )
    return found


def _enabled(served: bool, level: str, mine: ProtocolSettings) -> tuple[bool, str, str]:
    if not served:
        return False, level, "switched off here for all mailboxes, whatever they say"
    if not mine.enabled:
        return False, "mailbox", "switched off in Protocol-Settings"
    return True, level, "switched on here, and not off for the mailbox"


def _listed(allowed: Methods) -> list[str]:
    return [item.name for item in fields(allowed) if getattr(allowed, item.name)]
