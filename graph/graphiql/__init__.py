"""GraphiQL, the query editor at `/graphql`: its page, and the files that the page loads from this service.

`scripts/graphiql/build.mjs` builds the files.
"""

from functools import cache
from pathlib import Path
from typing import Final

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from graph.page_files import PageFiles, page_headers

_HERE: Final = Path(__file__).parent
FILES: Final = PageFiles(_HERE, "/graphiql")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src 'self' data:; "
    # The editor sets inline styles to position its elements.
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page may exchange data only with this service, because it has a token."""


@cache
def _page() -> str:
    return (_HERE / "page.html").read_text(encoding="utf-8")


def page() -> Response:
    """Return the page."""
    return HTMLResponse(_page(), headers=page_headers(POLICY))


def routes() -> list[Route]:
    """Return the routes of the files. The page has the route of the API itself."""
    return FILES.routes()
