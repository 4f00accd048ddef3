"""The state of one take on an Asterisk: its snoop channels and recordings, and what the events prove. No I/O.

A side of a call has a snoop channel and a recording. Both sides together are a part. A transfer adds a part on another
channel. Events may be late, repeated or lost: each of them only adds knowledge.

    snoop requested → StasisStart → record requested → RecordingStarted → RecordingFinished → snoop hung up
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.recorders.asterisk.ari_messages import AriEvent, EventType
from adapters.recorders.asterisk.ari_requests import LEFT, MIXED, RIGHT, side_name
from recordings.model.instants import Millis

MAX_PARTS: Final = 9
"""Maximum number of parts of a take. After so many transfers it ends with its leg."""
WIDEBAND: Final = "wav16"
NARROWBAND: Final = "wav"
_ENDS: Final = frozenset({EventType.RECORDING_FINISHED, EventType.RECORDING_FAILED})


@dataclass(slots=True)
class Side:
    """The snoop channel and the recording of one side. Both have the same name."""

    name: str
    track: str
    spy: str
    entered: bool = False
    """`StasisStart` came: the snoop channel exists, in our application."""
    started: bool = False
    ended: bool = False
    gone: bool = False
    """The snoop channel does not exist any more."""
    error: str = ""


@dataclass(slots=True)
class Part:
    """The sides of one channel, from the start of the take or a transfer on."""

    number: int
    channel: str
    sides: tuple[Side, ...]

    @property
    def has_begun(self) -> bool:
        """Whether it is proved that all sides are recorded."""
        return all(side.entered and side.started for side in self.sides)

    @property
    def has_ended(self) -> bool:
        """Whether a side has ended: its audio is not recorded any more."""
        return any(side.entered and (side.ended or side.gone) for side in self.sides)

    @property
    def error(self) -> str:
        """Why Asterisk does not record it; empty if no side failed."""
        return next((side.error for side in self.sides if side.error), "")


@dataclass(slots=True)
class SnoopTake:
    """Everything that one take has on a switch.

    - `paused_at`, `masked_at`: when the current pause or mask began.
    - `left_out`: the length of the pauses that have ended.
    - `moves_to`: the channel of a transfer that is in progress.
    """

    recording_id: str
    format: str = ""
    parts: list[Part] = field(default_factory=list)
    paused_at: Millis | None = None
    masked_at: Millis | None = None
    left_out: Millis = 0
    moves_to: str | None = None

    @property
    def current(self) -> Part | None:
        """The part that is recorded now."""
        return self.parts[-1] if self.parts else None

    @property
    def has_ended(self) -> bool:
        """Whether nothing is recorded any more, and no transfer continues the take."""
        return self.moves_to is None and self.current is not None and self.current.has_ended

    def sides(self) -> Iterator[Side]:
        """Return the sides of all parts."""
        return (side for part in self.parts for side in part.sides)

    def add_part(self, channel: str, spies: Mapping[str, str]) -> Part:
        """Add a part on a channel. `spies` has the direction to listen to for each track."""
        number = len(self.parts) + 1
        sides = (Side(side_name(self.recording_id, number, track), track, spy) for track, spy in spies.items())
        part = Part(number, channel, tuple(sides))
        self.parts.append(part)
        return part

    def receive(self, event: AriEvent) -> None:
        """Note what an event proves. It may belong to another take."""
        name = event.recording.name if event.recording is not None else event.channel.id if event.channel else ""
        for side in self.sides():
            if side.name == name:
                _note(side, event)


def _note(side: Side, event: AriEvent) -> None:
    if event.type is EventType.STASIS_START:
        if side.gone:
            # The earlier events are about the snoop channel of an earlier attempt, with the same id.
            side.started = side.ended = side.gone = False
        side.entered = True
    elif event.type is EventType.RECORDING_STARTED:
        side.started = True
    elif event.type in _ENDS:
        side.ended = True
        if event.type is EventType.RECORDING_FAILED:
            side.error = side.error or (event.recording and event.recording.cause) or "the recording failed"
    elif event.type in {EventType.STASIS_END, EventType.DESTROYED}:
        side.gone = True


def spies_of(*, caller_is_in: bool, mixed: bool) -> Mapping[str, str]:
    """Return the direction to listen to for each track. The caller is on the left.

    `in` is the audio that Asterisk receives from the party of the channel.
    """
    if mixed:
        return {MIXED: "both"}
    return {LEFT: "in", RIGHT: "out"} if caller_is_in else {LEFT: "out", RIGHT: "in"}


def file_format(audio_format: str) -> str:
    """Return the format of the file for the format of a snoop channel: 16 kHz for wideband audio, else 8 kHz.

    `slin` has 8 kHz, `slin12` 12 kHz, `slin16` 16 kHz, `slin48` 48 kHz.
    """
    rate = audio_format.removeprefix("slin")
    return WIDEBAND if rate.isdigit() and int(rate) > 8 else NARROWBAND  # noqa: PLR2004 - kHz
