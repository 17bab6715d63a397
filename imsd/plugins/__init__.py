"""Python of an administrator's that takes part in the server's work.

values      what a plug-in is told
interfaces  the events, an interface with one method for each; what may be answered
answers     an answer, taken apart
loading     a plug-in as a row of `hooks.plugins` names it
calling     one call, coroutine or function, with its time limit
threads     where what is no coroutine runs
plugins     all of them, as the settings are now: `ask` before a decision, `tell` after one
watching    what is told that no part of the server tells by itself: changes of the directory, the log
functions   one function that a setting names (`routing.plugin`)

A plug-in is asked, or told. A question has an answer within a time limit; when it has none, `failure` of
the row says what becomes of it: `open`, as if there were no plug-in, or `closed`, not now (451). What is
told is told once, later, and not at all when the server is ended first. Neither loses mail: it is not
ours before all have been asked, and theirs to know afterwards.
"""
