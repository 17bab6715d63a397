"""Wire grammars and conversations of SMTP, POP3, IMAP4 and LDAP v3; knows nothing of imsd.

values          dataclasses that are made for each message
lines           a bounded byte buffer: lines, counted octets, dot-stuffed data
connection      the Twisted protocol under all four: output, TLS, time-outs, limits
conversation    one command at a time over a pulled reader: SMTP, POP3, IMAP4
message         RFC 5322 and MIME by offsets
sasl            server side of the SASL mechanisms
smtp, pop3, imap4, ldap
                each: interfaces, grammar, reader, responses, verbs, commands, server
"""
