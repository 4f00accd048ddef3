"""GraphiQL, the query editor at `/graphql`: its page, and the files that the page loads from this service.

`scripts/graphiql/build.mjs` builds the files. They are stored compressed with gzip, as most clients receive them.
"""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from adapters.http.compression import GZIP, accepts
from adapters.http.error_body import error_response

_HERE: Final = Path(__file__).parent
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
FILES: Final = tuple(sorted(file.stem for file in _HERE.glob("*.gz")))
"""The names of the files in URLs."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src 'self' data:; "
    # The editor sets inline styles to position its elements.
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page may exchange data only with this service, because it has a token."""
_SAFE: Final = {"x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class _File:
    """A compressed file with its ETag."""

    compressed: bytes
    etag: str
    media_type: str


@cache
def _file(name: str) -> _File:
    compressed = (_HERE / f"{name}.gz").read_bytes()
    return _File(compressed, f'"{sha256(compressed).hexdigest()[:32]}"', _TYPES[Path(name).suffix])


@cache
def _page() -> str:
    return (_HERE / "page.html").read_text(encoding="utf-8")


def page() -> Response:
    """Return the page."""
    return HTMLResponse(_page(), headers={**_SAFE, "content-security-policy": POLICY, "referrer-policy": "no-referrer"})


def routes() -> list[Route]:
    """Return the routes of the files. The page has the route of the API itself."""
    return [Route("/graphiql/{name}", _send)]


async def _send(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        return error_response(404, "NOT_FOUND", "no such file")
    file = _file(name)
    # `no-cache` makes browsers revalidate. A file is sent again only if a release changed it.
    headers = {**_SAFE, "etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    if not accepts(request.headers.get("accept-encoding"), GZIP):
        return Response(gzip.decompress(file.compressed), headers=headers, media_type=file.media_type)
    return Response(file.compressed, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type)
