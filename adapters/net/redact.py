"""URLs in error messages and logs, without passwords, tokens and signatures."""

from urllib.parse import urlsplit

_MAX_LENGTH = 200


def redact_url(url: str) -> str:
    """Return a URL without its user, query and fragment, cut at 200 characters."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "a malformed URL"
    return f"{parts.scheme}://{host}{port}{parts.path}"[:_MAX_LENGTH]
