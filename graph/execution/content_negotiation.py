"""The HTTP headers of GraphQL requests: the media type of the response, the type of the body, forged requests."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from adapters.http.accept import MediaRange, parse_accept, parse_media_type
from graph.execution.request_errors import HttpError

JSON: Final = "application/json"
RESPONSE: Final = "application/graphql-response+json"
EVENT_STREAM: Final = "text/event-stream"
MULTIPART: Final = "multipart/mixed"
_IDENTITY: Final = "identity"
_SAFE_HEADERS: Final = (
    "authorization", "x-auth-token", "x-requested-with", "apollo-require-preflight", "graphql-require-preflight",
)  # fmt: skip
"""Headers that a web page of another site can only send after a CORS preflight request."""


@lru_cache(maxsize=256)
def response_type(accept: str | None) -> str:
    """Return the media type of the response for an `Accept` header.

    Raises:
        HttpError: The client accepts none of the available types.
    """
    if not accept:
        return JSON
    ranges = parse_accept(accept, max_length=None)
    best, found = 0.0, None
    for offered in (RESPONSE, JSON):
        weight, exact = _weight(ranges, offered)
        # An exact name wins over a wildcard. Among wildcards `application/json` wins: every client knows it.
        rank = weight + (0.0005 if exact else 0.0) + (0.0001 if offered == (RESPONSE if exact else JSON) else 0.0)
        if weight > 0 and rank > best:
            best, found = rank, offered
    if found is None:
        raise HttpError(406, "NOT_ACCEPTABLE", f"no accepted media type is available: accept {RESPONSE} or {JSON}")
    return found


@lru_cache(maxsize=256)
def stream_type(accept: str | None) -> str | None:
    """Return the media type of a stream of results for an `Accept` header: `EVENT_STREAM`, `MULTIPART` or `None`.

    A wildcard does not count: most clients that send one cannot read a stream. `MULTIPART` needs the parameter
    `subscriptionSpec=1.0`, because other protocols use the same media type. Of two types with the same quality, the
    first one is chosen.
    """
    best, found = 0.0, None
    for each in parse_accept(accept or "", max_length=None):
        is_stream = each.name == EVENT_STREAM or (each.name == MULTIPART and each.values("subscriptionspec") == ["1.0"])
        if is_stream and each.quality > best:
            best, found = each.quality, each.name
    return found


def _weight(ranges: Iterable[MediaRange], offered: str) -> tuple[float, bool]:
    weights: dict[int, float] = {}
    for each in ranges:
        precision = {"*/*": 1, "application/*": 2, offered: 3}.get(each.name)
        if precision is not None and _allows_utf8(each):
            weights[precision] = max(weights.get(precision, 0.0), each.quality)
    if not weights:
        return 0.0, False
    closest = max(weights)
    return weights[closest], closest == 3  # noqa: PLR2004 - an exact name


def _allows_utf8(media: MediaRange) -> bool:
    return all(charset in {"utf-8", "utf8"} for charset in media.values("charset"))


def check_body_headers(headers: Mapping[str, str]) -> None:
    """Check that a body is JSON in UTF-8, and not compressed.

    Raises:
        HttpError: The body has another type, or a content coding.
    """
    _check_content_type(headers.get("content-type"))
    coding = headers.get("content-encoding", _IDENTITY)
    if coding.lower() != _IDENTITY:
        message = f"the body has the content coding {coding[:64]!r}: send it without one"
        raise HttpError(415, "UNSUPPORTED_MEDIA_TYPE", message, {"accept-encoding": _IDENTITY})


@lru_cache(maxsize=256)
def _check_content_type(content_type: str | None) -> None:
    # A web page of another site cannot send JSON without a CORS preflight request.
    media = parse_media_type(content_type or "")
    if media.name != JSON or not _allows_utf8(media):
        message = f"the content type must be {JSON} in UTF-8"
        raise HttpError(415, "UNSUPPORTED_MEDIA_TYPE", message, {"accept-post": JSON})


def check_forgery(headers: Mapping[str, str]) -> None:
    """Check that a web page of another site could not have sent this `GET` without a CORS preflight request.

    Raises:
        HttpError: The request has none of the headers that prove it.
    """
    if RESPONSE in headers.get("accept", "") or JSON in headers.get("content-type", ""):
        return
    if not any(name in headers for name in _SAFE_HEADERS):
        message = f"a GET request must accept {RESPONSE}, or have a header such as x-requested-with"
        raise HttpError(403, "FORGERY_POSSIBLE", message)
