"""A wire between two servers, which is cut in the middle of what is said, or slow."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress


class Wire:
    """Listens on address:port and passes on to 127.0.0.1:target.

    cuts: the next connections end by a reset after so many octets from who connects, one after the other.
    refused: so many connections are closed before a word. slow: seconds before each piece.
    """

    def __init__(self, target: int, address: str = "127.0.0.1", port: int = 0) -> None:
        self.target = target
        self.cuts: list[int] = []
        self.refused = 0
        self.slow = 0.0
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server((address, port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refused:
                self.refused -= 1
                peer.close()
                continue
            there = socket.create_connection(("127.0.0.1", self.target))
            self._sockets += [peer, there]
            left = self.cuts.pop(0) if self.cuts else -1
            threading.Thread(target=self._pass, args=(peer, there, left), daemon=True).start()
            threading.Thread(target=self._pass, args=(there, peer, -1), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, left: int) -> None:
        """left: octets until the cut, -1 for none."""
        with suppress(OSError):
            while data := source.recv(4_096):
                if self.slow:
                    time.sleep(self.slow)
                if 0 <= left <= len(data):
                    sink.sendall(data[:left])
                    for each in (source, sink):
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        each.shutdown(socket.SHUT_RD)
                        each.close()
                    return
                left -= len(data) if left > 0 else 0
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
