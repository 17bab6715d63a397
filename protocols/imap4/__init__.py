"""IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051), server side.

interfaces    what commands hold: door, account, view, message; and the values exchanged
dialect       what a connection has enabled
sets, keys    sequence sets; search keys
mailboxnames  modified UTF-7 and UTF-8 names
grammar       a cursor over the bytes of one command
reader        bytes to command frames and literals
responses     values to bytes
verbs         the table of commands: state, capability, class
commands/     one command or close family a file
server        the conversation
"""
