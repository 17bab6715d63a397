"""imsctl mailbox: messages in and out of files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from imsd.ctl import mailfiles
from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_json, show_table

_BATCH_OCTETS = 4 << 20
_BATCH = 100
_LARGEST = 45 << 20
"""Octets of one message: what one request to the server holds, in base64."""


@imsctl.group()
def mailbox() -> None:
    """Mailboxes and what is in them.

    WHO is an address, an alias or a DN; "Public Folders" stands for the organisation's own tree. The
    server must be running.
    """


@mailbox.command("folders")
@click.argument("who")
@json_option
@click.pass_obj
def folders(admin: Administrator, who: str) -> None:
    """List the folders of WHO."""
    rows = admin.ask("mailbox.folders", who=who)
    if admin.as_json:
        show_json(rows)
    else:
        shown = ([row["name"], row["special"], row["messages"], row["bytes"]] for row in rows)
        show_table(("FOLDER", "USE", "MESSAGES", "OCTETS"), shown)


@mailbox.command("export")
@click.argument("who")
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(["maildir", "mbox"]), default="maildir", show_default=True
)
@click.option("--folder", "only", default="", help="This folder only.")
@json_option
@click.pass_obj
def export(admin: Administrator, who: str, target: Path, kind: str, only: str) -> None:
    """Write the messages of WHO into the new folder TARGET, a Maildir or an mbox file for each folder."""
    if target.exists() and any(target.iterdir()):
        raise click.ClickException(f"{target} is not empty")
    rows = [row for row in admin.ask("mailbox.folders", who=who) if only in ("", row["name"])]
    if not rows:
        raise click.ClickException(f"{who} has no folder {only}")
    writer = mailfiles.MaildirTree(target) if kind == "maildir" else mailfiles.MboxFiles(target)
    count = 0
    with _progress("exported", sum(row["messages"] for row in rows)) as advance:
        for row in rows:
            writer.folder(row["name"])
            for letter in _letters(admin, who, row["name"]):
                writer.add(letter)
                count += 1
                advance(1)
    if admin.as_json:
        show_json({"messages": count, "folders": len(rows)})
    else:
        click.echo(f"{count} messages of {len(rows)} folders are in {target}")


def _letters(admin: Administrator, who: str, folder: str) -> Iterator[mailfiles.Letter]:
    after, more = 0, True
    while more:
        page = admin.ask("mailbox.page", who=who, folder=folder, after=after)
        more = page["more"]
        for one in page["messages"]:
            after = one["uid"]
            yield mailfiles.Letter(folder, base64.b64decode(one["data"]), tuple(one["flags"]), one["date"])


@mailbox.command("import")
@click.argument("who")
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--folder", default="", help="Put everything there, or below it.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@json_option
@click.pass_obj
def import_(admin: Administrator, who: str, source: Path, folder: str, dry_run: bool) -> None:
    """Store the messages of SOURCE in the mailbox of WHO.

    SOURCE is a Maildir or a tree of them, an mbox file or a tree of .mbox files, or .eml files. Missing
    folders are made. A message that its folder has already is passed over, so an import that was
    interrupted is run again.
    """
    work = _Import(admin, who, dry_run)
    with _progress("imported", None) as advance:
        try:
            for letter in mailfiles.read(source, folder):
                work.add(letter)
                advance(1)
            work.send()
        except (OSError, ValueError) as error:
            raise click.ClickException(str(error)) from None
    if admin.as_json:
        show_json({"stored": work.stored, "known": work.known, "refused": work.refused})
        return
    for name, reason in work.refused:
        click.echo(f"{name}: {reason}", err=True)
    verb = "would be stored" if dry_run else "stored"
    click.echo(f"{work.stored} {verb}, {work.known} there already")
    if work.refused:
        raise click.ClickException(f"{len(work.refused)} not taken")


class _Import:
    """Batches of one folder on their way to the server."""

    def __init__(self, admin: Administrator, who: str, dry_run: bool) -> None:
        self._admin = admin
        self._who = who
        self._dry_run = dry_run
        self._known: dict[str, set[str]] = {}
        self._batch: list[mailfiles.Letter] = []
        self._octets = 0
        self.stored = self.known = 0
        self.refused: list[tuple[str, str]] = []

    def add(self, letter: mailfiles.Letter) -> None:
        held = self._known.get(letter.folder)
        if held is None:
            held = self._known[letter.folder] = self._hashes(letter.folder)
        mark = hashlib.sha256(letter.data).hexdigest()
        if mark in held:
            self.known += 1
            return
        held.add(mark)
        if len(letter.data) > _LARGEST:
            self.refused.append((letter.folder, f"a message of {len(letter.data)} octets is too large"))
            return
        full = self._octets + len(letter.data) > _BATCH_OCTETS or len(self._batch) >= _BATCH
        if self._batch and (full or self._batch[0].folder != letter.folder):
            self.send()
        self._batch.append(letter)
        self._octets += len(letter.data)

    def _hashes(self, folder: str) -> set[str]:
        found: set[str] = set()
        after = 0
        while True:
            page = self._admin.ask("mailbox.hashes", who=self._who, folder=folder, after=after)
            found.update(page["hashes"])
            after = page["last"]
            if not after:
                return found

    def send(self) -> None:
        """Store what is waiting."""
        batch, self._batch, self._octets = self._batch, [], 0
        if batch and not self._dry_run:
            given = [_given(letter) for letter in batch]
            self._admin.ask("mailbox.put", who=self._who, folder=batch[0].folder, given=given)
        self.stored += len(batch)


def _given(letter: mailfiles.Letter) -> dict[str, Any]:
    return {"data": base64.b64encode(letter.data).decode(), "flags": list(letter.flags), "date": letter.date}


@contextmanager
def _progress(words: str, total: int | None) -> Iterator[Any]:
    """A bar on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn(f"{{task.completed}} {words}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(words, total=total)
        yield lambda count: progress.advance(task, count)
