"""A message's way through the server.

envelope    who sent it, who shall have it, how it came
policy      may this be accepted: recipients, relaying, submission, sizes, hops
submission  what is added to and removed from a submitted message
delivery    the one transaction that makes the 250 true
routing, queue, relay, bounce
            the way out: where to, when, over which connection, and what if not

Every message enters through `Delivery.accept`: from SMTP, from bounces and automatic replies,
from what an administrator drops in. Local recipients have it when `accept` returns; the others
have queue rows that a restart finds again.
"""
