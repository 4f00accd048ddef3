"""The `Accept` field (RFC 9110, section 12.5.1), with no I/O.

This module only parses. Each interface has its own rules for the choice among the parsed media ranges.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 4_096
"""Characters of a field."""
ANY: Final = "*/*"

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"  # noqa: S105 - a rule of HTTP's grammar
_VALUE: Final = rf'(?:{_TOKEN}|"(?:\\[^\x00-\x08\x0a-\x1f\x7f]|[^\x00-\x08\x0a-\x1f\x7f"\\])*+")'
_SEMICOLON: Final = r"[ \t]*;[ \t]*"
# The grammar of cowlib 2 (`cow_http_hd:parse_accept`), which Kazoo uses. It differs from RFC 9110: `*` is `*/*`, and a
# quality may be `.2`, `0.` or `1.`. A quality begins with `q=` in lower case. Only the extensions after it may have no
# value. A charset may be empty.
_RANGE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}|\*(?=[ \t]*(?:[;,]|\Z))")
_PARAMETER: Final = re.compile(rf"{_SEMICOLON}(?!q=)({_TOKEN}={_VALUE}|charset=)")
_QUALITY: Final = re.compile(rf"{_SEMICOLON}q=(1(?:\.0{{0,3}})?|0?\.[0-9]{{1,3}}|0\.?)")
_EXTENSION: Final = re.compile(rf"{_SEMICOLON}({_TOKEN}(?:={_VALUE})?)")
_END: Final = re.compile(r"[ \t]*(?:,[ \t,]*|\Z)")
_BLANK: Final = re.compile(r"[ \t,]*")
# An open quoted string ends with the text: each piece then matches at the first attempt, and the time is linear.
_QUOTED: Final = r'"(?:[^"\\]|\\.?)*(?:"|\Z)'
_PIECES: Final = {sep: re.compile(rf'(?:[^{sep}"]|{_QUOTED})+', re.DOTALL) for sep in ",;"}


class MalformedAcceptError(ValueError):
    """An `Accept` field that does not follow the grammar."""


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an `Accept` field, in lower case. `name` is a media type, `type/*` or `*/*`."""

    name: str
    quality: float = 1.0
    parameters: tuple[str, ...] = ()
    """Each as `name=value`, the quality included."""

    def values(self, parameter: str) -> list[str]:
        """Return the values of a parameter, without quotation marks."""
        prefix = f"{parameter}="
        return [each.removeprefix(prefix).strip('"') for each in self.parameters if each.startswith(prefix)]


def parse_accept(field: str, *, strict: bool = False, max_length: int | None = MAX_LENGTH) -> list[MediaRange]:
    """Return the media ranges of an `Accept` field, in their order.

    `*` is read as `*/*`: Java sent it until version 11. A lenient caller gets every element, also a malformed one, and
    a malformed quality counts as 0. For a lenient caller a field that is too long has no elements. A strict caller gets
    what cowlib accepts, the HTTP library of Kazoo.

    Raises:
        MalformedAcceptError: `strict`, and the field is malformed, has no element or is too long.
    """
    is_too_long = max_length is not None and len(field) > max_length
    if strict:
        if is_too_long:
            raise MalformedAcceptError(field[:MAX_LENGTH])
        return _parse_strictly(field)
    elements = [] if is_too_long else [each for part in _split(field, ",") if (each := part.strip(" \t"))]
    return [parse_media_type(each) for each in elements]


def parse_media_type(text: str) -> MediaRange:
    """Return the name, the quality and the parameters of one media type or media range."""
    name, *parameters = (part.strip().lower() for part in _split(text, ";") or [""])
    quality = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    return MediaRange(_full_name(name), _lenient_quality(quality), tuple(parameters))


def _full_name(name: str) -> str:
    return ANY if name == "*" else name


def _parse_strictly(field: str) -> list[MediaRange]:
    ranges: list[MediaRange] = []
    at = _match(_BLANK, field, 0).end()
    while at < len(field) or not ranges:
        found = _match(_RANGE, field, at)
        name, quality, at = _full_name(found[0].lower()), 1.0, found.end()
        parameters: list[str] = []
        at = _take_all(_PARAMETER, field, at, parameters)
        if weight := _QUALITY.match(field, at):
            quality = float(weight[1])
            parameters.append(f"q={weight[1]}")
            at = _take_all(_EXTENSION, field, weight.end(), parameters)
        at = _match(_END, field, at).end()
        ranges.append(MediaRange(name, quality, tuple(parameters)))
    return ranges


def _take_all(pattern: re.Pattern[str], field: str, at: int, parameters: list[str]) -> int:
    while found := pattern.match(field, at):
        parameters.append(found[1].lower())
        at = found.end()
    return at


def _match(pattern: re.Pattern[str], field: str, at: int) -> re.Match[str]:
    found = pattern.match(field, at)
    if found is None:
        raise MalformedAcceptError(field)
    return found


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that is outside of quoted strings."""
    return _PIECES[separator].findall(text) if '"' in text else text.split(separator)


def _lenient_quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    # `float` also reads NaN, which becomes 0 here.
    return min(max(0.0, quality), 1.0)
