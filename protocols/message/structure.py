"""BODY and BODYSTRUCTURE as they go on the wire (RFC 9051 7.5.2, RFC 3501 7.4.2)."""

from collections.abc import Generator

from protocols.message.envelope import envelope
from protocols.message.mime import Content, Parameters
from protocols.message.part import MESSAGE, MULTIPART, PAUSE, Part, at_once
from protocols.message.wire import NIL, nstring, string


def body(root: Part, utf8: bool = False, rev2: bool = False) -> bytes:
    """BODY: the structure without extension data."""
    return both(root, utf8, rev2)[0]


def bodystructure(root: Part, utf8: bool = False, rev2: bool = False) -> bytes:
    """BODYSTRUCTURE. The tree must have its header blocks: fresh from a scan, or `Scan.raw`."""
    return both(root, utf8, rev2)[1]


def both(root: Part, utf8: bool = False, rev2: bool = False) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE, made without recursion, and in time that grows with their size.

    utf8: text is sent as it is instead of as encoded words. rev2: message/global is shown
    with the structure of the message inside, which IMAP4rev1 knows for message/rfc822 only.
    """
    if not root.children:
        return _leaf(root, utf8)
    return at_once(making(root, utf8, rev2))


def making(root: Part, utf8: bool = False, rev2: bool = False) -> Generator[None, None, tuple[bytes, bytes]]:
    """`both` with a pause after every PAUSE parts."""
    plain: list[bytes] = []
    extended: list[bytes] = []
    # Parts to be begun, and ends of those that are open.
    waiting: list[Part | tuple[bytes, bytes]] = [root]
    count = 0
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            plain.append(part[0])
            extended.append(part[1])
            continue
        count += 1
        if not count % PAUSE:
            yield
        if part.kind == MULTIPART:
            plain.append(b"(")
            extended.append(b"(")
            waiting.append(_multipart_end(part, utf8))
            waiting.extend(reversed(part.children))
        elif part.kind == MESSAGE and (part.content.subtype == b"RFC822" or rev2):
            # body-type-msg = media-message SP body-fields SP envelope SP body SP body-fld-lines
            start = b"(%b %b " % (_fields(part, utf8), envelope(part.children[0].header, utf8))
            plain.append(start)
            extended.append(start)
            end = b" %d" % part.lines
            waiting.append((end + b")", b"%b%b)" % (end, _extension(part.content, utf8))))
            waiting.append(part.children[0])
        else:
            leaf = _leaf(part, utf8)
            plain.append(leaf[0])
            extended.append(leaf[1])
    return b"".join(plain), b"".join(extended)


def _multipart_end(part: Part, utf8: bool) -> tuple[bytes, bytes]:
    # body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
    content = part.content
    return (
        b' "%b")' % content.subtype,
        b' "%b" %b%b)' % (content.subtype, _parameters(content.parameters, utf8), _tail(content, utf8)),
    )


def _leaf(part: Part, utf8: bool) -> tuple[bytes, bytes]:
    # body-type-text = media-text SP body-fields SP body-fld-lines; body-type-basic without lines
    text = b"(" + _fields(part, utf8)
    if part.content.type == b"TEXT":
        text = b"%b %d" % (text, part.lines)
    return text + b")", b"%b%b)" % (text, _extension(part.content, utf8))


def _fields(part: Part, utf8: bool) -> bytes:
    content = part.content
    return b'"%b" "%b" %b %b %b %b %d' % (
        content.type,
        content.subtype,
        _parameters(content.parameters, utf8),
        nstring(content.id, utf8),
        nstring(content.description, utf8),
        string(content.encoding),
        part.stop - part.body,
    )


def _extension(content: Content, utf8: bool) -> bytes:
    # body-ext-1part = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]
    return b" %b%b" % (nstring(content.md5, utf8), _tail(content, utf8))


def _tail(content: Content, utf8: bool) -> bytes:
    if content.disposition is None and not content.language and content.location is None:
        return b" NIL NIL NIL"
    disposition = NIL
    if content.disposition:
        disposition = b"(%b %b)" % (
            string(content.disposition, utf8),
            _parameters(content.disposition_parameters, utf8),
        )
    language = NIL
    if len(content.language) == 1:
        language = string(content.language[0], utf8)
    elif content.language:
        language = b"(%b)" % b" ".join(string(tag, utf8) for tag in content.language)
    return b" %b %b %b" % (disposition, language, nstring(content.location, utf8))


def _parameters(parameters: Parameters, utf8: bool) -> bytes:
    if not parameters:
        return NIL
    return b"(%b)" % b" ".join([b"%b %b" % (string(n, utf8), string(v, utf8)) for n, v in parameters])
