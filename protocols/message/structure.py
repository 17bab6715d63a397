"""BODY and BODYSTRUCTURE as they go on the wire (RFC 9051 7.5.2, RFC 3501 7.4.2)."""

from protocols.message.envelope import envelope
from protocols.message.mime import Content, Parameters
from protocols.message.part import MESSAGE, MULTIPART, Part
from protocols.message.wire import NIL, nstring, string

_DEFAULT = b'("CHARSET" "US-ASCII")'


def body(root: Part, utf8: bool = False, rev2: bool = False) -> bytes:
    """BODY: the structure without extension data."""
    return render(root, extended=False, utf8=utf8, rev2=rev2)


def bodystructure(root: Part, utf8: bool = False, rev2: bool = False) -> bytes:
    """BODYSTRUCTURE. The tree must have its header blocks: fresh from a scan, or `Scan.raw`."""
    return render(root, extended=True, utf8=utf8, rev2=rev2)


def both(root: Part) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE in the stored form; for one part the second is the first continued."""
    if root.children:
        return render(root, False, False, False), render(root, True, False, False)
    plain = _leaf(root, False)
    return plain, plain[:-1] + _extension(root.content, False) + b")"


def render(root: Part, extended: bool, utf8: bool, rev2: bool) -> bytes:
    """The parenthesised structure, made without recursion: children before their parent."""
    order: list[Part] = []
    waiting = [root]
    while waiting:
        part = waiting.pop()
        order.append(part)
        waiting.extend(part.children)
    done: dict[int, bytes] = {}
    for part in reversed(order):
        children = [done.pop(id(child)) for child in part.children]
        done[id(part)] = _render(part, children, extended, utf8, rev2)
    return done[id(root)]


def _render(part: Part, children: list[bytes], extended: bool, utf8: bool, rev2: bool) -> bytes:
    content = part.content
    if part.kind == MULTIPART:
        # body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
        tail = b""
        if extended:
            tail = b" %b%b" % (_parameters(content.parameters, utf8), _tail(content, utf8))
        return b'(%b "%b"%b)' % (b"".join(children), content.subtype, tail)
    if part.kind == MESSAGE and (content.subtype == b"RFC822" or rev2):
        # body-type-msg = media-message SP body-fields SP envelope SP body SP body-fld-lines
        inner = envelope(part.children[0].header, utf8)
        text = b"(%b %b %b %d" % (_fields(part, utf8), inner, children[0], part.lines)
    else:
        text = _leaf(part, utf8)[:-1]
    if extended:
        text += _extension(content, utf8)
    return text + b")"


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


def _leaf(part: Part, utf8: bool) -> bytes:
    if part.content.type == b"TEXT":
        return b"(%b %d)" % (_fields(part, utf8), part.lines)
    return b"(%b)" % _fields(part, utf8)


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
