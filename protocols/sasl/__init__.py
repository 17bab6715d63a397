"""SASL (RFC 4422): PLAIN, LOGIN, SCRAM-SHA-256 and -PLUS, OAUTHBEARER, XOAUTH2 and EXTERNAL.

interfaces   IAuthenticator, the values (ScramKeys, Challenge, Success), the errors
mechanisms   the table of mechanisms: what is offered under which security, `begin`
plain        PLAIN (RFC 4616) and LOGIN
scram        SCRAM-SHA-256 and -PLUS (RFC 5802, RFC 7677), server and client
bearer       OAUTHBEARER (RFC 7628) and XOAUTH2
external     EXTERNAL (RFC 4422 A), identities in a certificate
keys         SCRAM keys: derivation, proofs, stored form
prep         SASLprep (RFC 4013)
converse     running an exchange over a line protocol
client       the client side of all of them

How a login passes through: a protocol's AUTH command calls `begin(name, authenticator,
security)` and then `converse(ask, exchange, initial)`, where `ask(line)` sends one base64
challenge the protocol's way ("334 ", "+ ") and gives the line that answers it. LDAP calls
`exchange.step` itself, once per bind request. The result is the `Success` whose identity the
authenticator gave.

    exchange = begin(b"PLAIN", authenticator, channel.security)
    success = await converse(ask, exchange, initial)      # initial: None, b"=" or base64

Nothing here imports Twisted or zope beyond the interfaces; nothing here knows a password
longer than a step.
"""

from protocols.sasl.converse import MAX_RESPONSE_LINE, converse
from protocols.sasl.interfaces import (
    BadExchange,
    BadToken,
    Cancelled,
    Challenge,
    EncryptionNeeded,
    IAuthenticator,
    IExchange,
    NoSuchMechanism,
    ScramKeys,
    Step,
    Success,
)
from protocols.sasl.mechanisms import begin, offered
from protocols.sasl.prep import saslprep
from protocols.security import Security

__all__ = [
    "MAX_RESPONSE_LINE",
    "BadExchange",
    "BadToken",
    "Cancelled",
    "Challenge",
    "EncryptionNeeded",
    "IAuthenticator",
    "IExchange",
    "NoSuchMechanism",
    "ScramKeys",
    "Security",
    "Step",
    "Success",
    "begin",
    "converse",
    "offered",
    "saslprep",
]
