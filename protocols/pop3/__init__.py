"""POP3 (RFC 1939) with everything current clients ask for, but APOP.

interfaces   the door, the maildrop, the values they exchange
grammar      a cursor over one command line
responses    +OK, -ERR, multi-line answers, dot-stuffed content
verbs        the table of commands; CAPA comes from it
commands/    one value per command: greeting (CAPA, QUIT, NOOP, LANG, UTF8), security (STLS,
             USER, PASS, AUTH), maildrop (STAT, LIST, UIDL, DELE, RSET), content (RETR, TOP)
surrogate    headers in ASCII for clients without UTF-8 mode
server       the conversation

How a command passes through: `Server` pulls a line, looks its keyword up in `verbs`, the
class parses itself from the cursor and runs on the `Session`, which holds nothing but the door
until a login has opened a maildrop.

RFC 1939; 2449 (CAPA, PIPELINING, RESP-CODES, EXPIRE, LOGIN-DELAY, IMPLEMENTATION); 2595 (STLS);
3206 (AUTH-RESP-CODE); 5034 (AUTH); 6856 (UTF8, LANG). APOP is left out: it needs passwords
stored as they are.
"""
