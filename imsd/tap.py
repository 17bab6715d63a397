"""`twistd imsd`: its options, and the service it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from imsd import config
from imsd.polling import shorten_turns
from imsd.service import Server

DEFAULT_HOME = "~/.imsd"


class Options(usage.Options):
    """Command-line options."""

    synopsis = "[--home DIR]"
    longdesc = "Internet mail and directory server: SMTP, POP3, IMAP4 and LDAP v3 over one store."
    optParameters = [
        [
            "home",
            None,
            None,
            f"The server's home folder (else $IMSD_HOME, else {DEFAULT_HOME}, made when it is not there)",
        ]
    ]


def makeService(options: dict[str, Any]) -> IService:
    """The server of a home. Raises SystemExit with the reason where a home cannot be used."""
    from twisted.internet import reactor

    shorten_turns(reactor)
    # Mail, passwords and keys are nobody else's.
    os.umask(0o077)
    given = options.get("home") or os.environ.get("IMSD_HOME")
    home = Path(given or DEFAULT_HOME).expanduser().absolute()
    if not given and not (home / config.FILE).exists():
        from imsd.ctl.setup import make_default_home

        make_default_home(home)
    try:
        return Server(config.load(home), reactor)
    except config.ConfigError as error:
        raise SystemExit(f"imsd: {error}") from None
