"""imsctl directory."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from imsd.ctl import rehearsal, spreadsheet
from imsd.ctl.command import Administrator, Ask, imsctl, json_option
from imsd.ctl.output import show_json, show_table
from imsd.ctl.recordfile import ENTRIES, Journal, RecordFile, Standing, send

_AS_IS = {
    "there": "there already",
    rehearsal.UNJUDGED: "cannot be judged before others of the file are put in",
}
_LOOK = 0.2
"""Seconds between two looks at work of the server's."""
_SHOWN = 20
"""Refusals shown on the terminal; all are in the file of refused records."""


@imsctl.group()
def directory() -> None:
    """The directory as a whole, as LDIF or as Exchange's CSV."""


@directory.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@click.option("--domain-names", is_flag=True, help="Write names under dc=... instead of o=...")
@click.option(
    "--format", "kind", type=click.Choice(["ldif", "csv"]), help="Default: by the file's name, else ldif."
)
@click.pass_obj
def export(admin: Administrator, file: Path | None, domain_names: bool, kind: str | None) -> None:
    """Write every entry to FILE, or to standard output. Passwords are not in it.

    CSV is what Exchange's directory export writes: recipients alone, with the columns its import takes.
    """
    kind = kind or ("csv" if file is not None and file.suffix.lower() == ".csv" else "ldif")
    if file is None:
        count = admin.converse(
            lambda ask: _export(ask, sys.stdout.buffer, domain_names, kind, lambda _: None)
        )
        return
    with file.open("wb") as target, _progress("exported", None) as advance:
        count = admin.converse(lambda ask: _export(ask, target, domain_names, kind, advance))
    click.echo(f"{count} entries are in {file}")


def _export(ask: Ask, target: BinaryIO, domain_names: bool, kind: str, advance: Any) -> int:
    sheet = spreadsheet.Writer(target, ask("directory.recipients")["dn"]) if kind == "csv" else None
    if sheet is None:
        target.write(b"version: 1\n\n")
    count, waiting = 0, [0]
    while waiting:
        above, after, more = waiting.pop(), 0, True
        while more:
            found = ask(
                "directory.page", above=above, after=after, domain_names=domain_names and sheet is None
            )
            text = found["text"].encode()
            count += sheet.write(text) if sheet is not None else found["count"]
            if sheet is None:
                target.write(text)
            advance(found["count"])
            waiting.extend(found["inner"])
            after = found["last"]
            more = bool(after)
    return count


@directory.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Entries that are there take the file's attributes.")
@click.option("--dry-run", is_flag=True, help="Only say what would become of each record.")
@click.option("--delete-mailboxes", is_flag=True, help="Deleted people's mailboxes go, full or not.")
@click.option("--afresh", is_flag=True, help="Begin at the start, whatever an earlier run has done.")
@click.option(
    "--rejects",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where refused records are written, with the reasons.  [default: FILE.rejected]",
)
@json_option
@click.pass_obj
def import_(
    admin: Administrator,
    file: Path,
    replace: bool,
    dry_run: bool,
    delete_mailboxes: bool,
    afresh: bool,
    rejects: Path | None,
) -> None:
    """Put in the records of FILE: LDIF (entries, or changes), or Exchange's CSV (FILE.csv).

    Mailboxes are made for people. A run that was stopped goes on where it was when it is started again.
    Refused records are written to a file, which can be mended and imported itself.
    """
    options = {"replace": replace, "delete_mailboxes": delete_mailboxes, "rehearse": dry_run}
    rejects = rejects or file.with_name(file.name + ".rejected")
    if not dry_run:
        _try_to_write(rejects)
    try:
        standing, records, wrong = admin.converse(lambda ask: _import(ask, file, options, afresh))
    except OSError as error:
        raise click.ClickException(str(error)) from None
    refused: list[dict[str, Any]] = [
        {"line": row.row, "record": ",".join(row.fields)[:200], "kind": "InvalidSyntax", "reason": row.reason}
        for row in wrong
    ]
    refused += [
        {
            "line": _line(records, number),
            "record": _name(records.text(number)),
            "kind": kind,
            "reason": reason,
        }
        for number, kind, reason in standing.refused
    ]
    if refused and not dry_run:
        _write_rejects(rejects, records, standing, wrong)
    counts = {name: count for name, count in standing.counts.items() if name != "refused"}
    if admin.as_json:
        show_json({**counts, "refused": refused, "rejects": str(rejects) if refused and not dry_run else ""})
        return
    for each in refused[:_SHOWN]:
        click.echo(f"line {each['line']}: {each['record']}: {each['reason']}", err=True)
    if len(refused) > _SHOWN:
        click.echo(f"... and {len(refused) - _SHOWN} more", err=True)
    verb = "would be " if dry_run else ""
    said = [f"{count} {_AS_IS.get(name, verb + name)}" for name, count in counts.items() if count]
    click.echo(", ".join(said) or "nothing to do")
    if refused:
        where = "" if dry_run else f"; they are in {rejects}"
        raise click.ClickException(f"{len(refused)} not taken{where}")


def _import(
    ask: Ask, file: Path, options: dict[str, Any], afresh: bool
) -> tuple[Standing, RecordFile, list[spreadsheet.Wrong]]:
    source = file
    wrong: list[spreadsheet.Wrong] = []
    if file.suffix.lower() == ".csv":
        source, wrong = spreadsheet.as_ldif(file, ask("directory.recipients")["dn"])
        options["replace"] = True  # what Update means
    records = RecordFile(source)
    if not len(records) and not wrong:
        raise click.ClickException(f"{file} holds no records")

    def put(**arguments: Any) -> Any:
        return ask("directory.import", **options, **arguments)

    if options["rehearse"]:
        standing = Standing()

        def look(operation: str, **arguments: Any) -> Any:
            return put(**arguments) if operation == "directory.import" else ask(operation, **arguments)

        with _progress("looked at", len(records)) as advance:
            rehearsal.rehearse(records, look, standing, advance)
        if source != file:
            source.unlink()
        return standing, records, wrong
    journal = Journal(source, repr(sorted(options.items())), afresh)
    finished = False
    try:
        standing = journal.standing
        if standing.next:
            click.echo(f"going on behind record {standing.next} of an import that was stopped", err=True)
        with _progress("records", len(records)) as advance:
            advance(standing.next if standing.step == ENTRIES else len(records))
            send(records, put, standing, journal.take, advance, repeated=journal.resumed)
        finished = True
    finally:
        journal.close(finished)
    if source != file:
        source.unlink()  # what is open can still be read
    return standing, records, wrong


def _line(records: RecordFile, number: int) -> int:
    """Where a record stands in the file that was given: a table's row, or a line of LDIF."""
    row = re.match(rb"# row ([0-9]+)\n", records.text(number))
    return int(row[1]) if row else records.line(number)


@imsctl.group()
def address() -> None:
    """Addresses of recipients."""


@address.command()
@click.option(
    "--keep-old/--drop-old", default=True, show_default=True, help="Old primary addresses stay as others."
)
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--no-wait", is_flag=True, help="Have the server do it, and do not look on.")
@json_option
@click.pass_obj
def regenerate(admin: Administrator, keep_old: bool, dry_run: bool, no_wait: bool) -> None:
    """Give everybody the addresses that addressing.smtp, x400, ms and ccmail make now.

    Addresses that were given besides stay. The server does it, whether anybody looks on or not, and goes on
    with it when it was stopped and is started again: imsctl address status. See: imsctl settings explain
    addressing.smtp
    """
    changed: list[list[str]] = []

    def tell(rows: list[list[str]]) -> None:
        changed.extend(rows)
        for alias, before, after, refusal in [] if admin.as_json else rows:
            click.echo(
                f"{alias}: {refusal}" if refusal else f"{alias}: {before} -> {after}", err=bool(refusal)
            )

    def work(ask: Ask) -> Any:
        begun = None if dry_run else ask("address.regenerate", keep_old=keep_old)
        if begun is not None:
            return begun["progress"] if no_wait else _look_on(ask, begun, tell)
        after, more = 0, True
        with _progress("looked at", None) as advance:
            while more:
                batch = ask("directory.readdress", after=after, keep_old=keep_old, rehearse=dry_run)
                tell(batch["changed"])
                advance(batch["looked"])
                after = batch["last"]
                more = bool(after)
        return None

    standing = admin.converse(work)
    if no_wait and standing is not None:
        _show(admin, standing)
        return
    refused = standing["refused"] if standing else len([row for row in changed if row[3]])
    if admin.as_json:
        names = ("alias", "before", "after", "refusal")
        show_json([dict(zip(names, row, strict=True)) for row in changed])
        return
    verb = "would change" if dry_run else "changed"
    click.echo(f"{standing['changed'] if standing else len(changed) - refused} recipients {verb}")
    if refused:
        raise click.ClickException(f"{refused} keep their addresses")


def _look_on(ask: Ask, begun: Any, tell: Callable[[list[list[str]]], None]) -> Any:
    """Wait until the server has done it. Ctrl-C ends the waiting alone."""
    standing, last = begun["progress"], begun["last"]
    if standing["looked"]:
        click.echo(f"going on behind {standing['looked']} of {standing['total']} recipients", err=True)
    done = 0
    try:
        with _progress("looked at", standing["total"]) as advance:
            while True:
                found = ask("address.progress", since=last)
                standing, last = found["progress"], found["last"]
                tell(found["changed"])
                advance(standing["looked"] - done)
                done = standing["looked"]
                if standing["ended"]:
                    return standing
                time.sleep(_LOOK)
    except KeyboardInterrupt:
        raise click.ClickException("The server goes on with it: imsctl address status") from None


@address.command()
@json_option
@click.pass_obj
def status(admin: Administrator) -> None:
    """Show how far `regenerate` is, or how it ended."""
    _show(admin, admin.ask("address.progress")["progress"])


@address.command()
@json_option
@click.pass_obj
def stop(admin: Administrator) -> None:
    """Stop `regenerate` where it is; who has new addresses keeps them."""
    _show(admin, admin.ask("address.stop"))


def _show(admin: Administrator, standing: Any) -> None:
    if admin.as_json:
        show_json(standing)
    elif standing is None:
        click.echo("Addresses were never made anew.")
    else:
        how = "goes on" if not standing["ended"] else "stopped" if standing["stopped"] else "done"
        click.echo(
            f"{how}: {standing['looked']} of {standing['total']} recipients, {standing['changed']} changed, "
            f"{standing['refused']} keep their addresses"
        )


@directory.command()
@click.argument("entry")
@click.option("--as", "who", metavar="NAME", default="", help="A DN, alias or address. Default: a stranger.")
@click.option("--every", is_flag=True, help="Also attributes that the entry could have.")
@json_option
@click.pass_obj
def explain(admin: Administrator, entry: str, who: str, every: bool) -> None:
    """Show who may see and change what of ENTRY (a DN, alias or address), and why."""
    found = admin.ask("directory.explain", who=who, entry=entry, every=every)
    if admin.as_json:
        show_json(found)
        return
    click.echo(f"{found['as']} is to {found['dn']}: {found['rights']} ({found['why_rights']})")
    click.echo(f"The entry is {'seen' if found['seen'] else 'not seen'}: {found['why_seen']}")
    for rule in found["rules"]:
        click.echo(rule)
    show_table(
        ("ATTRIBUTE", "THERE", "SEES", "WHY", "CHANGES", "WHY"),
        [
            (row["name"], _said(row["present"]), _said(row["sees"]), row["why_seen"], _said(row["changes"]),
             row["why_changed"])
            for row in found["attributes"]
        ],
    )  # fmt: skip


def _said(yes: bool) -> str:
    return "yes" if yes else "no"


def _name(text: bytes) -> str:
    named = next((line for line in text.splitlines() if line[:3].lower() == b"dn:"), b"?")
    return named.decode("utf-8", "backslashreplace")[:200]


def _try_to_write(path: Path) -> None:
    """Raises OSError before anything is put in, when refused records could not be told afterwards."""
    there = path.exists()
    path.open("ab").close()
    if not there:
        path.unlink()


def _write_rejects(
    path: Path, records: RecordFile, standing: Standing, wrong: list[spreadsheet.Wrong]
) -> None:
    with path.open("wb") as file:
        file.write(b"version: 1\n\n")
        for row in wrong:
            said = " ".join(",".join(row.fields).split())
            file.write(b"# line %d: %s\n# %s\n\n" % (row.row, row.reason.encode(), said.encode()))
        for number, _, reason in standing.refused:
            file.write(b"# line %d: %s\n" % (_line(records, number), reason.encode()))
            file.write(records.text(number).rstrip(b"\r\n") + b"\n\n")


@contextmanager
def _progress(words: str, total: int | None) -> Iterator[Any]:
    """A bar on a terminal's standard error; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn(f"{{task.completed}} {words}"),
        BarColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(words, total=total)

        def advance(count: int, further: int = 0) -> None:
            if further:
                progress.update(task, total=(progress.tasks[task].total or 0) + further)
            progress.advance(task, count)

        yield advance
