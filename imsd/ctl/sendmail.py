"""imsd-sendmail: hands a message to the server as sendmail(8) did, for cron, PHP and scripts.

The message goes into the pickup folder and is on the disk when this ends, whether the server runs or
not. Who may write into the folder may send as anybody; see docs/administration.md.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from imsd import config
from imsd.ctl.command import DEFAULT_HOME
from imsd.store.pickup import PickupFolder

NO_INPUT: Final = 66
"""EX_NOINPUT of sysexits(3): there is no such home."""

TRY_AGAIN: Final = 75
"""EX_TEMPFAIL: the message is not ours."""

_LINE: Final = re.compile(r"[\x00-\x20\x7f<>]")


@click.command(
    "imsd-sendmail",
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.option("-t", "from_header", is_flag=True, help="Recipients are those of To, Cc and Bcc.")
@click.option("-f", "-r", "sender", default=None, metavar="ADDRESS", help='The reverse-path; "<>" for none.')
@click.option("-F", "name", default="", metavar="NAME", help="The full name, where there is no From.")
@click.option("-i", "-oi", "ignore_dots", is_flag=True, help="A line with a dot alone does not end it.")
@click.option("-bm", "deliver", is_flag=True, hidden=True)
@click.option("-v", "verbose", is_flag=True, hidden=True)
@click.option("-B", "-N", "-V", "-R", "-o", "-O", "-q", "ignored", multiple=True, hidden=True)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: os.environ.get("IMSD_HOME", DEFAULT_HOME),
    show_default=f"$IMSD_HOME or {DEFAULT_HOME}",
    help="The server's home folder.",
)
@click.argument("recipients", nargs=-1)
def sendmail(
    from_header: bool,
    sender: str | None,
    name: str,
    ignore_dots: bool,
    recipients: Sequence[str],
    home: Path,
    **_ignored: object,
) -> None:
    """Send the message on standard input to RECIPIENTS."""
    home = home.expanduser()
    if not (home / config.FILE).exists():
        _stop(NO_INPUT, f"{home} is no home of imsd; set IMSD_HOME")
    if not recipients and not from_header:
        raise click.UsageError("Name recipients, or use -t")
    own = f"{getpass.getuser()}@{_hostname(home)}"
    data = _read(ignore_dots)
    envelope = [f"X-Sender: <{_address('' if sender in ('<>', '') else sender or own)}>"]
    envelope += [f"X-Receiver: <{_address(one)}>" for one in recipients]
    if not re.search(rb"^From:", data.partition(b"\n\n")[0].replace(b"\r", b""), re.I | re.M):
        shown = name.replace('"', "").replace("\n", " ")
        envelope.append(f'From: "{shown}" <{own}>' if shown else f"From: <{own}>")
    try:
        PickupFolder(home).drop("\n".join(envelope).encode() + b"\n" + data)
    except OSError as error:
        _stop(TRY_AGAIN, f"cannot hand the message over: {error}")


def _read(ignore_dots: bool) -> bytes:
    source = sys.stdin.buffer
    if ignore_dots:
        return source.read()
    lines = []
    for line in source:
        if line.rstrip(b"\r\n") == b".":
            break
        lines.append(line)
    return b"".join(lines)


def _address(text: str) -> str:
    text = text.strip().removeprefix("<").removesuffix(">")
    if _LINE.search(text):
        raise click.UsageError(f"{text!r} is no address")
    return text


def _hostname(home: Path) -> str:
    try:
        return config.load(home).server.hostname
    except config.ConfigError:
        return socket.getfqdn()


def _stop(code: int, text: str) -> None:
    click.echo(f"imsd-sendmail: {text}", err=True)
    raise SystemExit(code)


def main() -> None:
    """The console script."""
    sendmail(prog_name="imsd-sendmail")
