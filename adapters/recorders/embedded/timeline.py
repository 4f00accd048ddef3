"""Where in a take's audio an instant of the call belongs, with pauses cut out and masks in place.

All positions are samples of 8 kHz mu-law, so also bytes: 8 a millisecond. Positions of the stream count from its start,
offsets of the audio from the take's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

MAX_STRETCHES: Final = 64
"""How far back late audio can still be placed, in pauses and masks."""


class Kind(Enum):
    """What becomes of what is said."""

    RECORDED = auto()
    MASKED = auto()
    """Silence stands in its place."""
    PAUSED = auto()
    """It is cut out: no time passes in the audio."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From `begin` of the stream, which is `offset` of the audio, until the next stretch."""

    begin: int
    offset: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a payload (`start` to `stop`) and its offset in the audio."""

    start: int
    stop: int
    offset: int
    masked: bool


class Timeline:
    """The stretches of one take. It begins, recorded, at a position of the stream."""

    def __init__(self, base: int) -> None:
        self._stretches = [Stretch(base, 0, Kind.RECORDED)]

    @property
    def kind(self) -> Kind:
        """What becomes of what is said now."""
        return self._stretches[-1].kind

    @property
    def since(self) -> int:
        """The audio's offset at which that began."""
        return self._stretches[-1].offset

    def offset(self, position: int) -> int:
        """The audio's offset at a position of the stream that is not before the last change."""
        last = self._stretches[-1]
        return last.offset if last.kind is Kind.PAUSED else last.offset + max(0, position - last.begin)

    def straight(self, position: int) -> int | None:
        """The offset of audio that is simply recorded; `None` where `place` has to be asked.

        Nearly all audio is, and this costs a fifth of `place`.
        """
        last = self._stretches[-1]
        if last.kind is not Kind.RECORDED or position < last.begin:
            return None
        return last.offset + position - last.begin

    def change(self, position: int, kind: Kind) -> None:
        """From this position on something else becomes of what is said."""
        begin = max(position, self._stretches[-1].begin)
        self._stretches.append(Stretch(begin, self.offset(begin), kind))
        del self._stretches[:-MAX_STRETCHES]

    def place(self, position: int, length: int) -> Iterator[Piece]:
        """Where the bytes of a payload go; what lies before the take or in a pause goes nowhere."""
        end = position + length
        for stretch in reversed(self._stretches):
            begin = max(position, stretch.begin)
            if begin < end:
                if stretch.kind is not Kind.PAUSED:
                    offset = stretch.offset + begin - stretch.begin
                    yield Piece(begin - position, end - position, offset, stretch.kind is Kind.MASKED)
                end = begin
            if end <= position:
                return
