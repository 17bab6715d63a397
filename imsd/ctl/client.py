"""Asks the running server over its control socket."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from imsd import errors


class NotRunning(Exception):
    """Nobody answers on the control socket."""


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("imsd", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def call(path: Path, name: str, arguments: dict[str, Any], timeout: float = 600) -> Any:
    """The answer of an operation. Raises NotRunning, and the refusal that the server gave."""
    connection = _SocketConnection(path, timeout)
    try:
        connection.request("POST", f"/v1/{name}", json.dumps(arguments))
        body = json.loads(connection.getresponse().read())
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, http.client.HTTPException):
        raise NotRunning from None
    finally:
        connection.close()
    if "error" in body:
        kind = getattr(errors, body["error"]["kind"], None)
        refusal = kind if isinstance(kind, type) and issubclass(kind, errors.Refusal) else errors.Refusal
        raise refusal(body["error"]["text"])
    return body["result"]
