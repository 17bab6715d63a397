"""POP3 commands: a frozen value each, that parses itself and runs itself.

command    what they have in common, and the session they run on
greeting   CAPA, QUIT, NOOP, LANG, UTF8
security   STLS, USER, PASS, AUTH
maildrop   STAT, LIST, UIDL, DELE, RSET
content    RETR, TOP
"""
