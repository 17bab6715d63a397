"""SMTP (RFC 5321): one server for relay and submission, and the client of the queue.

grammar         paths, parameters, arguments: bytes to values and back
parameters      what MAIL and RCPT say beside the path, shared by server and client
responses       replies, the fixed ones ready for the wire
verbs           the verb table: HELP, EHLO keywords, state checks, labels come from it
commands/       one frozen value per verb, parsing and running itself
interfaces      what the server asks of the application
server          the conversation: a pump around the reader and the verb table
content, wire, client
                canonical line ends, the client's end of the wire, the client

RFC 1870 (SIZE), 2034 and 3463 (enhanced codes), 2920 (PIPELINING), 3030 (CHUNKING, BINARYMIME),
3207 (STARTTLS), 3461 (DSN), 4954 (AUTH), 5321, 6152 (8BITMIME), 6409 (submission), 6531
(SMTPUTF8), 8314 (implicit TLS), 8689 (REQUIRETLS).
"""
