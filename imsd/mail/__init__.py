"""A message's way through the server.

envelope    who sent it, who shall have it, how it came
policy      may this be accepted: recipients, relaying, submission, hosts (restrictions: who may relay)
rerouting   a function of the administrator's that decides about recipients (plugins: how it is called)
connectors  by which connector something leaves, under which address (selection: which one fits best;
            destinations: how that is written in a queue row)
submission  what is added to and removed from a submitted message
requiring   REQUIRETLS: what a sender asks of the way of his message
resolving   addresses of header fields as the directory has them
received    trace lines, hops, priority
intake      content on its way in: header edited, the rest streamed and summarized (nul: what has NUL octets)
delivery    taking responsibility for it
planning    who gets a copy: lists, contacts, alternates, folders
journaling  copies for an address that gets all mail
counters    what went through since the start
units       the one transaction that makes the 250 true
queue       the way out: what is due is claimed and carried (work: what is in hand)
routing     where to (names: the domain name system, answers kept; ourselves: who we are)
routes_file what routes mail, as a text for people
security    how protected, and logged in as whom
relay       over which connection (parcels, downgrade: the content on its way)
settling    what becomes of each recipient: retries, expiry, finishing
tlsreports/ what other domains are told of TLS with them, and what they tell (RFC 8460)
reporting   who is told (bounce: how a report is written)

Every message enters through `Delivery.accept`: from SMTP, from bounces and automatic replies,
from what an administrator drops in. Local recipients have it when `accept` returns; the others
have queue rows that a restart finds again.
"""
