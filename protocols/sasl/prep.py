"""SASLprep, the preparation of user names and passwords (RFC 4013)."""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0

from protocols.sasl.interfaces import BadExchange

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """The prepared form of `text`; raises BadExchange for what RFC 4013 2.3 and 2.4 prohibit.

    Code points that Unicode 3.2 had not assigned are let through (RFC 4013 2.5, as in a query),
    for stored passwords too: today's keyboards write them.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(  # RFC 4013 2.1
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)  # RFC 4013 2.2
    for char in prepared:  # RFC 4013 2.3
        if any(prohibited(char) for prohibited in _PROHIBITED):
            raise BadExchange("prohibited character")
    if any(map(stringprep.in_table_d1, prepared)):  # RFC 3454 6
        if any(map(stringprep.in_table_d2, prepared)):
            raise BadExchange("text of one direction expected")
        if not (stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])):
            raise BadExchange("right-to-left text at both ends expected")
    return prepared
