"""The search index: which messages may hold a text, so that few have to be read.

    grams       text to what is indexed of it, a searched text to what is asked for
    texts       the header and the readable body of stored content, as they are indexed
    embedded    the index beside SQLite: HOME/data/search.db
    shared      the index in PostgreSQL
    filling     one step of filling it from the store
    index       SearchIndex, what sessions and administrators hold

1. The index is apart from the store: no unit writes it, nothing waits for it, it may be removed
   at any time. It is filled in content's order by a process of its own (`imsd.indexer`), which
   a busy server makes wait and which the interpreter lock of the server does not know.
2. A document is a blob, not a message: what lies in many mailboxes is indexed once. Sessions
   look up the blobs of their mailbox in what matched.
3. `upto`: every blob up to this id has been looked at. Those of them in `partial` were not
   indexed whole (too large, unreadable). What is above `upto` or partial is `Matches.open`: nothing
   is known of it, and whoever searches reads it. So an answer is complete at every moment.
4. What matches is a superset: all trigrams of the searched text occur somewhere in the header,
   or the body. Whoever searches reads what matched. What does not match does not hold the text,
   in any collation whose equal texts have equal skeletons (`grams`).
5. Of blobs that went, entries stay until half of their shard is dead; then it is made anew.
6. The index names the incarnation of the store it was made from. Another format, another
   incarnation, a damaged file: it is made anew, and until then answers come from reading.
"""
