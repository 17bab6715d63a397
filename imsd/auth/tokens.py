"""Tokens of an identity provider: JSON Web Tokens (RFC 7519), read with PyJWT.

A token counts when its signature is of one of the provider's keys, and issuer, audience, time and
scope are right. Its claim says whose it is. Keys are fetched when the first token comes, kept for
a while, and fetched again for a token whose key is not among them, once a minute at most; while
the provider is not to be reached the keys that are here go on to count.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import jwt
from twisted.logger import Logger

from imsd.auth.flights import Flights
from imsd.auth.issuer import PATH, Unavailable
from imsd.errors import AuthenticationFailed, TryLater
from imsd.settings.tokens import Tokens as Page
from protocols.sasl import BadToken

AGAIN: Final = 60.0
"""Seconds between two questions for keys at least."""


class Tokens:
    """fetch: the JWK Set of an issuer, by its certificates' file; raises Unavailable."""

    log = Logger()

    def __init__(
        self,
        settings: Callable[[], Page],
        fetch: Callable[[str, str], Awaitable[Any]],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._fetch = fetch
        self._clock = clock
        self._issuer = ""
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._asked = float("-inf")
        self._asking = False
        self._flights: Flights[None] = Flights()

    @property
    def on(self) -> bool:
        return bool(self._settings().issuer)

    async def name(self, token: str) -> str:
        """The log-on name of who has the token. Raises BadToken, TryLater."""
        page = self._settings()
        try:
            key = await self._key(page, jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key.key,
                algorithms=page.algorithms,
                audience=page.audience,
                issuer=page.issuer,
                leeway=page.leeway_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.PyJWTError as error:
            raise self._bad(page, str(error)) from None
        scopes = claims.get("scope", claims.get("scp", ""))
        held = scopes.split() if isinstance(scopes, str) else scopes
        if page.scope and page.scope not in held:
            raise self._bad(page, f"scope {page.scope} is missing", "insufficient_scope")
        name = claims.get(page.claim)
        if not isinstance(name, str) or not name:
            raise self._bad(page, f"claim {page.claim} is missing")
        if page.claim == "email" and claims.get("email_verified") is False:
            raise self._bad(page, "the address is not verified")
        return name

    def _bad(self, page: Page, why: str, status: str = "invalid_token") -> BadToken:
        self.log.info("a token was refused: {why}", why=why)
        return BadToken(AuthenticationFailed(), status, page.scope, page.issuer.rstrip("/") + PATH)

    async def _key(self, page: Page, header: dict[str, Any]) -> jwt.PyJWK:
        """Raises jwt.InvalidKeyError, TryLater."""
        if self._issuer != page.issuer:
            self._issuer, self._keys = page.issuer, {}
            self._fetched = self._asked = float("-inf")
        now = self._clock()
        wanted = str(header.get("kid", ""))
        stale = now - self._fetched > page.keys_minutes * 60
        due = now - self._asked >= AGAIN or self._asking
        if (stale or wanted not in self._keys) and due:
            try:
                await self._flights.join(b"keys", lambda: self._refresh(page))
            except Unavailable as error:
                self.log.warn("the keys of {issuer} cannot be had: {why}", issuer=page.issuer, why=str(error))
                if not self._keys:
                    raise TryLater("The identity provider cannot be reached") from None
        found = self._keys.get(wanted)
        if found is None:
            if not self._keys:
                raise TryLater("The identity provider cannot be reached")
            raise jwt.InvalidKeyError("no such key")
        return found

    async def _refresh(self, page: Page) -> None:
        self._asked, self._asking = self._clock(), True
        try:
            document = await self._fetch(page.issuer, page.ca_file)
        finally:
            self._asking = False
        try:
            found = jwt.PyJWKSet.from_dict(document)
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError) as error:
            raise Unavailable(f"no keys: {error}") from None
        self._keys = {str(key.key_id or ""): key for key in found.keys}
        self._fetched = self._clock()
