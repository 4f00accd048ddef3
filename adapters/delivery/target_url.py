"""The exact URL of a delivery, as existing receivers expect it (docs/v2_contract.md, section 7.1). No I/O."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, urldefrag, urlsplit, urlunsplit

from recordings.model.instants import SECOND
from recordings.model.recording import Recording

Pairs = tuple[tuple[str, str], ...]

_GREGORIAN: Final = 62_167_219_200
"""The Gregorian seconds of 1970-01-01. Existing receivers count time in Gregorian seconds."""
_SAFE: Final = "%/:?#[]@!$&'()*+,;=~"
"""Characters of the caller's URL that stay as they are."""


def file_name(recording: Recording) -> str:
    """Return `call_recording_{call_id}.{format}`. It does not contain the recording's name."""
    return f"call_recording_{recording.call_id}.{recording.format}"


def query_parameters(recording: Recording) -> Pairs:
    """Return the query parameters that describe a recording (docs/v2_contract.md, section 4.3).

    Their set and order are fixed. A missing value is an empty string.
    """
    values = (
        ("from", recording.from_),
        ("to", recording.to),
        ("caller_id_name", recording.caller_id_name),
        ("caller_id_number", recording.caller_id_number),
        ("call_id", recording.call_id),
        ("cdr_id", recording.cdr_id),
        ("interaction_id", recording.interaction_id),
        ("owner_id", recording.owner_id),
        ("account_id", recording.account_id),
        ("start", recording.start // SECOND + _GREGORIAN),
        ("duration_ms", recording.duration_ms),
        ("recording_id", recording.id),
    )
    return tuple((name, "" if value is None else str(value)) for name, value in values)


def web_address(url: str, name: str, query: Iterable[tuple[str, str]]) -> str:
    """Return the URL of the request.

    If the caller's URL has no query, the file name is the last segment of the path. If it has one, the file name is the
    value of its last parameter, if that parameter is empty; otherwise it is the value of a new parameter `recording`.
    """
    base, _, own_query = _ascii(url.rstrip("/")).partition("?")
    description = "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
    file = quote(name, safe="")
    if not own_query:
        return f"{base.rstrip('/')}/{file}?{description}"
    last_value = own_query.rpartition("&")[2].partition("=")[2]
    if last_value:
        return f"{base}?{own_query}&recording={file}&{description}"
    return f"{base}?{own_query.removesuffix('=')}={file}&{description}"


def folder_address(url: str, name: str) -> str:
    """Return the URL of a file in the folder at an `s3://` or other URL. A call id never adds a path segment."""
    return f"{urldefrag(url).url.rstrip('/')}/{name.replace('/', '_')}"


def folder_path(url: str, name: str) -> str:
    """Return the decoded path of a file in the folder at an `ftp://` or `sftp://` URL. The name is not decoded."""
    return f"{unquote(urlsplit(url).path).rstrip('/')}/{name.replace('/', '_')}"


def _ascii(url: str) -> str:
    """Return a URL in ASCII, without its fragment: other letters are encoded, the rest does not change."""
    parts = urlsplit(urldefrag(url).url)
    user, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = name.encode("idna").decode() + colon + port
    path, query = (quote(text, safe=_SAFE) for text in (parts.path, parts.query))
    return urlunsplit((parts.scheme, quote(user, safe=_SAFE) + at + host, path, query, ""))
