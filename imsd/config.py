"""HOME/imsd.toml: what must be known before the store opens.

Everything else is a setting (`imsd.settings`) and lives in the store. A mistake in the file
raises ConfigError with the file and the line, and what would be right.
"""

from __future__ import annotations

import re
import socket
import tomllib
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE: Final = "imsd.toml"

STANDARD_PORTS: Final = {
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "odmr": 366,
    "pop3": 110,
    "pop3s": 995,
    "imap": 143,
    "imaps": 993,
    "ldap": 389,
    "ldaps": 636,
}


class ConfigError(Exception):
    """The configuration cannot be used; the text says where and why."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Server(_Section):
    """hostname: the name in greetings and Received lines; addresses: to listen on, all if empty. ldapi: a
    local socket, relative to the home, "" for none; whoever may reach the file may connect."""

    hostname: str = Field(default_factory=socket.getfqdn, min_length=1, max_length=255)
    addresses: tuple[str, ...] = ()
    port_offset: int = Field(0, ge=0, le=60_000)
    proxy_protocol: tuple[str, ...] = ()
    ldapi: Path | None = Path("run/ldapi")


class Database(_Section):
    """url: "sqlite" (HOME/data/imsd.db) or postgresql://user@host/name."""

    url: str = Field("sqlite", pattern=r"^(sqlite|postgres(ql)?://.+)$")


class Tls(_Section):
    """PEM files, relative to the home. client_ca turns on client certificates (EXTERNAL)."""

    certificate: Path = Path("tls/server.crt")
    key: Path = Path("tls/server.key")
    client_ca: Path | None = None
    names: dict[str, dict[str, Path]] = Field(default_factory=dict)


class Listeners(_Section):
    """Ports before the offset is added; 0 turns a listener off. lmtp: on 127.0.0.1 alone (RFC 2033 5 wants it
    kept from port 25 and from strangers); lmtp_socket: a path, relative to the home, "" for none."""

    smtp: int = Field(25, ge=0, le=65_535)
    submission: int = Field(587, ge=0, le=65_535)
    submissions: int = Field(465, ge=0, le=65_535)
    odmr: int = Field(366, ge=0, le=65_535)
    pop3: int = Field(110, ge=0, le=65_535)
    pop3s: int = Field(995, ge=0, le=65_535)
    imap: int = Field(143, ge=0, le=65_535)
    imaps: int = Field(993, ge=0, le=65_535)
    ldap: int = Field(389, ge=0, le=65_535)
    ldaps: int = Field(636, ge=0, le=65_535)
    lmtp: int = Field(0, ge=0, le=65_535)
    lmtp_socket: str = ""


class Workers(_Section):
    """threads: for hashing and files."""

    threads: int = Field(8, ge=2, le=64)


class Config(_Section):
    """The whole file, and the home it was read from."""

    home: Path
    server: Server = Field(default_factory=lambda: Server())
    database: Database = Field(default_factory=lambda: Database())
    tls: Tls = Field(default_factory=lambda: Tls())
    listeners: Listeners = Field(default_factory=lambda: Listeners())
    workers: Workers = Field(default_factory=lambda: Workers())

    def port(self, name: str) -> int:
        """The port of a listener with the offset added, 0 when it is off."""
        port: int = getattr(self.listeners, name)
        return port + self.server.port_offset if port else 0

    @property
    def ldapi(self) -> Path | None:
        """The local socket of LDAP, None where there is to be none."""
        given = self.server.ldapi
        return None if given is None or str(given) in ("", ".") else self.home / given

    def path(self, relative: Path) -> Path:
        return self.home / relative

    @property
    def control_socket(self) -> Path:
        return self.home / "run" / "control.sock"


def load(home: Path) -> Config:
    """Read HOME/imsd.toml. Raises ConfigError."""
    home = home.expanduser().absolute()
    file = home / FILE
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file; `imsctl --home {home} setup` makes a home") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from None
    return parse(text, home, str(file))


def parse(text: str, home: Path, name: str = FILE) -> Config:
    """The configuration in `text`. Raises ConfigError naming `name` and the line."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"{name}:{line.group(1) if line else 1}: {error}") from None
    try:
        return Config(home=home, **data)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            where = tuple(str(part) for part in item["loc"])
            lines.append(f"{name}:{_line_of(text, where)}: {'.'.join(where)}: {_explain(item)}")
        raise ConfigError("\n".join(lines)) from None
    except TypeError:
        raise ConfigError(f"{name}:1: home is where the file lies and cannot be set in it") from None


def _explain(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return "no such option"
    return f"{item['msg']} (found {item['input']!r})"


def _line_of(text: str, where: tuple[str, ...]) -> int:
    """The line that sets the option, else the line of its section, else 1."""
    section, key = where[0], where[1] if len(where) > 1 else ""
    header = re.compile(r"\s*\[+\s*[\"']?([^\].\"']+)")
    setting = re.compile(rf"\s*[\"']?{re.escape(key or section)}[\"']?\s*[.=]")
    found, inside = 0, not key
    for number, line in enumerate(text.splitlines(), 1):
        begins = header.match(line)
        if begins:
            inside = begins.group(1).strip() == section
            found = found or (number if inside else 0)
        elif inside and setting.match(line):
            return number
    return found or 1


def render(
    hostname: str, port_offset: int = 0, database_url: str = "sqlite", addresses: tuple[str, ...] = ()
) -> str:
    """The text of a new home's imsd.toml, every option with its comment."""
    quoted = ", ".join(f'"{address}"' for address in addresses)
    listeners = "\n".join(f"{name} = {port}" for name, port in STANDARD_PORTS.items())
    return f"""\
# What imsd must know before its store opens. Everything else is a setting: imsctl settings list

[server]
hostname = "{hostname}"          # in greetings, Received lines and Message-IDs
addresses = [{quoted}]           # to listen on; none: every address of this machine
port_offset = {port_offset}      # added to every port below
proxy_protocol = []              # networks whose load balancers speak the PROXY protocol

[database]
url = "{database_url}"           # "sqlite" (data/imsd.db here) or postgresql://user@host/name

[tls]                            # PEM files, relative to this folder; read again when they change
certificate = "tls/server.crt"   # with the chain after it
key = "tls/server.key"
# client_ca = "tls/clients.pem"  # who signs client certificates (SASL EXTERNAL)
# names."mail.example.org" = {{ certificate = "tls/org.crt", key = "tls/org.key" }}

[listeners]                      # 0 turns one off
{listeners}
# lmtp = 24                      # on 127.0.0.1 alone, for filters and other mail systems on this machine
# lmtp_socket = "run/lmtp.sock"

[workers]
threads = 8                      # for password hashing and files
"""
