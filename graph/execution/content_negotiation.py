"""GraphQL over HTTP's headers: the media type to answer in, the bodies to take, the requests a page could forge."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

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
    best, found = 0.0, None
    for ours in (RESPONSE, JSON):
        weight, exactly = _weight(accept, ours)
        # What is named exactly goes before what a wildcard takes; among wildcards the type that every client knows.
        rank = weight + (0.0005 if exactly else 0.0) + (0.0001 if ours == (RESPONSE if exactly else JSON) else 0.0)
        if weight > 0 and rank > best:
            best, found = rank, ours
    if found is None:
        raise HttpProblemError(406, "NOT_ACCEPTABLE", f"answers are {RESPONSE} or {JSON}")
    return found


def _weight(accept: str, ours: str) -> tuple[float, bool]:
    weights: dict[int, float] = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        precision = {"*/*": 1, "application/*": 2, ours: 3}.get(name)
        if precision is not None and _takes_utf8(parameters):
            weights[precision] = max(weights.get(precision, 0.0), _quality(parameters))
    if not weights:
        return 0.0, False
    closest = max(weights)
    return weights[closest], closest == 3  # noqa: PLR2004 - named exactly


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _takes_utf8(parameters: list[str]) -> bool:
    charsets = [parameter[8:].strip('"') for parameter in parameters if parameter.startswith("charset=")]
    return all(charset in {"utf-8", "utf8"} for charset in charsets)


@lru_cache(maxsize=256)
def check_content_type(content_type: str | None) -> None:
    """Refuse a body that is not JSON in UTF-8. A page of another site can send no JSON without asking first.

    Raises:
        HttpProblemError: it is something else.
    """
    name, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    if name != JSON or not _takes_utf8(parameters):
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
