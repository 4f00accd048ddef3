"""The URL to which a recording is sent, as v2 receivers expect it (`docs/v2_contract.md`, section 7.1), with no I/O."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, unquote, urldefrag, urlsplit, urlunsplit

from recordings.model.instants import SECOND
from recordings.model.recording import Recording

Pairs = tuple[tuple[str, str], ...]

_GREGORIAN: Final = 62_167_219_200
"""The Gregorian seconds of 1970-01-01, in which legacy receivers count time."""
_KEPT: Final = "%/:?#[]@!$&'()*+,;=~"
"""What stands in a caller's own URL for itself."""


def file_name(recording: Recording) -> str:
    """`call_recording_{call_id}.{format}`: of its own making, and with a single dot."""
    return f"call_recording_{recording.call_id}.{recording.format}"


def query_of(recording: Recording) -> Pairs:
    """What is told of a recording in the query: the set and the order of 4.3. A missing value is an empty one."""
    known = (
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
    return tuple((name, "" if value is None else str(value)) for name, value in known)


def web_address(url: str, name: str, query: Iterable[tuple[str, str]]) -> str:
    """The URL to send to.

    Without a query in the caller's URL the file's name is one more part of the path. With one, it is the value of the
    last parameter if that has none, and else a parameter `recording`.
    """
    base, _, given = _ascii(url.rstrip("/")).partition("?")
    told = "&".join(f"{key}={quote(value, safe='')}" for key, value in query)
    file = quote(name, safe="")
    if not given:
        return f"{base.rstrip('/')}/{file}?{told}"
    last = given.rpartition("&")[2]
    value = last.partition("=")[2]
    if value:
        return f"{base}?{given}&recording={file}&{told}"
    return f"{base}?{given.removesuffix('=')}={file}&{told}"


def folder_address(url: str, name: str) -> str:
    """The place in a folder at an `s3://` or other URL. A call's id is no path, whatever is in it."""
    return f"{urldefrag(url).url.rstrip('/')}/{name.replace('/', '_')}"


def folder_path(url: str, name: str) -> str:
    """The path, decoded, of a file in a folder at an `ftp://` or `sftp://` URL. A name is none, and is not decoded."""
    return f"{unquote(urlsplit(url).path).rstrip('/')}/{name.replace('/', '_')}"


def _ascii(url: str) -> str:
    """A URL as it can be asked for: other letters encoded, without its fragment, the rest as it was."""
    parts = urlsplit(urldefrag(url).url)
    user, at, host = parts.netloc.rpartition("@")
    if not host.isascii():
        name, colon, port = host.partition(":")
        host = name.encode("idna").decode() + colon + port
    path, query = (quote(text, safe=_KEPT) for text in (parts.path, parts.query))
    return urlunsplit((parts.scheme, quote(user, safe=_KEPT) + at + host, path, query, ""))
