"""Plug-ins have a say in who logs in, and are told of who does not (imsd.plugins)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imsd.errors import NotAuthorized, PolicyRejected, Refusal, Throttled, TryLater
from imsd.plugins.values import Login

if TYPE_CHECKING:
    from imsd.plugins.plugins import Plugins


def failed(plugins: Plugins | None, login: Login, refusal: Refusal) -> None:
    """Tell of a login that was refused."""
    if plugins is not None and plugins.wants("login_failed"):
        plugins.tell("login_failed", replace(login, reason=refusal.text))


async def ask(plugins: Plugins | None, login: Login, address: str) -> None:
    """Whether somebody who is himself is let in. Raises NotAuthorized, Throttled."""
    if plugins is None or not plugins.wants("login"):
        return
    login = replace(login, address=address)
    try:
        await plugins.ask("login", login)
    except PolicyRejected as refused:
        failed(plugins, login, refused)
        raise NotAuthorized(refused.text) from None
    except TryLater as later:
        failed(plugins, login, later)
        raise Throttled(later.text) from None
