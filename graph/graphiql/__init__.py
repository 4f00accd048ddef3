"""GraphiQL, the query editor at `/graphql`: a page, and the files that it loads, all of them from this service.

The files are built by `scripts/graphiql/build.mjs` and kept as they are sent, in gzip.
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
"""The files, by the names that they are asked for."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src 'self' data:; "
    # The editor positions what it draws by styles of its own.
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing comes from any other place, and nothing goes there: the page holds a token."""
_SAFE: Final = {"x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class _File:
    """A file, packed, and its tag."""

    packed: bytes
    tag: str
    media_type: str


@cache
def _file(name: str) -> _File:
    packed = (_HERE / f"{name}.gz").read_bytes()
    return _File(packed, f'"{sha256(packed).hexdigest()[:32]}"', _TYPES[Path(name).suffix])


@cache
def _page() -> str:
    return (_HERE / "page.html").read_text(encoding="utf-8")


def page() -> Response:
    """The page."""
    return HTMLResponse(_page(), headers={**_SAFE, "content-security-policy": POLICY, "referrer-policy": "no-referrer"})


def routes() -> list[Route]:
    """The routes of the files, beside that of the page."""
    return [Route("/graphiql/{name}", _send)]


async def _send(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        return error_response(404, "NOT_FOUND", "no such file")
    file = _file(name)
    # Asked for again after each release, and sent again only if it is another one then.
    headers = {**_SAFE, "etag": file.tag, "cache-control": "no-cache", "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    if not accepts(request.headers.get("accept-encoding"), GZIP):
        return Response(gzip.decompress(file.packed), headers=headers, media_type=file.media_type)
    return Response(file.packed, headers={**headers, "content-encoding": "gzip"}, media_type=file.media_type)
