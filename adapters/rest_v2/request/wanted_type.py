"""Whether an answer is JSON, audio or a table (contract sections 1.7 and 2.1), with no I/O."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from adapters.http.audio_types import BY_TYPE, format_of
from adapters.rest_v2.request.v2_errors import Fault, not_acceptable

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - of HTTP's grammar
_VALUE: Final = rf'(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_PARAMETERS: Final = rf"(?:[ \t]*;[ \t]*{_TOKEN}(?:={_VALUE})?)*"
_RANGE: Final = re.compile(rf"[ \t,]*({_TOKEN})/({_TOKEN})({_PARAMETERS})[ \t]*(?:,[ \t,]*|$)")
_QUALITY: Final = re.compile(r";[ \t]*q=([^; \t]*)", re.IGNORECASE)
_QVALUE: Final = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_LONGEST: Final = 4_096


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
    ranges = list(enumerate(_parse(header)))
    ranges.sort(key=lambda item: (item[1][1], item[0]), reverse=True)
    return [name for _, (name, quality) in ranges if quality > 0]


def _parse(header: str) -> Iterator[tuple[str, float]]:
    at, end = 0, len(header)
    while at < end:
        found = _RANGE.match(header, at) if end <= _LONGEST else None
        if found is None:
            raise Fault(400, bare=True)
        yield f"{found[1]}/{found[2]}".lower(), _quality(found[3])
        at = found.end()


def _quality(parameters: str) -> float:
    found = _QUALITY.search(parameters)
    if found is None:
        return 1.0
    if not _QVALUE.fullmatch(found[1]):
        raise Fault(400, bare=True)
    return float(found[1])


def _match(name: str, offers: Offers) -> Choice | None:
    if name == "*/*":
        return Choice(Kind.JSON, name)
    wanted = name.removesuffix("*")
    for offered, kind in offers:
        if offered == name or (wanted.endswith("/") and offered.startswith(wanted)):
            return Choice(kind, name)
    return None
