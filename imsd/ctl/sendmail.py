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
from collections.abc import Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from imsd import config
from imsd.ctl import client
from imsd.ctl.command import DEFAULT_HOME
from imsd.ctl.standalone import Standalone
from imsd.errors import Refusal
from imsd.store.pickup import PickupFolder
from protocols.errors import BadSyntax
from protocols.message import words
from protocols.smtp.parameters import MailParameters, RcptParameters

USAGE: Final = 64
"""EX_USAGE: a word of the command line is not known, or stands there in vain."""

NO_USER: Final = 67
"""EX_NOUSER: mail for a recipient would come back."""

NO_INPUT: Final = 66
"""EX_NOINPUT of sysexits(3): there is no such home."""

TRY_AGAIN: Final = 75
"""EX_TEMPFAIL: the message is not ours."""

_LINE: Final = re.compile(r"[\x00-\x20\x7f<>]")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
_MBOX_LINE: Final = re.compile(rb"From [^\n]*\n")
_HEADER_END: Final = re.compile(rb"\n\r?\n")
_FROM: Final = re.compile(rb"^From[ \t]*:", re.IGNORECASE | re.MULTILINE)


@click.command("imsd-sendmail", context_settings={"help_option_names": ["--help"]})
@click.option("-t", "from_header", is_flag=True, help="Recipients are those of To, Cc and Bcc.")
@click.option("-f", "-r", "sender", default=None, metavar="ADDRESS", help='The reverse-path; "<>" for none.')
@click.option("-F", "name", default="", metavar="NAME", help="The full name, where there is no From.")
@click.option("-i", "-oi", "ignore_dots", is_flag=True, help="A line with a dot alone does not end it.")
@click.option("-N", "notify", default="", metavar="WHEN", help="never, or some of success,failure,delay.")
@click.option("-R", "ret", default="", metavar="full|hdrs", help="What reports of failures return.")
@click.option("-V", "envid", default="", metavar="ID", help="What reports name the message by.")
@click.option("-bm", "deliver", is_flag=True, hidden=True)
@click.option("-bp", "queue", is_flag=True, help="Show the queue instead, as mailq does.")
@click.option("-bs", "smtp", is_flag=True, help="Speak SMTP on standard input and output.")
@click.option("-bv", "verify", is_flag=True, help="Tell what would become of mail for RECIPIENTS.")
@click.option("-bi", "aliases", is_flag=True, hidden=True)
@click.option("-q", "again", is_flag=False, flag_value="now", default="", hidden=True)
@click.option("-U", "-n", "-G", "-m", "-v", "-x", "flags", is_flag=True, hidden=True)
@click.option(
    "-B", "-o", "-O", "-e", "-h", "-L", "-p", "-d", "-A", "-X", "ignored", multiple=True, hidden=True
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, readable=False, path_type=Path),
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
    notify: str,
    ret: str,
    envid: str,
    queue: bool,
    smtp: bool,
    verify: bool,
    aliases: bool,
    again: str,
    recipients: Sequence[str],
    home: Path,
    **_ignored: object,
) -> None:
    """Send the message on standard input to RECIPIENTS."""
    home = home.expanduser()
    try:
        if not (home / config.FILE).exists():
            _stop(NO_INPUT, f"{home} is no home of imsd; set IMSD_HOME")
        if queue:
            os.execv(sys.executable, [sys.executable, "-m", "imsd.ctl", "--home", str(home), "queue", "list"])
    except OSError as error:
        _stop(TRY_AGAIN, f"{home} cannot be used: {error.strerror}; its owner decides who may")
    if smtp:
        _speak(home)
        return
    recipients = [one for each in recipients for one in each.split(",") if one.strip()]
    if (aliases or again) and not recipients and not from_header:
        # Aliases are the directory's, and the server works the queue.
        return
    if not recipients and (verify or not from_header):
        raise click.UsageError("Name recipients" + ("" if verify else ", or use -t"))
    if verify:
        _verify(home, recipients, sender)
        return
    user = getpass.getuser()
    data = _complete(_read(ignore_dots))
    of_all = _parameters(MailParameters.parse, RET=ret, ENVID=envid)
    of_each = _parameters(RcptParameters.parse, NOTIFY=notify)
    if of_each and not recipients:
        raise click.UsageError("-N goes with recipients that are named, not with -t alone")
    envelope = [f"X-Sender: <{_address('' if sender in ('<>', '') else sender or user)}>{of_all}"]
    envelope += [f"X-Receiver: <{_address(one)}>{of_each}" for one in recipients]
    # It counts loops, and ends the envelope: what the message says under those names is its header.
    envelope.append(_received(home, user))
    if not _FROM.search(_HEADER_END.split(data, maxsplit=1)[0]):
        # The server knows the domain of who has none.
        envelope.append(f"From: {_phrase(name)}<{user}>")
    try:
        PickupFolder(home).drop("\n".join(envelope).encode() + b"\n" + data)
    except OSError as error:
        _stop(TRY_AGAIN, f"cannot hand the message over: {error}")


def _received(home: Path, user: str) -> str:
    host = _hostname(home)
    return f"Received: by {host} (imsd-sendmail, from user {user}); {formatdate(localtime=True)}"


def _speak(home: Path) -> None:
    own = _received(home, getpass.getuser()).encode() + b"\n"
    drop = PickupFolder(home).drop
    Standalone(sys.stdin.buffer, sys.stdout.buffer, _hostname(home), own, drop).run()


def _verify(home: Path, recipients: Sequence[str], sender: str | None) -> None:
    """A line for each; exits with EX_NOUSER where one cannot be reached."""
    failed = False
    for one in recipients:
        address, by = _address(one), "" if sender in (None, "<>") else sender
        answer = _explained(home, address, by)
        if answer["result"] == "refused" and "@" not in address:
            # As it is sent: what is for an account of the system is the postmaster's.
            answer = _explained(home, "postmaster", by)
        wrong = answer["result"] in ("refused", "unroutable")
        failed = failed or wrong
        told = "undeliverable" if wrong else "deliverable"
        click.echo(f"{one}... {told}: {answer['result']}: {answer['text']}")
    if failed:
        raise SystemExit(NO_USER)


def _explained(home: Path, address: str, sender: str | None) -> dict[str, Any]:
    asked = {"address": address, "sender": sender, "auth": True}
    try:
        found: dict[str, Any] = client.call(home / "run" / "control.sock", "route.explain", asked)
    except (client.NotRunning, OSError) as error:
        why = "the server does not run" if isinstance(error, client.NotRunning) else str(error)
        _stop(TRY_AGAIN, f"cannot ask about {address}: {why}")
    except Refusal as refusal:
        return {"result": "refused", "text": refusal.text}
    return found


def _parameters(parse: Callable[[dict[bytes, bytes]], object], **given: str) -> str:
    """As MAIL and RCPT have them (RFC 3461)."""
    found = {name: value for name, value in given.items() if value}
    try:
        parse({name.encode(): value.encode() for name, value in found.items()})
    except BadSyntax as error:
        raise click.UsageError(str(error)) from None
    return "".join(f" {name}={value}" for name, value in found.items())


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


def _complete(data: bytes) -> bytes:
    """The message without a mailbox file's From line; text that has no header is all body."""
    data = data[line.end() :] if (line := _MBOX_LINE.match(data)) is not None else data
    return data if _FIELD.match(data) or data.startswith((b"\n", b"\r\n")) else b"\n" + data


def _phrase(name: str) -> str:
    shown = " ".join(name.replace('"', "").replace("\\", "").split())
    if not shown:
        return ""
    return f'"{shown}" ' if shown.isascii() else words.encode(shown, used=6).decode() + " "


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


def _stop(code: int, text: str) -> NoReturn:
    click.echo(f"imsd-sendmail: {text}", err=True)
    raise SystemExit(code)


def main() -> None:
    """The console script."""
    try:
        sendmail(prog_name="imsd-sendmail", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        raise SystemExit(USAGE if isinstance(error, click.UsageError) else error.exit_code) from None
    except click.Abort:
        raise SystemExit(TRY_AGAIN) from None
