"""The commands: each a frozen value that parses itself and runs on what it may hold.

`parse(cursor, uid)` takes the arguments behind the verb (uid: the verb had UID before it);
`run(held, channel)` does the work, sends untagged responses and gives a `Completed` when the
tagged OK has something to say. The verb table (`verbs`) says what each holds: the door, the
account or the view.

session       CAPABILITY NOOP LOGOUT ID LANGUAGE ENABLE IDLE COMPRESS
login         STARTTLS AUTHENTICATE LOGIN UNAUTHENTICATE
mailboxes     CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE NAMESPACE STATUS
listing       LIST LSUB
selection     SELECT EXAMINE CHECK CLOSE UNSELECT EXPUNGE
append        APPEND REPLACE
fetch         FETCH;  content: sections of a message as octets to send;
              attributes: items of the message as a whole
store         STORE
search        SEARCH;  searchkeys: the grammar of its keys
esearch       ESEARCH, of several mailboxes;  filters: which ones, for NOTIFY too
results       RETURN options of SEARCH and SORT;  partial: a part of results
sort          SORT THREAD CANCELUPDATE
notify        NOTIFY
copy          COPY MOVE
limits        how many messages one command may be about
quota         GETQUOTA GETQUOTAROOT SETQUOTA
"""
