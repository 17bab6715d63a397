"""IMAP4rev1 and IMAP4rev2 (RFC 3501, RFC 9051), server side.

interfaces    what commands hold: door, account, view, message; values: what is exchanged
dialect       what a connection has enabled
sets, keys    sequence sets; search keys
ordering      SORT: criteria, and messages in their order
threads       THREAD: messages as trees
mailboxnames  modified UTF-7 and UTF-8 names
sectionspecs  what stands in BODY[...]
urls          IMAP URLs of messages
grammar       a cursor over the bytes of one command
reader        bytes to command frames and literals
responses     values to bytes
progress      how far a long command has come
events        NOTIFY: what a client wants to hear of
contexts      searches whose results are kept up to date
telling       what a connection tells unasked
verbs         the table of commands: state, capability, class
commands/     one command or close family a file
server        the conversation

How a request passes through: bytes go to the `reader`, which gives a frame; the verb table
names the class; `parse` takes the arguments off a cursor; `run` calls what it holds and
sends responses; the server tells what changed in the mailbox and sends the tagged response.

RFC 3501 and RFC 9051 whole. Extensions: 2177 IDLE, 2342 NAMESPACE, 2971 ID, 3348 CHILDREN, 3516
BINARY, 3691 UNSELECT, 4315 UIDPLUS, 4731 ESEARCH, 4959 SASL-IR, 5161 ENABLE, 5182 SEARCHRES,
5255 LANGUAGE and I18NLEVEL=2, 5256 SORT and THREAD, 5267 ESORT and CONTEXT, 5957 SORT=DISPLAY,
9394 PARTIAL, 5258 LIST-EXTENDED, 5530 response codes, 5819 LIST-STATUS, 6154 SPECIAL-USE and
CREATE-SPECIAL-USE, 6851 MOVE, 7162 CONDSTORE and QRESYNC, 7888 LITERAL+, 8438 STATUS=SIZE,
3502 MULTIAPPEND, 4469 CATENATE, 4978 COMPRESS=DEFLATE, 5032 WITHIN, 6855 UTF8=ACCEPT, 7889 APPENDLIMIT, 8437
UNAUTHENTICATE, 8474 OBJECTID, 8508 REPLACE, 8514 SAVEDATE, 8970 PREVIEW, 9208 QUOTA and QUOTASET,
5465 NOTIFY, 9585 INPROGRESS, 9586 UIDONLY, 9738 MESSAGELIMIT and SAVELIMIT, 4314 ACL, 8440 LIST-MYRIGHTS,
4467 URLAUTH, 5464 METADATA, 5466 FILTERS, 6203 SEARCH=FUZZY, 9590 LIST-METADATA.

Decisions. Strict where an answer could be taken for another: bare LF is refused, a quoted
string is UTF-8, a set names only messages that exist. Lenient where nothing can go wrong:
UTF-8 names in rev1, LIST answers with \\HasChildren and special use unasked.
"""
