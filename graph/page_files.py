"""The files that a page of this service loads. They are built with npm, and stored compressed with gzip."""

import gzip
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.http.compression import GZIP, accepts
from adapters.http.error_body import error_response

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
_SAFE: Final = {"x-content-type-options": "nosniff"}


def page_headers(policy: str) -> dict[str, str]:
    """Return the headers of a page with a content security policy. No other page can embed it."""
    return {
        **_SAFE,
        "content-security-policy": policy,
        "referrer-policy": "no-referrer",
        # For browsers that do not know `frame-ancestors`.
        "x-frame-options": "DENY",
    }


@dataclass(frozen=True, slots=True)
class _File:
    compressed: bytes
    etag: str
    media_type: str


class PageFiles:
    """The compressed files of a folder, served below a path such as `/graphiql`."""

    def __init__(self, folder: Path, path: str) -> None:
        self._folder = folder
        self._path = path
        self.names = tuple(sorted(file.stem for file in folder.glob("*.gz")))
        self._files: dict[str, _File] = {}

    def compressed(self, name: str) -> bytes:
        """Return the bytes of a file, compressed with gzip."""
        return self._file(name).compressed

    def routes(self) -> list[Route]:
        """Return the route of the files."""
        return [Route(f"{self._path}/{{name}}", self._send)]

    def _file(self, name: str) -> _File:
        if name not in self._files:
            compressed = (self._folder / f"{name}.gz").read_bytes()
            etag = f'"{sha256(compressed).hexdigest()[:32]}"'
            self._files[name] = _File(compressed, etag, _TYPES[Path(name).suffix])
        return self._files[name]

    async def _send(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.names:
            return error_response(404, "NOT_FOUND", "no such file")
        file = self._file(name)
        # `no-cache` makes browsers revalidate. A file is sent again only if a release changed it.
        headers = {**_SAFE, "etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        if not accepts(request.headers.get("accept-encoding"), GZIP):
            return Response(gzip.decompress(file.compressed), headers=headers, media_type=file.media_type)
        return Response(file.compressed, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type)
