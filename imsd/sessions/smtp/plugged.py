"""What plug-ins are asked of one SMTP connection (imsd.plugins).

The host itself is asked about at once, and waited for at MAIL: there it is told why it is refused, and until
then nobody has waited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred

from imsd.errors import PolicyRejected, Refusal, TryLater
from imsd.plugins.values import Connection, Recipient, Sender
from protocols.smtp.interfaces import Role

if TYPE_CHECKING:
    from imsd.auth.account import Account
    from imsd.plugins.plugins import Plugins
    from protocols.security import Security
    from protocols.smtp.interfaces import Client


class Plugged:
    """Of one connection to a listener of that role."""

    __slots__ = ("_host", "_plugins", "_security", "_service", "_unwelcome")

    def __init__(self, plugins: Plugins | None, role: Role, security: Security) -> None:
        self._plugins = plugins
        self._service = "smtp" if role is Role.MX else role.value
        self._security = security
        self._unwelcome: Refusal | None = None
        self._host: Deferred[None] | None = None
        if plugins is not None and plugins.wants("connected"):
            self._host = Deferred.fromCoroutine(self._connected(plugins))

    @property
    def on(self) -> bool:
        """Whether anybody is to be asked."""
        plugins = self._plugins
        return plugins is not None and (
            self._host is not None or plugins.wants("mail") or plugins.wants("recipient")
        )

    async def _connected(self, plugins: Plugins) -> None:
        security = self._security
        try:
            await plugins.ask(
                "connected", Connection(self._service, security.peer, security.local, security.encrypted)
            )
        except (PolicyRejected, TryLater) as refusal:
            self._unwelcome = refusal

    async def mail(self, client: Client, account: Account | None, sender: str, size: int) -> None:
        """Raises PolicyRejected, TryLater."""
        assert self._plugins is not None
        if self._host is not None:
            await self._host
        if self._unwelcome is not None:
            raise type(self._unwelcome)(self._unwelcome.text)
        if self._plugins.wants("mail"):
            await self._plugins.ask("mail", Sender(self._connection(client, account), sender, size))

    async def recipient(self, client: Client, account: Account | None, sender: str, recipient: str) -> None:
        """Raises PolicyRejected, TryLater."""
        assert self._plugins is not None
        if self._plugins.wants("recipient"):
            connection = self._connection(client, account)
            await self._plugins.ask("recipient", Recipient(connection, sender, recipient))

    def _connection(self, client: Client, account: Account | None) -> Connection:
        security = self._security
        login = account.address if account is not None else ""
        return Connection(self._service, client.peer, security.local, client.encrypted, client.hello, login)

    def forget(self) -> None:
        """The connection is over."""
        host, self._host = self._host, None
        if host is not None:
            host.addErrback(lambda failure: failure.trap(CancelledError))
            host.cancel()
