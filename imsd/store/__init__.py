"""The store: the only code that knows SQL and files under the home.

database        the door: read, read_few, write, the change feed; the only module with Twisted
transaction     what functions get: a Transaction to read, a Unit to write
sql, tables     statements compiled once for each driver; the shared metadata and column types
changes, counters, feed
                what a unit did, numbered in order, and who hears of it
arrivals        messages for one INBOX each, written by one statement for all that came together
writer, readers, workers
                the threads: group commit, snapshots, files
sqlite, postgresql, engines, lock, schema, migrations/
                the two databases, opening them, their tables
blobs, blob_rows, blob_files
                content, stored once
mailboxes, messages, marking, moving, jobs, index, ...
                accounts, their mailboxes and messages
entries, ...    directory entries and addresses
spool, fanout, tracking, settings
                the queue, copies still to be made, what was decided, stored settings
tls_results, tls_received
                TLS with other domains counted and reported, and what they report
verify, backup, housekeeping
                proof, copies, what the store does for itself
failpoints      where tests kill the process

A write goes: `db.write(fn)` -> the writer's queue -> `fn(unit)` in a transaction -> COMMIT of the
group -> one call into the reactor: changes to watchers, then the caller's Deferred.

The crash table
---------------
COMMIT is the one atomic step: before it nothing of a unit exists, after it all of it does. Each
line is a state in which the process may die, and what is true of it at the next start.

A message on its way in

    state                                   at the next start
    in memory, or a file under tmp/         unknown to everybody; the client was told nothing and
                                            sends again; `sweep` removes the file
    a named, synced file without a row      the same
    unit run, COMMIT not begun              the same: SQLite and PostgreSQL forget it
    committed, sender not told              it is ours: in the mailboxes, in the queue; the sender
                                            sends again, and the content is stored once
    sender told                             it is ours

A queue row (one recipient)

    waiting                                 waits; is due when it was
    claimed (token, lease)                  its node's next start frees the claim, or it lapses at its
                                            deadline; then it is tried again: a recipient may get
                                            two, never none
    tried, result not committed             the same
    result committed, message not finished  waits for the other recipients; the one who records the
                                            last result finishes it in the same unit
    finished                                row and reference are gone, tracking tells

A copy still to be made (fan-out)

    row there                               the copy is not made: it will be
    unit of copies not committed            the same
    committed                               copy and row's end are one step: never two, never none

Content and its file

    released, row there                     kept until `collect`, or referred to again
    row gone, file named in `unlinking`     removed after the grace time
    file removed, still in `unlinking`      removing it again does nothing; then the row goes
"""
