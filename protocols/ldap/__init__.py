"""LDAP version 3 (RFC 4510 to 4519): the wire, the language and the server.

ber          the Basic Encoding Rules that RFC 4511 5.1 allows, read and written
messages     every LDAPMessage as a frozen value; results, filters: its larger parts
requests     messages of clients, decoded
controls     controls of requests, decoded into one value, and of answers
syncing      content synchronization and persistent search on the wire
responses    messages of servers, encoded fast
client       the other side: requests encoded, responses decoded
selection    which attributes an answer carries
dn           distinguished names (RFC 4514)
schema       schema descriptions (RFC 4512), their grammar in descriptions; governing: rules on entries
preparation  strings before they are matched (RFC 4518)
certificates which certificate is meant (RFC 4523)
options      of attribute descriptions (RFC 3866, RFC 4522)
matching     syntaxes and matching rules (RFC 4517, 4518); rules: asserted by name
evaluation   filters on entries
interfaces   what the server asks of the directory
verbs        the table of operations, extended operations and controls
commands     one module per operation
special      the root DSE and the subschema subentry
session      what commands hold; channel: how they answer; operation: one of them in progress
reader       LDAPMessages off a stream of bytes
server       one connection: concurrency, limits, TLS, notices
"""
