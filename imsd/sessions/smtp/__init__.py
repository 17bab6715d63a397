"""SMTP meets the mail system.

door          what the connections of a listener share
session       one connection: who may say what, and what is written down of refusals
transaction   one message on its way in
"""
