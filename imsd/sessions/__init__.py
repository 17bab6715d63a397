"""The waist: where a protocol meets the store. One module (or package) per protocol.

smtp, pop3, imap4, ldap    implement the protocol's interfaces
ldap_standing, ldap_identity   whose an LDAP session is, what he may; the directory as he sees and changes it
refusals                   the one table from a refusal to each protocol's reply

Sessions hold no rules of their own: they translate between a protocol's values and the calls of
`directory`, `mail`, `store` and `auth`. Only `imsd.service` imports them.
"""
