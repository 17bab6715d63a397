"""The `imsctl` group, and how its commands ask the server."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from imsd import __version__, config
from imsd.ctl import client
from imsd.errors import Refusal

DEFAULT_HOME = "~/.imsd"

Answer = TypeVar("Answer")
Ask = Callable[..., Any]
"""ask(operation, **arguments) gives the operation's answer."""


@dataclass(frozen=True, slots=True)
class Administrator:
    """What the options before the command said."""

    home: Path
    as_json: bool

    def config(self) -> config.Config:
        try:
            return config.load(self.home)
        except config.ConfigError as error:
            raise click.ClickException(str(error)) from None

    def converse(self, work: Callable[[Ask], Answer]) -> Answer:
        """Run `work` with what asks for many operations: in the server, or here when there is none."""
        loaded = self.config()

        def online(operation: str, **arguments: Any) -> Any:
            return client.call(loaded.control_socket, operation, arguments)

        try:
            try:
                online("status")
            except client.NotRunning:
                from imsd.ctl import offline

                return offline.converse(loaded, work)
            return work(online)
        except client.NotRunning:
            raise click.ClickException("The server has stopped; run the command again to go on") from None
        except Refusal as refusal:
            raise click.ClickException(refusal.text) from None
        except config.ConfigError as error:
            raise click.ClickException(str(error)) from None

    def ask(self, operation: str, **arguments: Any) -> Any:
        """Run an operation in the server, or here when no server has the store open."""
        loaded = self.config()
        try:
            return client.call(loaded.control_socket, operation, arguments)
        except client.NotRunning:
            pass
        except Refusal as refusal:
            raise click.ClickException(refusal.text) from None
        from imsd.admin.operations import OPERATIONS
        from imsd.ctl import offline

        entry = OPERATIONS.get(operation)
        if entry is not None and entry.needs_server:
            raise click.ClickException(
                f"The server is not running; start it with: twistd -n imsd --home {self.home}"
            )
        try:
            return offline.call_offline(loaded, operation, arguments)
        except Refusal as refusal:
            raise click.ClickException(refusal.text) from None
        except config.ConfigError as error:
            raise click.ClickException(str(error)) from None


MODULES = (
    "backup",
    "deleted",
    "directory",
    "dkim",
    "factors",
    "limits",
    "link",
    "mailbox",
    "people",
    "plugins",
    "queue",
    "route",
    "search",
    "server",
    "settings",
    "setup",
    "sharing",
    "tls",
)
"""Modules whose import enters commands into the group."""

MODULE_OF = {
    **dict.fromkeys(("app-password", "contact", "group"), "people"),
    "user": "factors",  # and with it all of people
    **dict.fromkeys(("folder", "mailbox"), "sharing"),
    **dict.fromkeys(("drain", "track"), "queue"),
    **dict.fromkeys(("check", "stats", "status", "verify"), "server"),
    **dict.fromkeys(("setup", "welcome"), "setup"),
    **{
        name: name
        for name in ("dkim", "limits", "link", "plugins", "queue", "route", "search", "settings", "tls")
    },
}
"""The module that alone has a command, so that a script which runs it a hundred times waits for
no other module's import. A command that is not here is found by importing all of them."""


class Commands(click.Group):
    """A group whose commands are imported when somebody asks for them.

    A file that cannot be read or written is a sentence to whoever named it, not a traceback.
    """

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except OSError as error:
            if error.errno == errno.EPIPE:  # click's own: who reads our output has gone
                raise
            said = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
            raise click.ClickException(said) from None

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        for module in (MODULE_OF[name],) if name in MODULE_OF else MODULES:
            import_module(f"imsd.ctl.{module}")
        return super().get_command(context, name)

    def list_commands(self, context: click.Context) -> list[str]:
        for module in MODULES:
            import_module(f"imsd.ctl.{module}")
        return super().list_commands(context)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: os.environ.get("IMSD_HOME", DEFAULT_HOME),
    show_default=f"$IMSD_HOME or {DEFAULT_HOME}",
    help="The server's home folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.version_option(__version__, prog_name="imsctl")
@click.pass_context
def imsctl(context: click.Context, home: Path, as_json: bool) -> None:
    """Administer imsd, the Internet mail and directory server.

    Commands talk to the running server through its control socket, and to the store itself
    when the server is down.

    \b
    Start here:
      imsctl --home DIR setup                    make a home, answering questions
      twistd -n imsd --home DIR                  start the server in the foreground
      imsctl --home DIR user add joe@example.org add a person with a mailbox
      imsctl --home DIR status                   is everything up?
    """
    context.obj = Administrator(home.expanduser().absolute(), as_json)


def as_json(context: click.Context, _option: click.Parameter, value: bool) -> bool:
    """--json may stand behind the command, too."""
    if value:
        found = context.find_object(Administrator)
        assert found is not None
        context.obj = Administrator(found.home, True)
    return value


json_option = click.option(
    "--json", is_flag=True, expose_value=False, is_eager=True, callback=as_json, help="Answer in JSON."
)


def password_from(given: str | None, prompt: str = "Password") -> str:
    """A password from the option, from standard input when the option is "-", or asked for."""
    if given == "-":
        return sys.stdin.readline().rstrip("\n")
    if given is not None:
        return given
    asked: str = click.prompt(prompt, hide_input=True, confirmation_prompt=True)
    return asked
