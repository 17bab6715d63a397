"""What other domains say of how to talk to them.

sts       MTA-STS (RFC 8461): records and policies as text
policies  MTA-STS policies: looked up, fetched, kept in the store, refreshed
tlsrpt    reports on TLS (RFC 8460): the record that asks for them, and reports as JSON
tlsa      DANE (RFC 6698, RFC 7672): whether a chain of certificates is the one that DNSSEC names
"""
