"""Whether an answer is JSON, audio or a table (contract sections 1.7 and 2.1), with no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from adapters.http.accept import MalformedAcceptError, parse_accept
from adapters.http.audio_types import BY_TYPE, format_of
from adapters.rest_v2.request.v2_errors import Fault, not_acceptable


class Kind(Enum):
    """What an answer is."""

    JSON = auto()
    AUDIO = auto()
    CSV = auto()


JSON_TYPES: Final = ("application/json", "application/x-json")
CSV_TYPES: Final = ("text/csv", "text/comma-separated-values", "application/octet-stream")
AUDIO_TYPES: Final = ("audio/mpeg", "audio/mp3")
RENDERED: Final = {name: format for name, format in BY_TYPE.items() if name not in AUDIO_TYPES}
"""The types that ask for a format, besides the two that mean "the audio, whatever it is"."""

Offers = Sequence[tuple[str, Kind]]
JSON: Final[Offers] = tuple((name, Kind.JSON) for name in JSON_TYPES)
TABLE: Final[Offers] = (*JSON, *((name, Kind.CSV) for name in CSV_TYPES))
PLAYED: Final[Offers] = (*JSON, *((name, Kind.AUDIO) for name in (*AUDIO_TYPES, *RENDERED)))
"""Of a recording. Which of them it is stored as is known only once it was found: see `pick`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and the media type (or range) that chose it."""

    kind: Kind
    type: str

    @property
    def format(self) -> str | None:
        """The format that was asked for; `None` for audio in whichever it is stored."""
        return RENDERED.get(self.type)

    def suits(self, content_type: str) -> bool:
        """Whether stored audio of this type is what was asked for."""
        return self.format is None or self.format == format_of(content_type)


def choose(header: str | None, parameter: str | None, offers: Offers, *, csv: bool = False) -> list[Choice]:
    """What a request accepts of the offers, what it likes best first.

    The parameter `accept` alone decides if it names something that is offered, and the header if not. Among
    header entries of equal quality the last one wins, as in the reference. `csv` admits the legacy `accept=csv`.

    Raises:
        Fault: 400 for a header that is malformed, 406 for one that accepts nothing of the offers.
    """
    if parameter == "csv" and csv:
        return [Choice(Kind.CSV, "csv")]
    return _from_parameter(parameter or "", offers) or _from_header(header, offers)


def pick(choices: Sequence[Choice], content_type: str) -> Choice:
    """What is answered about a recording whose audio is stored as this type.

    Where audio is liked best it is as it is stored wherever that will do, however much another format is liked:
    browsers name all that they can play, and none of them wants to wait for a conversion.
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
    except Fault:
        return []
    return [choice for name in names if (choice := _match(name, offers))]


def _by_quality(header: str) -> list[str]:
    try:
        ranges = parse_accept(header, strict=True)
    except MalformedAcceptError as error:
        raise Fault(400, bare=True) from error
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
