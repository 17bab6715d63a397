"""imsctl search: the index that answers SEARCH quickly."""

from __future__ import annotations

import click

from imsd.ctl.command import Administrator, imsctl, json_option
from imsd.ctl.output import show_fields, show_json


@imsctl.group()
def search() -> None:
    """The search index."""


@search.command("status")
@json_option
@click.pass_obj
def status(admin: Administrator) -> None:
    """Say how much is indexed, and how much waits."""
    _show(admin, "search.status")


@search.command("rebuild")
@json_option
@click.pass_obj
def rebuild(admin: Administrator) -> None:
    """Make the index anew; searches stay complete, and are slower until it is there."""
    _show(admin, "search.rebuild")


def _show(admin: Administrator, operation: str) -> None:
    answer = admin.ask(operation)
    if admin.as_json:
        show_json(answer)
    else:
        show_fields(answer)
