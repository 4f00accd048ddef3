"""The port for recorders, which carry the audio of calls."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.call import Call
from recordings.model.events import Armed, Begun, Event
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions


class Capability(StrEnum):
    """What a recorder may be able to do besides start and stop."""

    PAUSE = "PAUSE"
    MASK = "MASK"
    ON_ANSWER = "ON_ANSWER"
    ON_BRIDGE = "ON_BRIDGE"


@dataclass(frozen=True, slots=True)
class Take:
    """What a recorder is asked to record. `node` is where the call's audio comes in; `None` for where it is asked."""

    recording_id: str
    account_id: str
    call_id: str
    options: RecordingOptions
    node: str | None = None


@dataclass(frozen=True, slots=True)
class TakeEvent:
    """What a recorder says of a take, in the words of the lifecycle."""

    recording_id: str
    event: Event


class Recorder(Protocol):
    """Whatever carries the audio of calls. Every action is idempotent by the recording's id.

    A recorder enforces `time_limit` with a clock of its own. It reports a `Begun` for every take that begins and, after
    it, an `Ended` for every take, however it ends.
    """

    @property
    def name(self) -> str:
        """Its name in a recording's `recorder`."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it can do."""

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """The live call of that id in that account."""

    async def calls(self, account_id: str, limit: int = 100) -> Sequence[Call]:
        """Live calls of an account, newest first."""

    async def start(self, take: Take) -> Armed | Begun:
        """Open a take on a live call, or arm it.

        Raises:
            TakeRefused: the recorder cannot (the call just ended, no disk, the switch said no).
        """

    async def stop(self, recording_id: str) -> None:
        """Close a take: all its audio is on the disk when this returns. One that is closed already is fine."""

    async def pause(self, recording_id: str) -> Millis:
        """Cut out what follows; the offset in the audio. Raises `TakeRefused` without an open take."""

    async def resume(self, recording_id: str) -> None:
        """Go on after a pause. Raises `TakeRefused` without an open take."""

    async def mask(self, recording_id: str) -> Millis:
        """Record silence for what follows; the offset in the audio. Raises `TakeRefused` without an open take."""

    async def unmask(self, recording_id: str) -> None:
        """Record what is said again. Raises `TakeRefused` without an open take."""

    async def is_open(self, recording_id: str) -> bool:
        """Whether a take is open (or armed) here."""

    def events(self) -> AsyncIterator[TakeEvent]:
        """What happens to takes, for one consumer, until the recorder is closed."""


class TakeRefused(Exception):  # noqa: N818 - an answer
    """A recorder cannot do what it was asked."""
