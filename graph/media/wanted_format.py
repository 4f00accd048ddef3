"""Choose the format in which a recording is played: the stored format, unless the client wants another. No I/O."""

from collections.abc import Iterator

from adapters.http.accept import parse_accept
from adapters.http.audio_types import BY_TYPE, FORMATS, format_of
from recordings.model.errors import InvalidInput


def wanted_format(parameter: str | None, accept: str | None, content_type: str) -> str | None:
    """Return the format to which stored audio must be converted; `None` if no conversion is needed.

    The query parameter takes precedence over the `Accept` header. If `Accept` allows the stored format, that format is
    used even if another one has a higher quality value, because browsers list all formats that they can play. An
    `Accept` header without any available format is ignored, as RFC 9110, section 12.5.1, permits.

    Raises:
        InvalidInput: the parameter is not the name of a format.
    """
    stored = format_of(content_type)
    if parameter is not None:
        if parameter not in FORMATS:
            raise InvalidInput.of(("format",), "enum", parameter, f"one of {', '.join(FORMATS)}")
        return None if parameter == stored else parameter
    accepted = sorted(_accepted(accept or ""), key=lambda each: -each[1])
    if not accepted or any(name in {stored, "*"} for name, _quality in accepted):
        return None
    return accepted[0][0]


def _accepted(field: str) -> Iterator[tuple[str, float]]:
    """Yield (format or `*`, quality) for each known media type of an `Accept` header."""
    for media in parse_accept(field):
        name = "*" if media.name in {"*/*", "audio/*"} else BY_TYPE.get(media.name)
        if name is not None and media.quality > 0:
            yield name, media.quality
