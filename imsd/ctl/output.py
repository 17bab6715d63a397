"""Answers: tables for people, JSON for programs."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text


def show_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on a terminal, tab-separated lines in a pipe."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join(_text(cell) for cell in row))
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # As text: what others say is no markup, nor is the address in mx.example.org[fd00::1].
        table.add_row(*(Text(_text(cell)) for cell in row))
    console.print(table)


def show_fields(value: Mapping[str, Any], indent: str = "") -> None:
    """Names and values; a mapping inside stands below its name, indented."""
    width = max((len(key) for key in value), default=0)
    for key, cell in value.items():
        if isinstance(cell, Mapping):
            click.echo(f"{indent}{key}")
            show_fields(cell, indent + "  ")
        else:
            click.echo(f"{indent}{key:<{width}}  {_text(cell)}".rstrip())


def moment(microseconds: Any) -> str:
    """A time of the store in local time; empty for none."""
    if not microseconds:
        return ""
    found = datetime.datetime.fromtimestamp(microseconds / 1e6, datetime.UTC)
    return found.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, list | tuple):
        return ", ".join(_text(item) for item in cell)
    return plain(str(cell))


def plain(text: str) -> str:
    """Text of one line: what other systems say must not steer the terminal, nor look like a row of ours."""
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)
