"""Diagnostics Logging (ims_spec 3.9).

files       text files that grow and are turned over, written in a thread
eventlog    events as lines of JSON
protocol    conversations by SMTP as they were, without passwords
diagnosis   what the rest of the server tells these
"""
