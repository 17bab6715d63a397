"""The addresses of a recipient that is being changed.

Three views show them (mail, textEncodedORAddress, otherMailbox), and proxyAddresses all of
them; whichever a client changed is what counts (ims_spec 4.3, 12.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from imsd.directory.addressing import (
    Naming,
    Proxy,
    generate,
    generate_ccmail,
    generate_ms,
    generate_x400,
    local_part,
    ordered,
)
from imsd.directory.canonical import canonical_address
from imsd.directory.entry import VIEWS, Kind, other_mailbox, views
from imsd.directory.working import Rules, Working
from imsd.errors import ConstraintViolation, InvalidSyntax, ObjectClassViolation
from imsd.store.entries import NameKind
from protocols.ldap import preparation

_ADDRESSES = VIEWS - {"rdn", "displayname"}


def _naming(working: Working) -> Naming:
    return Naming(
        alias=working.text("uid"),
        display=working.text("cn"),
        given=working.text("givenname"),
        surname=working.text("sn"),
        initials=working.text("initials"),
    )


def bring_together(
    working: Working, rules: Rules, taken: Callable[[str], bool], fill: bool
) -> tuple[Proxy, ...]:
    """Bring the views of addresses together, generate what is missing, and check."""
    attributes, before = working.attributes, working.shown

    def changed(key: str) -> bool:
        return tuple(attributes.get(key, ())) != before.get(key, ())

    split = [key for key in ("mail", "textencodedoraddress", "othermailbox") if changed(key)]
    stored = [Proxy.parse(_utf8(value)) for value in attributes.get("proxyaddresses", ())]
    if not split:
        proxies = stored
    else:
        proxies = [
            *(Proxy.of("SMTP", _utf8(value), True) for value in attributes.get("mail", ())),
            *(Proxy.of("X400", _utf8(value), True) for value in attributes.get("textencodedoraddress", ())),
            *(other_mailbox(value) for value in attributes.get("othermailbox", ())),
        ]
        if changed("proxyaddresses") and {str(one) for one in proxies} != {str(one) for one in stored}:
            if not fill:
                raise ConstraintViolation("mail, otherMailbox and proxyAddresses contradict each other")
            proxies = _merged(stored, proxies)
    if fill:
        proxies = _generated(working, rules, taken, proxies)
    listed = ordered(proxies)
    for key in _ADDRESSES:
        attributes.pop(key, None)
    attributes["proxyaddresses"] = [str(proxy).encode() for proxy in listed]
    made = views(working.kind, working.rdn.value, {"proxyaddresses": tuple(attributes["proxyaddresses"])})
    for key in ("mail", "textencodedoraddress", "othermailbox"):
        if key in made:
            attributes[key] = list(made[key])
    return listed


def _merged(first: list[Proxy], second: list[Proxy]) -> list[Proxy]:
    names = {proxy.name for proxy in first}
    return [*first, *(proxy for proxy in second if proxy.name not in names)]


def _generated(
    working: Working, rules: Rules, taken: Callable[[str], bool], proxies: list[Proxy]
) -> list[Proxy]:
    """Addresses of the site's types that a new recipient does not bring along."""
    named = any(proxy.type == "SMTP" and proxy.primary for proxy in proxies)
    if named and not (rules.x400 or rules.ms or rules.ccmail):
        return proxies
    naming = _naming(working)
    if not named:
        target = working.text("target-address")
        if working.kind == Kind.CONTACT and target[:5].upper() == "SMTP:":
            proxies = [*proxies, Proxy.of("SMTP", target[5:], True)]
        elif working.kind != Kind.CONTACT or local_part("%m", naming):
            proxies = _with_templates(rules.templates, naming, taken, proxies)
    types = {proxy.type for proxy in proxies}
    return [*proxies, *(made for made in _foreign(rules, naming, taken) if made.type not in types)]


def _with_templates(
    templates: Iterable[str], naming: Naming, taken: Callable[[str], bool], proxies: list[Proxy]
) -> list[Proxy]:
    """The addresses of the templates, the first primary, and those that are there already."""
    made: dict[str, Proxy] = {}
    for template in templates:
        # Two formats may make one address of a name: it is not taken by the first of them.
        fresh = generate(template, naming, taken)
        made.setdefault(fresh.name, Proxy("SMTP", fresh.value, not made))
    return [*made.values(), *(proxy for proxy in proxies if proxy.name not in made)]


def _foreign(rules: Rules, naming: Naming, taken: Callable[[str], bool]) -> list[Proxy]:
    """Addresses of the site's other types (ims_spec 4.1)."""
    made = []
    if rules.x400:
        made.append(generate_x400(rules.x400, naming, taken))
    if rules.ms:
        made.append(generate_ms(rules.ms, naming, taken))
    if rules.ccmail:
        made.append(generate_ccmail(rules.ccmail, naming, taken))
    return [proxy for proxy in made if proxy is not None]


def regenerated(
    working: Working, rules: Rules, taken: Callable[[str], bool], keep_old: bool
) -> tuple[Proxy, ...]:
    """The addresses a recipient has when those of the site's types are made anew (ims_spec 4.1).

    taken: by somebody else. The new ones are primary; the old primary ones become secondary, or go.
    What an administrator gave besides stays, and so do types that are not made any more.
    """
    present = [Proxy.parse(_utf8(value)) for value in working.attributes.get("proxyaddresses", ())]
    naming = _naming(working)
    smtp = working.kind != Kind.CONTACT or (
        working.text("target-address")[:5].upper() != "SMTP:" and bool(local_part("%m", naming))
    )
    made = _with_templates(rules.templates if smtp else (), naming, taken, [])
    made.extend(_foreign(rules, naming, taken))
    own = {proxy.name for proxy in made}
    types = {proxy.type for proxy in made if proxy.primary}
    for proxy in present:
        if proxy.name in own or (proxy.primary and proxy.type in types and not keep_old):
            continue
        made.append(Proxy(proxy.type, proxy.value, proxy.primary and proxy.type not in types))
    return ordered(made)


def _utf8(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InvalidSyntax("An address is UTF-8") from None


def logins(working: Working, addresses: dict[str, NameKind]) -> dict[str, NameKind]:
    """Aliases log in. One that looks like an address must be one of the entry's."""
    logins = {}
    for value in working.attributes.get("uid", ()):
        alias = preparation.canonical(_utf8(value))
        if "@" not in alias:
            logins[alias] = NameKind.LOGIN
        elif canonical_address(alias) not in addresses:
            raise ConstraintViolation("uid: an address of somebody else's")
    if not working.attributes.get("uid"):
        raise ObjectClassViolation("A mailbox needs a uid")
    return logins


def check_target(working: Working, rules: Rules, names: dict[str, NameKind]) -> None:
    target = Proxy.parse(working.text("target-address"))
    if target.type == "SMTP" and target.name in names:
        domain = target.name.rpartition("@")[2]
        if domain in rules.domains:
            raise ConstraintViolation("Target-Address: mail would come back to the same entry")
