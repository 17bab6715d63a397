"""What VRFY and EXPN tell, where the site lets them (RFC 5321 3.5): addresses, and who is on a list.

Who is hidden from address books is nobody here, and a list whose membership is hidden, or that holds
such a list, is not expanded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imsd.directory.values import DistributionList, Recipient
from imsd.errors import NoSuchRecipient, NotPermitted
from protocols.smtp.grammar import BadPath, parse_address

if TYPE_CHECKING:
    from imsd.directory.directory import Directory

MOST = 1_000
"""Members of a list that are told."""


async def verify(directory: Directory, text: str, domain: str) -> str:
    """The address that a name means. domain: of a name without one. Raises NoSuchRecipient."""
    return (await _asked(directory, text, domain)).address


async def expand(directory: Directory, text: str, domain: str) -> list[str]:
    """The addresses behind a list. Raises NoSuchRecipient, NotPermitted, TooManyRecipients."""
    asked = await _asked(directory, text, domain)
    if not isinstance(asked, DistributionList):
        raise NoSuchRecipient("That is no mailing list")
    found = await directory.expand(asked, MOST)
    for each in found.lists:
        if (await directory.cache.entry(each)).flag("hide-dl-membership"):
            raise NotPermitted("Who is on that list is not told")
    told = []
    for recipient in found.recipients:
        if not (await directory.cache.entry(recipient.entry)).hidden:
            told.append(recipient.address)
    return told


async def _asked(directory: Directory, text: str, domain: str) -> Recipient:
    text = text.strip().removeprefix("<").removesuffix(">")
    try:
        path = parse_address((text if "@" in text else f"{text}@{domain}").encode())
    except BadPath:
        raise NoSuchRecipient from None
    if not directory.serves(path.domain):
        raise NoSuchRecipient
    found = await directory.resolve(str(path))
    if (await directory.cache.entry(found.entry)).hidden:
        raise NoSuchRecipient
    return found
