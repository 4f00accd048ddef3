"""Requests that a web page of another site can send with credentials that the browser adds by itself."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from adapters.rest_v2.request.request_credential import Credential, Scheme

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN: Final = frozenset({"same-origin", "none"})
"""The values of `Sec-Fetch-Site` for a page of this site, and for a request without a page."""


def is_forgeable(method: str, headers: Mapping[str, str], credential: Credential | None) -> bool:
    """Return true if a page of another site could have sent this request without knowing its credential.

    A browser remembers Basic credentials and adds them to every request. So a form of any page could delete a recording
    with `verb=DELETE`. A page must know a token to send it, so a request with a token is not forgeable.
    """
    if method in _SAFE_METHODS or credential is None or credential.scheme is not Scheme.BASIC:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN
    origin = headers.get("origin")
    return origin is not None and _host(origin) != headers.get("host", "").lower()


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
