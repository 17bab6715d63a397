"""Reports on TLS (RFC 8460): what other domains are told of their exchangers, and what they tell of ours.

counting  sessions of the relay, added up and written now and then
sending   a report a day to each domain that asks for it, by mail or by HTTPS
letter    a report as a message
posting   a report by HTTPS
inbox     the mailbox that gets reports of others, read as they come
"""

from imsd.mail.tlsreports.counting import Counter
from imsd.mail.tlsreports.inbox import TlsInbox
from imsd.mail.tlsreports.sending import TlsReporter

__all__ = ["Counter", "TlsInbox", "TlsReporter"]
