"""A customer's web server that receives delivered recordings."""

import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ReceivedRequest:
    """One request that the customer's server received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Customer:
    """A customer's web server. It keeps its port number while it is stopped."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.received: list[ReceivedRequest] = []
        self.unanswered: set[str] = set()
        """Path prefixes of requests that are received but not answered."""
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        received, unanswered = self.received, self.unanswered

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(length := int(self.headers["Content-Length"] or 0))
                if len(body) < length:
                    # The sender closed the connection, and a partial body does not count.
                    return
                received.append(ReceivedRequest(self.command, self.path, dict(self.headers), body))
                if self.path.startswith(tuple(unanswered)):
                    # Wait until the sender closes the connection.
                    self.rfile.read(1)
                    return
                self.send_response(204)
                self.end_headers()

            do_POST = do_GET = do_PUT  # noqa: N815 - http.server's names

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
