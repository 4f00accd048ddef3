"""The `Accept` field (RFC 9110, section 12.5.1), with no I/O.

This module only parses. Each interface has its own rules for the choice among the parsed media ranges.
"""

import re
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 4_096
"""Characters of a field."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a rule of HTTP's grammar
_VALUE: Final = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_MEDIA_RANGE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}(?:={_VALUE})?)*")
_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
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

    A lenient caller gets every element, also a malformed one, and a malformed quality counts as 0. For a lenient
    caller a field that is too long has no elements.

    Raises:
        MalformedAcceptError: `strict`, and the field is malformed, has no element or is too long.
    """
    is_too_long = max_length is not None and len(field) > max_length
    elements = [] if is_too_long else [each for part in _split(field, ",") if (each := part.strip(" \t"))]
    if strict and not (elements and all(map(_MEDIA_RANGE.fullmatch, elements))):
        raise MalformedAcceptError(field[:MAX_LENGTH])
    return [parse_media_type(each, strict=strict) for each in elements]


def parse_media_type(text: str, *, strict: bool = False) -> MediaRange:
    """Return the name, the quality and the parameters of one media type or media range."""
    name, *parameters = (part.strip().lower() for part in _split(text, ";") or [""])
    return MediaRange(name, _quality(parameters, strict=strict), tuple(parameters))


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that is outside of quoted strings."""
    return _PIECES[separator].findall(text) if '"' in text else text.split(separator)


def _quality(parameters: list[str], *, strict: bool) -> float:
    text = next((each.removeprefix("q=") for each in parameters if each.startswith("q=")), "1")
    if strict and not _QUALITY.fullmatch(text):
        raise MalformedAcceptError(text)
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    # Not a number is no quality either.
    return min(max(0.0, quality), 1.0)
