"""imsctl: everything an administrator does, from a shell.

command     the group, --home and --json, and how a command asks the server
client      asks the running server over its control socket
offline     runs the same operation on a store that no server has open
mailfiles   Maildir, mbox and .eml files, read and written
output      tables for people, JSON for programs
setup, people, mailbox, sharing, directory, settings, server, queue, limits, route, link,
tls, dkim, search, backup, deleted, factors, plugins
            the commands, by what they are about
sendmail    imsd-sendmail, in place of sendmail(8)
standalone  its SMTP on standard input and output
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click


def main() -> None:
    """The console script."""
    from imsd.ctl.command import imsctl

    imsctl(prog_name="imsctl")


def whole() -> click.Group:
    """imsctl with all its commands."""
    import click

    from imsd.ctl.command import imsctl

    imsctl.list_commands(click.Context(imsctl))
    return imsctl
