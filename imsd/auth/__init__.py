"""Who may log in, and how.

account        Account, the avatar: who somebody is, never what he may do
interfaces     what auth needs of the directory
names          the forms in which people write their log-on name
authenticator  Authenticator, what every protocol holds: SASL, passwords, rights hook
credentials    twisted.cred credentials: a password, a SCRAM proof, a certificate
checkers       twisted.cred checkers, one for each kind of credentials
realm          the twisted.cred realm: from an account id to its Account
passwords      verifiers: how a password is stored, verified and brought up to date
foreign        verifiers of other servers: {SSHA}, {CRYPT} and the like
apppasswords   generated passwords for one device
people         the person behind a name, and what he holds
flights        one verification for however many ask the same at once
hashing        slow hashing in threads, bounded in queue and memory
throttle       growing delays per account and per address, decided before hashing
verified       logins verified a short while ago
standing       what somebody is to the owner of a mailbox: owner, delegate, one on its list
rights         telling sessions that their account ended or changed

A login passes: `Authenticator.password` (or a SASL exchange of `protocols.sasl`), throttle,
cache of verified logins, portal, checker, directory entry, verifier, hashing; the realm
gives the Account; the session watches its rights with `watch_rights`. Rules 17 and 18 of the
design govern all of it.
"""

from imsd.auth.account import Account
from imsd.auth.authenticator import Authenticator
from imsd.auth.passwords import Passwords

__all__ = ["Account", "Authenticator", "Passwords"]
