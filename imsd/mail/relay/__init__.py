"""Mail to other servers.

outcomes      what is carried, and what became of it
certificates  the client's side of TLS, and whom a certificate is for
protection    what one connection must have: settings, DANE, MTA-STS
reached       how protected it came out to be
connecting    one connection: reached, greeted, protected, logged in
sending       one message over it
counting      what is counted of it for reports on TLS
courier       one connection after the other, for the messages of one destination

A lane of the queue makes a courier of the `Transport` that all share and gives it parcels, one
after the other.
"""

from imsd.mail.relay.connecting import Transport
from imsd.mail.relay.courier import Courier
from imsd.mail.relay.outcomes import LeaseLost, Outcome, Parcel
from imsd.mail.relay.protection import Protections

__all__ = ["Courier", "LeaseLost", "Outcome", "Parcel", "Protections", "Transport"]
