"""RFC 5322 and MIME messages by offsets: values only, no input or output, nothing raises on garbage.

scan        one pass over a message (whole or in pieces) giving the part tree by offsets
part        that tree, its stored form (`Scan.pack`, `Scan.unpack`), part numbers
headers     fields of a header block by offset, unfolding, HEADER.FIELDS
mime        Content-* fields of a part: type, parameters (RFC 2231), disposition ...
words       encoded words (RFC 2047), extended parameters
charsets    octets to text in whatever charset mail claims
addresses   address lists, lenient
domains     A-labels and U-labels
dates       date-time, lenient in, strict out
wire        IMAP strings of the stored forms
envelope    ENVELOPE
structure   BODY, BODYSTRUCTURE
sections    BODY[...] resolved to octets of prefix + blob
transfer    base64, quoted-printable, uuencode undone, whole or in pieces
text        readable text of parts, HTML stripped
preview     RFC 8970
summary     `summarize(data) -> Summary`: everything computed once at delivery
compose     building messages: header folding, multiparts, reports

A message goes through `summarize` (or `Summarizer` while it streams to a file) once, when it
is delivered; the `Summary` is stored beside the content and FETCH concatenates stored bytes.
Sections, BINARY and search start from `Scan.unpack(summary.packed)` and read only the octets
they need from the blob.

RFC 2045-2047, 2183, 2231, 3282, 3501 and 9051 (FETCH items), 3516, 5322, 6532, 6858, 8970.
"""
