"""The choice between JSON, audio and CSV (`docs/v2_contract.md`, sections 1.7 and 2.1), with no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from adapters.http.accept import MalformedAcceptError, parse_accept
from adapters.http.audio_types import BY_TYPE, format_of
from adapters.rest_v2.request.v2_errors import V2Error, not_acceptable


class Kind(Enum):
    """The kind of a response."""

    JSON = auto()
    AUDIO = auto()
    CSV = auto()


JSON_TYPES: Final = ("application/json", "application/x-json")
CSV_TYPES: Final = ("text/csv", "text/comma-separated-values", "application/octet-stream")
AUDIO_TYPES: Final = ("audio/mpeg", "audio/mp3")
CONVERTED_TYPES: Final = {name: format for name, format in BY_TYPE.items() if name not in AUDIO_TYPES}
"""The types that request a format. The other two, `AUDIO_TYPES`, mean the audio in its stored format."""
_STORED: Final = ("mp3", "wav")
"""The stored formats of Kazoo. Audio in another one is converted to the first, unless the request names its format."""

Offers = Sequence[tuple[str, Kind]]
JSON: Final[Offers] = tuple((name, Kind.JSON) for name in JSON_TYPES)
TABLE: Final[Offers] = (*JSON, *((name, Kind.CSV) for name in CSV_TYPES))
PLAYED: Final[Offers] = (*JSON, *((name, Kind.AUDIO) for name in (*AUDIO_TYPES, *CONVERTED_TYPES)))
"""The types of a recording. Its stored type is known only after the look-up: see `pick`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An accepted kind, and the media type or range that selected it."""

    kind: Kind
    type: str

    @property
    def format(self) -> str:
        """The requested format. It is MP3 if the request names none and the stored audio does not suit."""
        return CONVERTED_TYPES.get(self.type, _STORED[0])

    def suits(self, content_type: str) -> bool:
        """Return true if stored audio of this type has the requested format."""
        stored = format_of(content_type)
        return stored in _STORED if self.type not in CONVERTED_TYPES else self.format == stored


def choose(header: str | None, parameter: str | None, offers: Offers, *, csv: bool = False) -> list[Choice]:
    """Return the offers that a request accepts, the preferred one first.

    If the parameter `accept` names an offered type, the header is ignored. Of header entries with equal quality the
    last one wins, as in Kazoo. With `csv`, the old value `accept=csv` is allowed.

    Raises:
        V2Error: 400 for a malformed header, 406 if it accepts no offer.
    """
    if parameter == "csv" and csv:
        return [Choice(Kind.CSV, "csv")]
    return _from_parameter(parameter or "", offers) or _from_header(header, offers)


def pick(choices: Sequence[Choice], content_type: str) -> Choice:
    """Return the choice for a recording that is stored with this type.

    If audio is preferred, the stored format wins over every other accepted format, with any quality: browsers
    name all types that they can play, and a conversion takes time.
    """
    best = choices[0]
    if best.kind is not Kind.AUDIO:
        return best
    return next((each for each in choices if each.kind is Kind.AUDIO and each.suits(content_type)), best)


def _from_header(header: str | None, offers: Offers) -> list[Choice]:
    if header is None or not header.strip():
        return [Choice(Kind.JSON, "*/*")]
    accepted = [choice for name in _by_quality(header) if (choice := _match(name, offers))]
    if not accepted:
        raise not_acceptable()
    return accepted


def _from_parameter(parameter: str, offers: Offers) -> list[Choice]:
    try:
        names = _by_quality(parameter)
    except V2Error:
        return []
    return [choice for name in names if (choice := _match(name, offers))]


def _by_quality(header: str) -> list[str]:
    try:
        ranges = parse_accept(header, strict=True)
    except MalformedAcceptError as error:
        raise V2Error(400, bare=True) from error
    # The sort is stable: of two ranges with the same quality the later one comes first.
    ranges.reverse()
    ranges.sort(key=lambda each: -each.quality)
    return [each.name for each in ranges if each.quality > 0]


def _match(name: str, offers: Offers) -> Choice | None:
    if name == "*/*":
        return Choice(Kind.JSON, name)
    wanted = name.removesuffix("*")
    for offered, kind in offers:
        if offered == name or (wanted.endswith("/") and offered.startswith(wanted)):
            return Choice(kind, name)
    return None
