"""A second reading of messages, from the grammars alone: RFC 5322, 2045, 2046, 2183, 2231 and the
FETCH items of RFC 3501 and 9051. It shares nothing with protocols.message, goes line by line and
character by character, and cares for nothing but being plain.

Where the grammars are silent it takes the decisions that the project has written down:

1. A delimiter of an outer multipart ends everything inside it.
2. A multipart without boundary or without delimiter is text/plain; a message/rfc822 in base64 or
   quoted-printable is application/octet-stream.
3. A parameter or field that is there twice counts once, the first; To, Cc and Bcc are joined.
4. Lines may end in LF alone.
5. A parameter without a value is empty; an address without a domain is its words; of several
   comments the first is a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Tree = list["Tree"] | bytes | int | None

SPECIALS = b'()<>@,;:\\"[]'  # RFC 5322 3.2.3, but for the dot
TSPECIALS = SPECIALS + b"/?="  # RFC 2045 5.1


@dataclass
class Entity:
    """header and body: their octets. kind: `leaf`, `multipart` or `message`."""

    header: bytes
    body: bytes
    kind: str = "leaf"
    type: bytes = b"TEXT"
    subtype: bytes = b"PLAIN"
    parameters: list[tuple[bytes, bytes]] = field(default_factory=list)
    children: list[Entity] = field(default_factory=list)

    @property
    def encoding(self) -> bytes:
        value = first(self.header, b"content-transfer-encoding")
        words = [] if value is None else [word for kind, word in lex(value) if kind == "atom"]
        return words[0].upper() if words else b"7BIT"


# Lines and fields -----------------------------------------------------------------------------


def lines_of(data: bytes) -> list[bytes]:
    found, start = [], 0
    while start < len(data):
        end = data.find(b"\n", start) + 1 or len(data)
        found.append(data[start:end])
        start = end
    return found


def chomp(lines: list[bytes]) -> bytes:
    """The lines without the line end that belongs to the delimiter behind them."""
    data = b"".join(lines)
    if data.endswith(b"\r\n"):
        return data[:-2]
    return data[:-1] if data.endswith(b"\n") else data


def fields_of(header: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(name in lower case, unfolded value, the whole field)."""
    whole: list[bytes] = []
    for line in [*lines_of(header), b"."]:
        if whole and line[:1] in (b" ", b"\t") and line.strip():
            whole.append(line)
            continue
        if whole and line[:1] in (b" ", b"\t"):
            whole.append(line)
            continue
        if whole:
            text = b"".join(whole)
            name, _, value = text.partition(b":")
            yield name.rstrip(b" \t").lower(), unfold(value), text
        name, colon, _ = line.partition(b":")
        name = name.rstrip(b" \t")
        whole = [line] if colon and name and all(33 <= octet <= 126 for octet in name) else []


def unfold(value: bytes) -> bytes:
    return value.strip(b" \t\r\n\0").replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")


def first(header: bytes, name: bytes) -> bytes | None:
    found = [value for other, value, _ in fields_of(header) if other == name]
    if name in (b"to", b"cc", b"bcc") and found:
        return b",".join(found)
    return found[0] if found else None


# Structured values ----------------------------------------------------------------------------


def lex(value: bytes, specials: bytes = TSPECIALS) -> Iterator[tuple[str, bytes]]:
    """atom, string, domain, comment and special, one after the other; blanks go."""
    at = 0
    while at < len(value):
        octet = value[at : at + 1]
        if octet in b" \t\r\n\0":
            at += 1
        elif octet == b'"' or octet == b"[":
            close = b'"' if octet == b'"' else b"]"
            text, at = b"", at + 1
            while at < len(value) and value[at : at + 1] != close:
                if value[at : at + 1] == b"\\" and at + 1 < len(value):
                    at += 1
                text += value[at : at + 1]
                at += 1
            at += 1
            yield ("string", text) if close == b'"' else ("domain", b"[" + text + b"]")
        elif octet == b"(":
            depth, text, at = 1, b"", at + 1
            while at < len(value) and depth:
                octet = value[at : at + 1]
                if octet == b"\\" and at + 1 < len(value):
                    at += 1
                    text += value[at : at + 1]
                else:
                    depth += (octet == b"(") - (octet == b")")
                    text += octet if depth else b""
                at += 1
            yield "comment", text
        elif octet in specials:
            yield "special", octet
            at += 1
        else:
            start = at
            while at < len(value) and value[at : at + 1] not in specials + b" \t\r\n\0":
                at += 1
            yield "atom", value[start:at]


def parameters_of(value: bytes) -> list[tuple[bytes, bytes]]:
    """*(";" attribute "=" value), RFC 2231 continuations joined."""
    tokens = [token for token in lex(value) if token[0] != "comment"]
    pairs: dict[bytes, bytes] = {}
    for at, token in enumerate(tokens):
        if token == ("special", b";") and tokens[at + 2 : at + 3] == [("special", b"=")]:
            value_of = tokens[at + 3][1] if at + 3 < len(tokens) else b""
            pairs.setdefault(tokens[at + 1][1].upper(), value_of)
    joined: dict[bytes, bytes] = {}
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, text in pairs.items():
        base, star, number = name.rstrip(b"*").partition(b"*")
        if star and number.isdigit():
            pieces.setdefault(base, {}).setdefault(int(number), (text, name.endswith(b"*")))
        else:
            joined[name] = text
    for base, numbered in pieces.items():
        extended = any(encoded for _, encoded in numbered.values())
        whole, number = b"", 0
        while number in numbered:
            text, encoded = numbered[number]
            whole += text if encoded or not extended else quoted(text)
            number += 1
        if number:
            if extended and not numbered[0][1]:
                whole = b"''" + whole
            joined.setdefault(base + b"*" * extended, whole)
    return list(joined.items())


def quoted(text: bytes) -> bytes:
    # attribute-char (RFC 2231 7)
    plain = b"!#$&+-.^_`{|}~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return b"".join(bytes([octet]) if octet in plain else b"%%%02X" % octet for octet in text)


# Entities -------------------------------------------------------------------------------------


def read(data: bytes, digest: bool = False) -> Entity:
    """An entity: header fields, an empty line, a body (RFC 2045 2.4)."""
    lines = lines_of(data)
    for number, line in enumerate(lines):
        if line in (b"\r\n", b"\n"):
            header, body = b"".join(lines[: number + 1]), b"".join(lines[number + 1 :])
            break
    else:
        header, body = data, b""
    entity = Entity(header, body)
    value = first(header, b"content-type")
    tokens = [] if value is None else [token for token in lex(value) if token[0] != "comment"]
    if len(tokens) > 2 and tokens[0][0] == tokens[2][0] == "atom" and tokens[1] == ("special", b"/"):
        assert value is not None
        entity.type, entity.subtype = tokens[0][1].upper(), tokens[2][1].upper()
        entity.parameters = parameters_of(value)
    elif value is None and digest:
        entity.type, entity.subtype = b"MESSAGE", b"RFC822"
    else:
        entity.parameters = [(b"CHARSET", b"US-ASCII")]
    if entity.type == b"MULTIPART":
        boundary = dict(entity.parameters).get(b"BOUNDARY", b"").rstrip()
        parts = split(body, boundary) if boundary else []
        if parts:
            entity.kind = "multipart"
            entity.children = [read(part, entity.subtype == b"DIGEST") for part in parts]
        else:
            entity.type, entity.subtype = b"TEXT", b"PLAIN"
            entity.parameters = [pair for pair in entity.parameters if pair[0] == b"CHARSET"]
    elif entity.type == b"MESSAGE" and entity.subtype in (b"RFC822", b"GLOBAL"):
        if entity.encoding in (b"7BIT", b"8BIT", b"BINARY"):
            entity.kind = "message"
            entity.children = [read(body)]
        elif entity.subtype == b"RFC822":
            entity.type, entity.subtype = b"APPLICATION", b"OCTET-STREAM"
    return entity


def split(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts of a multipart (RFC 2046 5.1.1): preamble and epilogue go."""
    parts: list[bytes] = []
    under_way: list[bytes] | None = None
    for line in lines_of(body):
        word = line.rstrip(b" \t\r\n\x0b\x0c")
        if word in (b"--" + boundary, b"--" + boundary + b"--"):
            if under_way is not None:
                # The empty line of an empty header is not the delimiter's.
                blank = under_way[0] in (b"\r\n", b"\n") if len(under_way) == 1 else False
                parts.append(b"".join(under_way) if blank else chomp(under_way))
            under_way = []
            if word.endswith(b"--") and word != b"--" + boundary:
                return parts
        elif under_way is not None:
            under_way.append(line)
    if under_way is not None:
        parts.append(b"".join(under_way))
    return parts


def descend(root: Entity, path: tuple[int, ...]) -> Entity | None:
    """The part of a number (RFC 9051 6.4.5.1)."""
    entity, whole = root, True
    for number in path:
        if entity.kind == "message" and not whole:
            entity, whole = entity.children[0], True
        if entity.kind == "multipart":
            if not 1 <= number <= len(entity.children):
                return None
            entity = entity.children[number - 1]
        elif not whole or number != 1:
            return None
        whole = False
    return entity


def paths(root: Entity, prefix: tuple[int, ...] = (), whole: bool = True) -> Iterator[tuple[int, ...]]:
    """Every part number there is."""
    if root.kind == "message" and not whole:
        yield from paths(root.children[0], prefix)
    elif root.kind == "multipart":
        for number, child in enumerate(root.children, 1):
            yield (*prefix, number)
            yield from paths(child, (*prefix, number), whole=False)
    elif whole:
        yield (*prefix, 1)
        if root.kind == "message":
            yield from paths(root.children[0], (*prefix, 1))


# What FETCH tells -----------------------------------------------------------------------------


def bodystructure(entity: Entity) -> Tree:
    value = first(entity.header, b"content-disposition")
    disposition: Tree = None
    if value is not None:
        words = [word for kind, word in lex(value) if kind != "comment"]
        if words and words[0] not in (b";", b"="):
            disposition = [words[0].upper(), flatten(parameters_of(value))]
    value = first(entity.header, b"content-language")
    tags: list[Tree] = [] if value is None else [
        tag.strip() for tag in uncommented(value).split(b",") if tag.strip()
    ]  # fmt: skip
    language: Tree = None if not tags else tags[0] if len(tags) == 1 else tags
    location = first(entity.header, b"content-location")
    tail: list[Tree] = [disposition, language, None if location is None else b"".join(location.split())]
    if entity.kind == "multipart":
        children = [bodystructure(child) for child in entity.children]
        return [*children, entity.subtype, flatten(entity.parameters), *tail]
    shape: list[Tree] = [
        entity.type,
        entity.subtype,
        flatten(entity.parameters),
        first(entity.header, b"content-id"),
        first(entity.header, b"content-description"),
        entity.encoding,
        len(entity.body),
    ]
    if entity.kind == "message" and entity.subtype == b"RFC822":
        inner = entity.children[0]
        shape += [envelope(inner.header), bodystructure(inner), entity.body.count(b"\n")]
    elif entity.type == b"TEXT":
        shape.append(entity.body.count(b"\n"))
    return [*shape, first(entity.header, b"content-md5"), *tail]


def uncommented(value: bytes) -> bytes:
    return b" ".join(word for kind, word in lex(value.replace(b",", b" , ")) if kind != "comment")


def flatten(pairs: list[tuple[bytes, bytes]]) -> Tree:
    return [text for pair in pairs for text in pair] or None


def envelope(header: bytes) -> Tree:
    sender = addresses(first(header, b"from"))
    return [
        first(header, b"date"),
        first(header, b"subject"),
        sender,
        addresses(first(header, b"sender")) or sender,
        addresses(first(header, b"reply-to")) or sender,
        addresses(first(header, b"to")),
        addresses(first(header, b"cc")),
        addresses(first(header, b"bcc")),
        first(header, b"in-reply-to"),
        first(header, b"message-id"),
    ]


def addresses(value: bytes | None) -> Tree:
    """address-list (RFC 5322 3.4, 4.4): mailboxes and groups."""
    if value is None:
        return None
    found: list[Tree] = []
    run: list[tuple[str, bytes]] = []
    in_group = in_angle = False
    for token in [*lex(value, SPECIALS), ("special", b",")]:
        if token == ("special", b"<"):
            in_angle = True
        elif token == ("special", b">"):
            in_angle = False
        if not in_angle and token == ("special", b":") and not in_group:
            found.append([None, None, phrase(run), None])
            in_group, run = True, []
        elif not in_angle and token in (("special", b","), ("special", b";")):
            address = mailbox(run)
            if address is not None:
                found.append(address)
            run = []
            if token[1] == b";" and in_group:
                found.append([None, None, None, None])
                in_group = False
        else:
            run.append(token)
    if in_group:
        found.append([None, None, None, None])
    return found or None


def mailbox(tokens: list[tuple[str, bytes]]) -> Tree:
    comments = [text for kind, text in tokens if kind == "comment"]
    words = [token for token in tokens if token[0] != "comment"]
    name: bytes | None = None
    route: bytes | None = None
    if ("special", b"<") in words:
        at = words.index(("special", b"<"))
        name = phrase(words[:at]) or None
        words = words[at + 1 :]
        if ("special", b">") in words:
            words = words[: words.index(("special", b">"))]
        if words and words[0] == ("special", b"@") and ("special", b":") in words:
            colon = words.index(("special", b":"))
            route = b"".join(text for _, text in words[:colon])
            words = words[colon + 1 :]
    elif comments:
        name = comments[0].strip() or None
    if not words:
        return None
    at = max((n for n, token in enumerate(words) if token == ("special", b"@")), default=len(words))
    local = (b"" if at < len(words) else b" ").join(text for _, text in words[:at])
    return [name, route, local, b"".join(text for _, text in words[at + 1 :])]


def phrase(tokens: list[tuple[str, bytes]]) -> bytes:
    return b" ".join(text for kind, text in tokens if kind != "comment")


# Sections and decoding ------------------------------------------------------------------------


def picked(header: bytes, names: list[bytes], exclude: bool) -> bytes:
    """HEADER.FIELDS and HEADER.FIELDS.NOT."""
    kept = b"".join(whole for name, _, whole in fields_of(header) if (name in names) is not exclude)
    if kept and not kept.endswith(b"\n"):
        kept += b"\r\n"
    return kept + b"\r\n"


def decoded(body: bytes, encoding: bytes) -> bytes | None:
    """BINARY: None for an encoding that is not known."""
    if encoding in (b"7BIT", b"8BIT", b"BINARY"):
        return body
    if encoding == b"BASE64":
        return unbase64(body)
    return unquoted(body) if encoding == b"QUOTED-PRINTABLE" else None


def unbase64(body: bytes) -> bytes:
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    out, bits, held = bytearray(), 0, 0
    for octet in body:
        if octet == 61:
            bits = held = 0
        elif octet in alphabet:
            held, bits = held << 6 | alphabet.index(octet), bits + 6
            if bits >= 8:
                bits -= 8
                out.append(held >> bits & 255)
                held &= (1 << bits) - 1
    return bytes(out)


def unquoted(body: bytes) -> bytes:
    out = bytearray()
    for line in lines_of(body):
        text = line.rstrip(b"\r\n")
        end = line[len(text) :]
        if end:
            text = text.rstrip(b" \t")
        soft = bool(end) and text.endswith(b"=")
        at, text = 0, text[:-1] if soft else text
        while at < len(text):
            pair = text[at + 1 : at + 3]
            if text[at] == 61 and len(pair) == 2 and all(c in b"0123456789abcdefABCDEF" for c in pair):
                out.append(int(pair, 16))
                at += 3
            else:
                out.append(text[at])
                at += 1
        if not soft:
            out += end
    return bytes(out)


# The wire -------------------------------------------------------------------------------------


def tree_of(wire: bytes) -> Tree:
    """A parenthesised list as lists, strings, numbers and None (RFC 9051 4)."""
    stack: list[list[Tree]] = [[]]
    at = 0
    while at < len(wire):
        octet = wire[at : at + 1]
        if octet == b"(":
            stack.append([])
            at += 1
        elif octet == b")":
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif octet == b" ":
            at += 1
        elif octet == b'"':
            text, at = b"", at + 1
            while wire[at : at + 1] != b'"':
                at += wire[at : at + 1] == b"\\"
                text += wire[at : at + 1]
                at += 1
            stack[-1].append(text)
            at += 1
        elif octet == b"{":
            end = wire.index(b"}\r\n", at)
            size = int(wire[at + 1 : end])
            stack[-1].append(wire[end + 3 : end + 3 + size])
            at = end + 3 + size
        else:
            start = at
            while at < len(wire) and wire[at : at + 1] not in b" ()":
                at += 1
            word = wire[start:at]
            stack[-1].append(None if word == b"NIL" else int(word))
    [whole] = stack.pop()
    return whole
