"""A storage provider: a web server with files, byte ranges and a list of its requests."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class StorageProvider:
    """Serves `files` by path. A file can be deleted by a request, so a test sees whether one was."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.methods: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider.methods.append(self.command)
                body = provider.files.get(self.path)
                if body is None:
                    self._answer(404, b"")
                    return
                found = _RANGE.fullmatch(self.headers.get("Range", ""))
                if found is None:
                    self._answer(200, body)
                    return
                end = int(found[2]) + 1 if found[2] else len(body)
                part = body[int(found[1]) : end]
                span = f"bytes {found[1]}-{int(found[1]) + len(part) - 1}/{len(body)}"
                self._answer(206, part, ("Content-Range", span))

            do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

            def do_DELETE(self) -> None:
                provider.methods.append(self.command)
                provider.files.pop(self.path, None)
                self._answer(204, b"")

            def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
                self.send_response(status)
                for name, value in (("Content-Length", str(len(body))), *headers):
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
