"""The custom routing program (ims_spec 3.11): a Python function is asked about each recipient.

`routing.plugin` names it. It gets a `Question` and answers with a text:

    None or ""            the routing table decides, as without it
    "inbound"             it is for somebody here
    "relay"               it is sent on as it is (for domains of ours: as the table says)
    "reroute:DOMAIN"      this domain takes the place of the recipient's
    "recipient:ADDRESS"   this address takes the place of the recipient's; the function is asked about it, too
    "host:HOST[:PORT]"    it is handed to that host
    "refuse[:TEXT]"       it is refused (550 5.7.1)
    "later[:TEXT]"        it is refused for now (451 4.3.0)

It is asked before the table. What it sends on still has to be allowed by `routing.restrictions`.
A recipient that it leads back to where it has been is refused: event 4115. A function that fails, takes
longer than `routing.plugin_seconds` or answers with anything else is an error in the log (event 20021),
and `routing.plugin_failure` says what becomes of the recipient.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.logger import Logger

from imsd.errors import LoopDetected, PolicyRejected, TryLater
from imsd.plugins.functions import Plugin
from imsd.plugins.threads import PluginFailed
from imsd.settings.connectors import host_and_port
from imsd.settings.domains import normal_domain
from imsd.settings.routing import Rerouting
from protocols.errors import BadSyntax
from protocols.smtp.grammar import Path as Address
from protocols.smtp.grammar import parse_address

if TYPE_CHECKING:
    from imsd.settings import LiveSettings

MOST: Final = 5
"""Addresses one after the other, for one recipient."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the function is told. sender: the reverse-path, "" for the null one. client, server: the IP
    addresses of the connection, "" where there is none. authenticated: the client has logged in."""

    sender: str
    recipient: str
    client: str
    server: str
    authenticated: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """path: the address that is routed. action: "", inbound, relay or host, and the host."""

    path: Address
    action: str = ""
    host: str = ""


class RoutingPlugin:
    """Asks the function of the settings as they are."""

    log = Logger()

    def __init__(self, settings: LiveSettings, reactor: Any, home: Path) -> None:
        self._settings = settings
        self.plugin = Plugin(reactor, home / "plugins", "routing.plugin")
        settings.on_change(self._changed)
        self._changed()

    def _changed(self) -> None:
        self.plugin.use(self._settings[Rerouting].plugin)

    def reload(self) -> None:
        """Read its module anew."""
        self.plugin.use("")
        self._changed()

    def stop(self) -> None:
        self.plugin.stop()

    async def ask(self, path: Address, sender: str, client: str, server: str, authenticated: bool) -> Answer:
        """Where a recipient goes. Raises PolicyRejected, TryLater, LoopDetected."""
        page = self._settings[Rerouting]
        seen = [str(path)]
        while True:
            question = Question(sender, str(path), client, server, authenticated)
            try:
                said = await self.plugin.call(page.plugin_seconds, question)
                word, value = _taken_apart(said, path)
            except PluginFailed as failed:
                self.log.error(
                    "routing plug-in, asked about {address}: {why}",
                    address=question.recipient, why=str(failed), event_id=20_021,
                )  # fmt: skip
                if page.plugin_failure == "refuse":
                    raise TryLater("The routing program does not answer") from None
                return Answer(path)
            match word, value:
                case "refuse", text:
                    raise PolicyRejected(str(text) or "Not accepted for delivery")
                case "later", text:
                    raise TryLater(str(text) or "Try again later")
                case "host", host:
                    return Answer(path, "host", str(host))
                case "reroute", Address() as path:
                    return Answer(path)
                case "recipient", Address() as path:
                    if str(path) in seen or len(seen) >= MOST:
                        self._looping(seen, path)
                    seen.append(str(path))
                case action, _:
                    return Answer(path, action)

    def _looping(self, seen: list[str], path: Address) -> None:
        way = " > ".join((*seen, str(path)))
        self.log.error("the routing plug-in leads in a circle: {way}", way=way, event_id=4115)
        raise LoopDetected


def _taken_apart(said: Any, path: Address) -> tuple[str, str | Address]:
    """An answer: the word, and what follows it. Raises PluginFailed."""
    if said is None or said == "":
        return "", ""
    if not isinstance(said, str):
        raise PluginFailed(f"it answered with {type(said).__name__} and not with a text")
    word, _, rest = said.partition(":")
    word, rest = word.strip().lower(), rest.strip()
    try:
        match word:
            case "inbound" | "relay" if not rest:
                return word, ""
            case "refuse" | "later":
                # It goes into a reply: one line of printable ASCII.
                return word, "".join(c if " " <= c <= "~" else "?" for c in rest)[:200]
            case "reroute":
                return word, Address(path.local, normal_domain(rest))
            case "recipient":
                return word, parse_address(rest.encode())
            case "host":
                host_and_port(rest)
                return word, rest
    except (ValueError, BadSyntax) as error:
        raise PluginFailed(f"it answered {said[:100]!r}: {error}") from None
    raise PluginFailed(f"it answered {said[:100]!r}, which is no answer")
