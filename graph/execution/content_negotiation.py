"""GraphQL over HTTP's headers: the media type to answer in, the bodies to take, the requests a page could forge."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from adapters.http.accept import MediaRange, parse_accept, parse_media_type
from graph.execution.http_error import HttpProblemError

JSON: Final = "application/json"
RESPONSE: Final = "application/graphql-response+json"
_SAFE_HEADERS: Final = (
    "authorization", "x-auth-token", "x-requested-with", "apollo-require-preflight", "graphql-require-preflight",
)  # fmt: skip


@lru_cache(maxsize=256)
def answer_type(accept: str | None) -> str:
    """The media type to answer in, by the `Accept` header.

    Raises:
        HttpProblemError: none that we have is accepted.
    """
    if not accept:
        return JSON
    ranges = parse_accept(accept, max_length=None)
    best, found = 0.0, None
    for ours in (RESPONSE, JSON):
        weight, exactly = _weight(ranges, ours)
        # What is named exactly goes before what a wildcard takes; among wildcards the type that every client knows.
        rank = weight + (0.0005 if exactly else 0.0) + (0.0001 if ours == (RESPONSE if exactly else JSON) else 0.0)
        if weight > 0 and rank > best:
            best, found = rank, ours
    if found is None:
        raise HttpProblemError(406, "NOT_ACCEPTABLE", f"answers are {RESPONSE} or {JSON}")
    return found


def _weight(ranges: Iterable[MediaRange], ours: str) -> tuple[float, bool]:
    weights: dict[int, float] = {}
    for each in ranges:
        precision = {"*/*": 1, "application/*": 2, ours: 3}.get(each.name)
        if precision is not None and _takes_utf8(each):
            weights[precision] = max(weights.get(precision, 0.0), each.quality)
    if not weights:
        return 0.0, False
    closest = max(weights)
    return weights[closest], closest == 3  # noqa: PLR2004 - named exactly


def _takes_utf8(media: MediaRange) -> bool:
    return all(charset in {"utf-8", "utf8"} for charset in media.values("charset"))


@lru_cache(maxsize=256)
def check_content_type(content_type: str | None) -> None:
    """Refuse a body that is not JSON in UTF-8. A page of another site can send no JSON without asking first.

    Raises:
        HttpProblemError: it is something else.
    """
    media = parse_media_type(content_type or "")
    if media.name != JSON or not _takes_utf8(media):
        raise HttpProblemError(
            415, "UNSUPPORTED_MEDIA_TYPE", f"the body must be {JSON} in UTF-8", {"accept-post": JSON}
        )


def check_forgery(headers: Mapping[str, str]) -> None:
    """Refuse a `GET` that a page of another site could send without asking first.

    Raises:
        HttpProblemError: it bears nothing that only a client that means it can send.
    """
    if RESPONSE in headers.get("accept", "") or JSON in headers.get("content-type", ""):
        return
    if not any(name in headers for name in _SAFE_HEADERS):
        message = f"a GET needs {RESPONSE} among what it accepts, or a header such as x-requested-with"
        raise HttpProblemError(403, "FORGERY_POSSIBLE", message)
