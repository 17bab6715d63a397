"""What programs said to an LDAP server, and what it answered: recorded, and played again.

    python -m tests.support.ldap_transcripts PORT TARGET FILE

stands between a program and a server on 127.0.0.1, and writes a file of lines:

    C1: 300c020101...     what the program sent on its first connection, a message in octets
    S1: 1 Bind SUCCESS    what it was answered, in short

A recording is of a server that has what `tests.sessions.test_ldap_clients` has.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from pathlib import Path
from typing import Any

from protocols.ldap import client
from protocols.ldap.messages import SearchResultEntry, SearchResultReference
from protocols.ldap.reader import Reader
from protocols.lines import NEED_DATA


def frames(reader: Reader, data: bytes) -> list[bytes]:
    """The whole messages that these octets end."""
    reader.feed(data)
    found = []
    while (taken := reader.next()) is not NEED_DATA:
        found.append(taken)
    return found


def _count(name: str, values: int) -> str:
    """The schema and what the server supports grow."""
    return str(values) if name not in ("", "cn=Subschema") else "some"


def summary(frame: bytes) -> str:
    """An answer in short: nothing that differs from one run to the next."""
    message: Any = client.read(frame)
    operation = message.operation
    controls = "".join(f" [{each.oid}]" for each in message.controls)
    match operation:
        case SearchResultEntry(dn, attributes):
            shown = " ".join(sorted(f"{each.name}={_count(dn, len(each.values))}" for each in attributes))
            return f"{message.message_id} entry {dn}: {shown}{controls}".rstrip()
        case SearchResultReference():
            return f"{message.message_id} reference{controls}"
    kind = type(operation).__name__.removesuffix("Response").removesuffix("Result")
    result = operation.result
    return f"{message.message_id} {kind} {result.code.name} {result.matched}{controls}".replace(
        "  ", " "
    ).strip()


async def record(port: int, target: int, file: Path) -> None:
    lines: list[str] = []
    connections = count(1)

    def note(line: str) -> None:
        lines.append(line)
        file.write_text("\n".join(lines) + "\n")

    async def pump(source: Any, sink: Any, number: int, from_client: bool) -> None:
        reader = Reader(1 << 30)
        while data := await source.read(65536):
            for frame in frames(reader, data):
                note(f"C{number}: {frame.hex()}" if from_client else f"S{number}: {summary(frame)}")
            sink.write(data)
            await sink.drain()
        sink.close()

    async def serve(reader: Any, writer: Any) -> None:
        number = next(connections)
        there, back = await asyncio.open_connection("127.0.0.1", target)
        await asyncio.gather(pump(reader, back, number, True), pump(there, writer, number, False))

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(record(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
