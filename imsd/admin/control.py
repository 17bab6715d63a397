"""The control socket: operations over HTTP on HOME/run/control.sock.

POST /v1/NAME with a JSON object of arguments answers {"result": ...} or {"error": {...}}. Who
may open the socket (the owner of the home) may do everything.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from imsd.admin.operations import OPERATIONS, call, describe_refusal
from imsd.errors import NoSuchEntry, Refusal

BODY_LIMIT: Final = 64 << 20


class Operations(Resource):
    """/v1/NAME."""

    isLeaf = True
    log = Logger()

    def __init__(self, core: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._core = core

    def render_GET(self, request: Request) -> bytes:
        return _answer(
            request, 200, {"result": {name: entry.summary for name, entry in sorted(OPERATIONS.items())}}
        )

    def render_POST(self, request: Any) -> Any:
        try:
            assert request.content is not None
            arguments = json.loads(request.content.read(BODY_LIMIT) or b"{}")
            if not isinstance(arguments, dict):
                raise ValueError("a JSON object of arguments is wanted")
        except (ValueError, RecursionError) as error:
            text = {"kind": "BadRequest", "text": str(error), "temporary": False}
            return _answer(request, 400, {"error": text})
        name = b"/".join(request.postpath or []).decode("ascii", "replace")
        running = Deferred.fromCoroutine(call(self._core, name, arguments))
        gone = request.notifyFinish()
        gone.addErrback(lambda _: running.cancel())
        running.addCallbacks(self._done, self._failed, callbackArgs=(request,), errbackArgs=(request,))
        return NOT_DONE_YET

    def _done(self, result: Any, request: Request) -> None:
        self._finish(request, 200, {"result": result})

    def _failed(self, failure: Failure, request: Request) -> None:
        error = failure.value
        if isinstance(error, Refusal):
            status = 404 if isinstance(error, NoSuchEntry) else 503 if error.temporary else 409
            self._finish(request, status, {"error": describe_refusal(error)})
            return
        self.log.failure("operation {path} failed", failure, path=request.path)
        text = {"kind": "InternalError", "text": "internal error; see the server's log", "temporary": True}
        self._finish(request, 500, {"error": text})

    def _finish(self, request: Request, status: int, body: dict[str, Any]) -> None:
        if not request._disconnected:
            request.write(_answer(request, status, body))
            request.finish()


def _answer(request: Request, status: int, body: dict[str, Any]) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    return json.dumps(body).encode()


def listen(reactor: Any, core: Any, path: Path) -> IListeningPort:
    """Open the control socket, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    root = Resource()
    root.putChild(b"v1", Operations(core))
    site: Any = Site(root)
    site.noisy = False
    site.log = lambda request: None  # what was done is in the log of who did it
    # The home is locked by now: a socket that is still here is of a server that was killed.
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        port: IListeningPort = reactor.listenUNIX(str(path), site, mode=0o600, wantPID=False)
    finally:
        os.umask(before)
    return port
