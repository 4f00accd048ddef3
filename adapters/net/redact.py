"""URLs in error texts and logs: where, and never with what password, token or signature."""

from urllib.parse import urlsplit

_LONGEST = 200


def redact_url(url: str) -> str:
    """A URL without its user, query and fragment, cut at 200 characters."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a malformed URL"
    return f"{parts.scheme}://{host}{port}{parts.path}"[:_LONGEST]
