"""What the demonstration home holds: people, a list, a public folder, some mail."""

from __future__ import annotations

from typing import Any

from imsd.admin.operations import call

LETTERS = (
    (
        "Welcome to imsd",
        "This is your mailbox. Read it by IMAP or POP3, write to bob, look him up by LDAP.\r\n"
        "\r\nIMAP clients see this message arrive at once when they idle.\r\n",
    ),
    (
        "The public folders",
        "Everybody can read and post to the folder Projects; it has the address\r\n"
        "projects@{domain} as well. What you have read there is marked for you alone.\r\n",
    ),
)


async def populate(core: Any, domain: str, password: str) -> None:
    """Fill a new organisation."""
    for alias, name in (("alice", "Alice Arden"), ("bob", "Bob Brook")):
        await call(core, "user.add", {"address": f"{alias}@{domain}", "password": password, "name": name})
    members = [f"alice@{domain}", f"bob@{domain}"]
    await call(core, "group.add", {"address": f"everyone@{domain}", "members": members, "name": "Everyone"})
    await call(core, "folder.add", {"pathname": "Projects", "address": f"projects@{domain}"})
    for subject, text in LETTERS:
        await core.post(f"administrator@{domain}", [f"alice@{domain}"], subject, text.format(domain=domain))
    await core.post(f"alice@{domain}", [f"bob@{domain}"], "Lunch", "Today at noon?\r\n")
