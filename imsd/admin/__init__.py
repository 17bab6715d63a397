"""What an administrator can ask for, over HTTP and from imsctl.

operations  the table, and how an operation is called
control     the table over HTTP on a local socket
people, mailbox, sharing, directory, settings, queue, routes, search, status, stats, health, limits, links,
tls, dkim, backup, deleted, factors, plugins
            the operations, by what they are about; importing this package enters them
protection  how a connection to each host would be protected, in words
"""

from imsd.admin import (
    backup,
    deleted,
    directory,
    dkim,
    factors,
    health,
    limits,
    links,
    mailbox,
    people,
    plugins,
    queue,
    routes,
    search,
    settings,
    sharing,
    stats,
    status,
    tls,
)

__all__ = [
    "backup",
    "deleted",
    "directory",
    "dkim",
    "factors",
    "health",
    "limits",
    "links",
    "mailbox",
    "people",
    "plugins",
    "queue",
    "routes",
    "search",
    "settings",
    "sharing",
    "stats",
    "status",
    "tls",
]
