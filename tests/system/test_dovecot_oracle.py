"""The difficult messages as Dovecot tells of them: structure, envelope and every part, beside ours."""

from __future__ import annotations

import imaplib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocols.message import envelope, structure
from protocols.message.scan import scan
from tests.message import difficult, second

pytestmark = pytest.mark.system

Check = Callable[[str, Any, Any], bool]


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, bytes) else None


def _joined(ours: Any, theirs: Any) -> bool:
    return isinstance(theirs, list) and isinstance(ours, list) and theirs[: len(ours)] == ours


# Why Dovecot's answer is another: by where it is (bs: BODYSTRUCTURE, env: ENVELOPE), ours, its own.
REASONS: dict[str, Check] = {
    "one language is a list too (body-fld-lang allows both)": (
        lambda where, ours, theirs: theirs == [ours] and where.endswith(".10")
    ),
    "blanks in Content-Location stay; here they go (RFC 2557 4.4.2)": (
        lambda where, ours, theirs: (
            where.endswith(".11") and _words(theirs) == [b"http://x.test/", b"a", b"b"]
        )
    ),
    "unfolding turns a fold with its blanks, and a tab, into one blank": lambda where, ours, theirs: (
        where.startswith("env") and ours is not None and _words(ours) == _words(theirs)
    ),
    "an address without a domain is MISSING_MAILBOX at MISSING_DOMAIN, its words a name": (
        lambda where, ours, theirs: b"MISSING_" in repr(theirs).encode() or theirs in (b"a. b", b"name only")
    ),
    "of two Message-IDs the last counts": lambda where, ours, theirs: (
        (where, theirs) == ("env.9", b"<3@x.test>")
    ),
    "`Subject :` is a second Subject, and the last counts": (
        lambda where, ours, theirs: theirs == b"blank before the colon"
    ),
    "From that is there twice is joined; here the first counts": (
        lambda where, ours, theirs: where == "env.2" and _joined(ours, theirs)
    ),
    "of several comments the last is a name, and none before the address": (
        lambda where, ours, theirs: (ours, theirs) in ((b"before", None), (b"one", b"two"))
    ),
    "a Content-Type that is none gives an empty type; here it is text/plain (RFC 2045 5.2)": (
        lambda where, ours, theirs: b"" in (theirs if isinstance(theirs, list) else [theirs])[:2]
    ),
    "half a type, cut off in the middle, is one": lambda where, ours, theirs: (
        isinstance(theirs, list) and theirs[0] in (b"t", b"multip", b"application")
    ),
    "a multipart without parts has an empty one; here it is text, so that its content can be read": (
        lambda where, ours, theirs: (
            isinstance(theirs, list) and len(theirs) == 6 and theirs[0][6:7] in ([0], [3])
        )
    ),
    "an empty Content-Disposition is one": lambda where, ours, theirs: theirs == [b"", None],
    "continuations with a gap stay as they are; here they count up to it (RFC 2231 3)": (
        lambda where, ours, theirs: b"name*0" in repr(theirs).encode()
    ),
    "a message in base64 is read as if it were not encoded; here it is a leaf (RFC 2046 5.2.1 forbids it)": (
        lambda where, ours, theirs: isinstance(ours, list) and ours[1:2] == [b"octet-stream"]
    ),
    "a boundary may end in blanks; here not (RFC 2046 5.1.1)": (
        lambda where, ours, theirs: isinstance(theirs, list) and b"with spaces  " in repr(theirs).encode()
    ),
    "an empty parameter ends them; here it is passed over": (
        lambda where, ours, theirs: isinstance(theirs, list) and ours == [*theirs, (b"y", b"2")]
    ),
    "a line that begins with a delimiter is one; here it must be nothing else (RFC 2046 5.1.1)": (
        lambda where, ours, theirs: where == "bs" and "(b'boundary', b'p')" in repr(ours)
    ),
}


def messages() -> Iterator[tuple[str, bytes]]:
    for name, data in difficult.messages():
        # It stores line ends as CRLF, refuses NUL and an empty message, and has no more than 100 levels.
        alike = data == re.sub(rb"\r?\n", b"\r\n", data) and b"\r" not in data.replace(b"\r\n", b"")
        if data and alike and b"\0" not in data and not name.startswith(("lf-", "many-")):
            # Without this field it looks at nothing but Content-Type of the message itself.
            yield name, b"MIME-Version: 1.0\r\n" + data


CONFIGURATION = """\
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/dovecot.log
mail_location = mdbox:{base}/mail
mail_fsync = never
first_valid_uid = 1
namespace inbox {{
  inbox = yes
}}
"""


@pytest.fixture(scope="module")
def dovecot() -> Iterator[imaplib.IMAP4]:
    """Debian's IMAP server on a pair of pipes, logged in: it needs neither root nor a daemon."""
    program = Path("/usr/lib/dovecot/imap")
    if not program.exists():
        if os.environ.get("IMSD_REQUIRE_CLIENTS") == "1":
            pytest.fail("dovecot-imapd is not installed and IMSD_REQUIRE_CLIENTS=1")
        pytest.skip("dovecot-imapd is not installed")
    with tempfile.TemporaryDirectory(prefix="imsd-oracle-", ignore_cleanup_errors=True) as folder:
        base = Path(folder)
        settings = base / "dovecot.conf"
        settings.write_text(CONFIGURATION.format(base=base))
        command = ["env", "USER=oracle", f"HOME={base}", str(program), "-c", str(settings)]
        if os.geteuid() == 0:
            # It refuses to serve root.
            base.chmod(0o755)
            shutil.chown(base, "mail", "mail")
            command = ["setpriv", "--reuid=mail", "--regid=mail", "--clear-groups", *command]
        client = imaplib.IMAP4_stream(f"{shlex.join(command)} 2>{shlex.quote(str(base / 'said'))}")
        yield client
        client.logout()


def fetched(client: imaplib.IMAP4, item: str) -> list[Any]:
    """Its answer for every message."""
    tag = client._new_tag().decode()
    client.send(f"{tag} FETCH 1:* {item}\r\n".encode())
    answers: list[Any] = []
    while True:
        line = client.readline()
        while (found := re.search(rb"\{(\d+)\}\r\n$", line)) is not None:
            line += client.read(int(found[1])) + client.readline()
        if line.startswith(tag.encode()):
            return answers
        name = item.encode()
        wire = line[line.index(name) + len(name) + 1 : line.rindex(b")")]
        answers.append(second.tree_of(wire))


def lowered(tree: Any) -> Any:
    """Without what makes no difference: case, parameters that are there again, and the charset
    that text has by default (RFC 2045 5.2)."""
    if not isinstance(tree, list):
        return tree.lower() if isinstance(tree, bytes) else tree
    made = [lowered(one) for one in tree]
    if len(made) > 6 and isinstance(made[0], bytes) and isinstance(made[6], int):
        made[2] = parameters(made[2], made[0] == b"text")
    elif made and isinstance(made[0], list):
        at = next((n for n, one in enumerate(made) if isinstance(one, bytes)), None)
        if at is not None and at + 1 < len(made):
            made[at + 1] = parameters(made[at + 1], False)
    return made


def parameters(flat: Any, text: bool) -> Any:
    pairs: dict[bytes, bytes] = {}
    for name, value in zip((flat or [])[::2], (flat or [])[1::2], strict=True):
        pairs.setdefault(name, value)
    if text:
        pairs[b"charset"] = pairs.get(b"charset") or b"us-ascii"
    return sorted(pairs.items())


def differences(ours: Any, theirs: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for at, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(mine, other, f"{where}.{at}")
    elif ours != theirs:
        yield where, ours, theirs


def test_structures_and_envelopes(dovecot: imaplib.IMAP4) -> None:
    sent = list(messages())
    assert len(sent) > 400
    # imaplib would mend line ends, and wait for each.
    dovecot.send(b"".join(b"m APPEND INBOX {%d+}\r\n%b\r\n" % (len(data), data) for _, data in sent))
    stored = 0
    while stored < len(sent):
        line = dovecot.readline()
        assert line.startswith((b"m OK ", b"* ")), line
        stored += line.startswith(b"m ")
    dovecot.select("INBOX")
    structures, envelopes = fetched(dovecot, "BODYSTRUCTURE"), fetched(dovecot, "ENVELOPE")
    assert len(structures) == len(envelopes) == len(sent)
    unexplained: list[tuple[str, str, Any, Any]] = []
    needed: set[str] = set()
    for (name, data), shape, fields in zip(sent, structures, envelopes, strict=True):
        root = scan(data).root
        mine = second.tree_of(structure.bodystructure(root, utf8=True))
        head = second.tree_of(envelope.envelope(root.header, utf8=True))
        for found in [
            *differences(lowered(mine), lowered(shape), "bs"),
            *differences(head, fields, "env"),
        ]:
            reasons = [reason for reason, fits in REASONS.items() if fits(*found)]
            needed.update(reasons)
            if not reasons:
                unexplained.append((name, *found))
    assert not unexplained
    assert needed == set(REASONS)
