"""A customer's web server, to which recordings are delivered."""

import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Heard:
    """One request that the customer's server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Customer:
    """A customer's web server, on a port that stays its own while it is down."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.heard: list[Heard] = []
        self.mute: set[str] = set()
        """What paths begin with whose requests are heard, and not answered."""
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        heard, mute = self.heard, self.mute

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(length := int(self.headers["Content-Length"]))
                if len(body) < length:
                    # Its sender has gone, and half of it is nothing.
                    return
                heard.append(Heard(self.command, self.path, dict(self.headers), body))
                if self.path.startswith(tuple(mute)):
                    # Until the sender is gone.
                    self.rfile.read(1)
                    return
                self.send_response(204)
                self.end_headers()

            do_POST = do_PUT  # noqa: N815 - http.server's name

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
