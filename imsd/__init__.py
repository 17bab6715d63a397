"""The application: one store and one directory behind SMTP, POP3, IMAP4 and LDAP v3.

tap         the twistd plugin's options; the one place that imports the reactor
service     composition root
config      etc/imsd.toml
errors      what the domain may refuse
settings    every control, typed and live
store       the only code that knows SQL and the file system
directory   the meaning of entries
auth        who may log in, and how
mail        a message's way: policy, routing, delivery, queue, relay, reports
sessions    where a protocol meets the store
admin, ctl  HTTP API and imsctl
"""

__version__ = "0.1.0"
