"""A server behind a proxy that shows when it receives each part of a request."""

import socket
import threading
from collections.abc import Callable
from typing import Self

Handle = Callable[[socket.socket, bytes], None]


class StubUpstream:
    """Accepts connections, reads the head of one request from each, and gives it to `handle`."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.heads: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                if not (part := connection.recv(65_536)):
                    return
                data += part
            head, _, rest = data.partition(b"\r\n\r\n")
            self.heads.append(head.decode())
            self._handle(connection, rest)
