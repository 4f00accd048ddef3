"""In which format a recording is played: as it is stored, unless somebody asks for another one. No I/O."""

from collections.abc import Iterator

from adapters.http.accept import parse_accept
from adapters.http.audio_types import BY_TYPE, FORMATS, format_of
from recordings.model.errors import InvalidInput


def wanted_format(parameter: str | None, accept: str | None, content_type: str) -> str | None:
    """The format that audio stored as this type is to be converted to; `None` for none.

    The parameter decides; without it the field `Accept` does. There the stored format is taken wherever it will do,
    however much another one is liked: browsers name all formats that they can play. A field that allows nothing that
    we have is ignored, as RFC 9110 (12.5.1) lets us.

    Raises:
        InvalidInput: the parameter names no format.
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
    """What a field accepts, as (format or `*`, quality); what is none of our types is left out."""
    for media in parse_accept(field):
        name = "*" if media.name in {"*/*", "audio/*"} else BY_TYPE.get(media.name)
        if name is not None and media.quality > 0:
            yield name, media.quality
