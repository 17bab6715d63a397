"""imsctl setup: the Internet Mail Wizard, and the demonstration home."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from imsd import config
from imsd.ctl.command import Administrator, imsctl, password_from
from imsd.errors import Refusal

DEMONSTRATION_PASSWORD = "just-a-demo"
PROFILES = ("prompt", "exchange55", "chapter22")
FOLDERS = ("data", "data/blobs", "log", "run", "tls", "pickup")
BEGUN = "data/.setup-begun"
"""Is there from before a setup makes the store until the home is whole."""
DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answers:
    """What the wizard found out."""

    domain: str
    organization: str
    site: str
    hostname: str
    port_offset: int
    admin_password: str
    database_url: str
    addresses: tuple[str, ...] = ()
    retry_profile: str = ""


@imsctl.command()
@click.option("--yes", is_flag=True, help="Ask nothing; take the options and the defaults.")
@click.option("--domain", help="The mail domain, such as example.org.")
@click.option("--organization", help="The organisation's name; the domain's first label by default.")
@click.option("--site", default="Main", show_default=True, help="The name of this site.")
@click.option("--hostname", help="The name that MX records point at.")
@click.option("--port-offset", type=click.IntRange(0, 60_000), help="Added to every port (25, 143 ...).")
@click.option("--listen", multiple=True, help="An address to listen on; may be repeated; all by default.")
@click.option("--admin-password", help='Password of "administrator"; "-" reads it from standard input.')
@click.option(
    "--database-url", default="sqlite", show_default=True, help="sqlite, or postgresql://user@host/name"
)
@click.option(
    "--retry-profile",
    type=click.Choice(PROFILES),
    default="prompt",
    show_default=True,
    help="When mail that cannot be sent is tried again (ims.retry.profile).",
)
@click.option("--demonstration", is_flag=True, help="A home to try things out: example.test, alice and bob.")
@click.pass_obj
def setup(
    admin: Administrator,
    yes: bool,
    domain: str | None,
    organization: str | None,
    site: str,
    hostname: str | None,
    port_offset: int | None,
    listen: tuple[str, ...],
    admin_password: str | None,
    database_url: str,
    retry_profile: str,
    demonstration: bool,
) -> None:
    """Make a home: configuration, certificate, store, organisation and administrator."""
    home = admin.home
    if (home / config.FILE).exists():
        raise click.ClickException(f"{home} is a home already; look at it with: imsctl --home {home} status")
    if demonstration:
        answers = Answers(
            domain=domain or "example.test",
            organization=organization or "Example",
            site=site,
            hostname=hostname or "localhost",
            port_offset=1000 if port_offset is None else port_offset,
            admin_password=admin_password or DEMONSTRATION_PASSWORD,
            database_url=database_url,
            addresses=listen or ("127.0.0.1",),
        )
        make_home(home, answers, demonstration=True)
        return
    offset = (0 if os.geteuid() == 0 else 1000) if port_offset is None else port_offset
    if not yes:
        click.echo("This makes a home for imsd. Press Enter to take what stands in brackets.\n")
        domain = click.prompt("Mail domain", default=domain or _domain_here())
        assert domain is not None
        organization = click.prompt("Organisation", default=organization or _organization_of(domain))
        hostname = click.prompt(
            "Host name that the MX record points at", default=hostname or f"mail.{domain}"
        )
        offset = click.prompt("Add to every port", type=click.IntRange(0, 60_000), default=offset)
        retry_profile = click.prompt(
            "Mail that cannot be sent is tried again after\n"
            "  prompt: 5, 15, 30 min, 1, 2, 4 h (best where mail is delivered by DNS)\n"
            "  exchange55: 15, 30 min, 1, 4 h\n"
            "  chapter22: 1 h, then 1.5 times as long each time\n"
            "Which",
            type=click.Choice(PROFILES),
            default=retry_profile,
            show_choices=False,
        )
        if admin_password is None:
            admin_password = password_from(None, 'Password of "administrator"')
    if not domain:
        raise click.UsageError("--yes needs --domain")
    if not DOMAIN.fullmatch(domain):
        raise click.UsageError(f"{domain} is not a domain name")
    generated = admin_password is None
    answers = Answers(
        domain=domain.lower(),
        organization=organization or _organization_of(domain),
        site=site,
        hostname=hostname or f"mail.{domain}",
        port_offset=offset,
        admin_password=secrets.token_urlsafe(12) if admin_password is None else password_from(admin_password),
        database_url=database_url,
        addresses=listen,
        retry_profile=retry_profile,
    )
    make_home(home, answers)
    click.echo(f"{home} is ready. Start the server with: twistd -n imsd --home {home}")
    if generated:
        click.echo(f"The password of administrator@{answers.domain} is {answers.admin_password}")


def make_home(home: Path, answers: Answers, demonstration: bool = False) -> None:
    """Write the home's files and bootstrap its store; a failure leaves no imsd.toml behind."""
    from imsd import tls
    from imsd.ctl import offline
    from imsd.store import settings

    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in FOLDERS:
        (home / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate, key = home / "tls/server.crt", home / "tls/server.key"
    if not certificate.exists():
        tls.make_self_signed(answers.hostname, certificate, key)
    text = config.render(answers.hostname, answers.port_offset, answers.database_url, answers.addresses)
    loaded = config.parse(text, home)

    async def work(core: Any) -> None:
        await core.bootstrap(answers.organization, answers.site, answers.domain, answers.admin_password)
        if answers.retry_profile:
            key, value = core.settings.parse("ims.retry.profile", answers.retry_profile)
            await core.db.write(settings.change, {key: value})
        if demonstration:
            from imsd.ctl.demonstration import populate

            await populate(core, answers.domain, DEMONSTRATION_PASSWORD)

    begun = home / BEGUN
    if begun.exists():
        # A setup was killed in the middle; nobody has used what it made.
        _remove_store(home)
    fresh = not (home / "data/imsd.db").exists()
    if fresh:
        begun.touch()
    try:
        offline.with_core(loaded, work)
    except BaseException as error:
        if fresh:
            # What was begun must not stand in the way of the next try.
            _remove_store(home)
            begun.unlink()
        if isinstance(error, Refusal):
            raise click.ClickException(error.text) from None
        raise
    written = home / f".{config.FILE}.new"
    with written.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    # In this order: the mark must never stand beside a store that is in use.
    begun.unlink(missing_ok=True)
    written.replace(home / config.FILE)


def _remove_store(home: Path) -> None:
    for file in (home / "data").glob("imsd.db*"):
        file.unlink()


def make_default_home(home: Path) -> None:
    """What `twistd imsd` does without a home: the wizard's defaults, the password printed once.

    In a process of its own, because this one's reactor is about to run the server.
    """
    command = [sys.executable, "-m", "imsd.ctl", "--home", str(home), "setup", "--yes"]
    subprocess.run([*command, "--domain", _domain_here()], check=True)


def _domain_here() -> str:
    """The domain of this machine's full name, or a name that mail never leaves for."""
    domain = socket.getfqdn().partition(".")[2].lower()
    return domain if "." in domain and DOMAIN.fullmatch(domain) else "example.test"


def _organization_of(domain: str) -> str:
    return domain.partition(".")[0].capitalize()


@imsctl.command(hidden=True)
@click.pass_obj
def welcome(admin: Administrator) -> None:
    """Say how to connect to the demonstration home."""
    loaded = admin.config()

    def port(name: str) -> int:
        return loaded.port(name)

    ca = loaded.path(loaded.tls.certificate)
    click.echo(f"""
imsd, the demonstration: alice@example.test, bob@example.test and administrator@example.test,
each with the password "{DEMONSTRATION_PASSWORD}"; the list everyone@example.test; a public folder.

  SMTP {port("smtp")}   submission {port("submission")} (STARTTLS) and {port("submissions")} (TLS)
  IMAP {port("imap")}  IMAPS {port("imaps")}   POP3 {port("pop3")}  POP3S {port("pop3s")}
  LDAP {port("ldap")}  LDAPS {port("ldaps")}   on 127.0.0.1, certificate {ca}

Send:    swaks --server 127.0.0.1:{port("smtp")} --to alice@example.test --from someone@example.org
Submit:  swaks --server 127.0.0.1:{port("submission")} --tls --auth PLAIN --auth-user bob@example.test \\
               --auth-password {DEMONSTRATION_PASSWORD} --from bob@example.test --to alice@example.test
Read:    curl -k --user alice@example.test:{DEMONSTRATION_PASSWORD} "imaps://127.0.0.1:{port("imaps")}/INBOX;MAILINDEX=1"
Find:    ldapsearch -x -H ldap://127.0.0.1:{port("ldap")} -D alice@example.test -w {DEMONSTRATION_PASSWORD} \\
               -b dc=example,dc=test "(uid=alice)"
Look:    imsctl --home {admin.home} status

Ctrl-C stops the server.
""")
