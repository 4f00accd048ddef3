"""The caller of the operations on one connection, and its credentials."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from recordings.model.account import Principal

_CREDENTIALS: Final = frozenset({"authorization", "x-auth-token"})
_HTTP: Final = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs operations on a connection.

    `headers` have the credentials, to check them again. `base_url` is the address at which the client reaches this
    service, for URLs in results.
    """

    principal: Principal
    headers: Mapping[str, str]
    base_url: str
    request_id: str


def http_url(url: str) -> str:
    """Return the URL of an HTTP request to the server of a WebSocket. An HTTP URL stays as it is."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme=_HTTP.get(parts.scheme, parts.scheme)))


def has_credentials(headers: Mapping[str, str]) -> bool:
    """Return true if a request has credentials, valid or not."""
    return any(name in headers for name in _CREDENTIALS)


def credentials_in(payload: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the credentials in the payload of a WebSocket's first message, as headers.

    Clients send them in several forms: `{"Authorization": "Bearer …"}`, `{"X-Auth-Token": "…"}`, `{"token": "…"}`, or
    the first two below `headers`.
    """
    found: dict[str, str] = {}
    for name, value in (payload or {}).items():
        lower = name.lower()
        if lower == "headers" and isinstance(value, Mapping):
            found |= credentials_in(value)
        elif lower == "token" and isinstance(value, str):
            found["x-auth-token"] = value
        elif lower in _CREDENTIALS and isinstance(value, str):
            # The scheme is easily forgotten where there are no headers.
            has_scheme = lower != "authorization" or " " in value.strip()
            found[lower if has_scheme else "x-auth-token"] = value
    return found
