"""How long the SMTP client waits for what (RFC 5321 4.5.3.2)."""

from __future__ import annotations

from pydantic import Field

from imsd.settings.page import Page


def _timer(seconds: int, text: str) -> int:
    value: int = Field(seconds, ge=1, le=86_400, description=f"Seconds {text}")
    return value


class Timers(Page):
    """Timers of mail that leaves."""

    section = "ims.timers"

    connect: int = Field(30, ge=1, le=300, description="Seconds for a connection to be made")
    greeting: int = _timer(300, "for the greeting of a server (RFC 5321 4.5.3.2.1)")
    hello: int = _timer(300, "for the reply to EHLO and HELO, and for a TLS handshake")
    mail: int = _timer(300, "for the reply to MAIL (RFC 5321 4.5.3.2.2)")
    rcpt: int = _timer(300, "for the reply to RCPT (RFC 5321 4.5.3.2.3)")
    data: int = _timer(120, "for the reply to DATA (RFC 5321 4.5.3.2.4)")
    block: int = _timer(180, "for each block of content to be taken (RFC 5321 4.5.3.2.5)")
    final: int = _timer(600, "for the reply to the end of the content (RFC 5321 4.5.3.2.6)")
    other: int = _timer(120, "for the reply to any other command")
