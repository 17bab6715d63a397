"""Networks in settings: their text, and the longest one that an address is in.

A network is `10.0.0.0/8`, `10.0.0.0/255.0.0.0`, `2001:db8::/32` or one address. Bits behind the
mask do not matter. An IPv4 address in IPv6 form (`::ffff:10.1.2.3`, RFC 4291 2.5.5.2), which is
how a dual-stack socket names an IPv4 peer, is the IPv4 address it holds, in rules and in peers.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, Generic, TypeVar

from pydantic import AfterValidator

T = TypeVar("T")
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_MAPPED: Final = IPv6Network("::ffff:0:0/96")


def network(text: str) -> Network:
    """Raises ValueError."""
    found = ip_network(text.strip(), strict=False)
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        inner = found.network_address.ipv4_mapped
        assert inner is not None
        return IPv4Network((inner, found.prefixlen - 96))
    return found


def address(text: str) -> Address | None:
    """A peer's address, None for what is none (a local socket). A zone (`%eth0`) is left out."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


def _network(text: str) -> str:
    return str(network(text.replace(";", "/")))


NetworkText = Annotated[str, AfterValidator(_network)]
"""A field that holds a network, stored in CIDR form; the registry's `net;mask` is taken, too."""


class Networks(Generic[T]):
    """What was said of networks; asked for an address, the most specific one answers.

    One look-up for each length of prefix that occurs. Of two rules for the same network the later
    holds.
    """

    def __init__(self, rules: Iterable[tuple[str, T]]) -> None:
        """Raises ValueError for what is no network."""
        by_length: dict[tuple[int, int], dict[int, T]] = {}
        for text, value in rules:
            found = network(text)
            shift = found.max_prefixlen - found.prefixlen
            table = by_length.setdefault((found.version, shift), {})
            table[int(found.network_address) >> shift] = value
        self._tables = sorted(by_length.items(), key=lambda item: item[0][1])

    def find(self, peer: str, default: T) -> T:
        """What was said of the smallest network the peer is in."""
        if not self._tables:
            return default
        found = address(peer)
        if found is None:
            return default
        number, version = int(found), found.version
        for (of, shift), table in self._tables:
            if of == version and (number >> shift) in table:
                return table[number >> shift]
        return default


def _rule(text: str) -> str:
    word, _, rest = text.strip().partition(" ")
    if word.lower() not in ("accept", "reject") or not rest:
        raise ValueError(f'{text}: "accept NETWORK" or "reject NETWORK" expected')
    return f"{word.lower()} {network(rest)}"


AcceptOrReject = Annotated[str, AfterValidator(_rule)]
"""A setting's text `accept NETWORK` or `reject NETWORK`."""


def accepting(rules: Iterable[str]) -> Networks[bool]:
    """Rules of that form, ready to be asked."""
    pairs = (rule.partition(" ") for rule in rules)
    return Networks((rest, word == "accept") for word, _, rest in pairs)
