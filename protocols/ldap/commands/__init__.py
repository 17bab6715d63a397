"""One module per operation of RFC 4511 and per extended operation."""
