"""The console at `/console`, where users find and play recordings: its page, and the files that the page loads.

`scripts/console/build.mjs` builds the files.
"""

from functools import cache
from pathlib import Path
from secrets import token_urlsafe
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from graph.page_files import PageFiles, page_headers

PATH: Final = "/console"
FILES: Final = PageFiles(Path(__file__).parent, PATH)
_NONCE: Final = "NONCE"


def policy(nonce: str, media: str) -> str:
    """Return the page's content security policy. `media` has the sources of audio."""
    return (
        "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        # The waveform has a style element of its own, with the nonce.
        f"style-src 'self' 'nonce-{nonce}'; media-src {media}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def routes(*, public_url: str | None, presigns: bool) -> list[Route]:
    """Return the routes of the page and its files.

    The page may exchange data only with this service, because it has a token. Only audio may come from elsewhere: from
    `public_url`, and if the service `presigns` URLs, from its media store.
    """
    media = "https: http:" if presigns else " ".join(["'self'", *_origin(public_url)])

    async def page(_request: Request) -> Response:
        nonce = token_urlsafe(16)
        return HTMLResponse(_page().replace(_NONCE, nonce), headers=page_headers(policy(nonce, media)))

    return [Route(PATH, page), *FILES.routes()]


@cache
def _page() -> str:
    return (Path(__file__).parent / "page.html").read_text(encoding="utf-8")


def _origin(url: str | None) -> list[str]:
    parts = urlsplit(url or "")
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []
