"""The port for recorders. A recorder receives the audio of calls."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.call import Call
from recordings.model.events import Armed, Begun, Event
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions
from recordings.model.query import PageRequest


class Capability(StrEnum):
    """A feature that a recorder may have in addition to start and stop."""

    PAUSE = "PAUSE"
    MASK = "MASK"
    ON_ANSWER = "ON_ANSWER"
    ON_BRIDGE = "ON_BRIDGE"


@dataclass(frozen=True, slots=True)
class Take:
    """A take for a recorder to start. `node` receives the call's audio; `None` means the recorder's own node."""

    recording_id: str
    account_id: str
    call_id: str
    options: RecordingOptions
    node: str | None = None


@dataclass(frozen=True, slots=True)
class TakeEvent:
    """An event of a take that a recorder reports."""

    recording_id: str
    event: Event


class CallChange(StrEnum):
    """A change of a live call that a recorder reports."""

    ARRIVED = "ARRIVED"
    ANSWERED = "ANSWERED"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class CallEvent:
    """A change of a live call. `call` is one leg: a transfer ends one call and begins another."""

    call: Call
    change: CallChange


class Recorder(Protocol):
    """Records the audio of calls. Every action is idempotent by the recording's id.

    A recorder enforces `time_limit` with its own clock. It reports a `Begun` for each take that begins. After that it
    reports an `Ended`, for every kind of end.
    """

    @property
    def name(self) -> str:
        """Its name, for a recording's `recorder`."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The features that it has."""

    async def find_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id in the account."""

    async def calls(self, account_id: str, request: PageRequest, owner_id: str | None = None) -> Sequence[Call]:
        """Return a page of the live calls of an account, or of one owner, newest first: see `position_of_call`."""

    async def count_calls(self, account_id: str, owner_id: str | None = None) -> int:
        """Return the number of live calls of an account, or of one owner."""

    async def check_server(self, node: str | None) -> None:
        """Check the server that has a call, before anything is written. `None` means the recorder's own server.

        Raises:
            TakeRefused: the clocks of the servers differ too much.
        """

    async def yield_call(self, account_id: str, call_id: str) -> bool:
        """End a call of this server that came back on another server. Return false if it still sends audio here."""

    async def is_gone(self, node: str) -> bool:
        """Return true if another server's lease is over and the server does not answer."""

    async def start(self, take: Take) -> Armed | Begun:
        """Open a take on a live call, or arm it.

        Raises:
            TakeRefused: the recorder cannot: the call just ended, the disk is full, or the switch refused.
        """

    async def stop(self, recording_id: str) -> None:
        """Close a take. When this returns, all its audio is on the disk. It is no error if the take is closed."""

    async def pause(self, recording_id: str) -> Millis:
        """Stop adding audio. Return the offset in the audio. Raise `TakeRefused` without an open take."""

    async def resume(self, recording_id: str) -> Millis | None:
        """Continue after a pause. Return its length, if it is known. Raise `TakeRefused` without an open take."""

    async def mask(self, recording_id: str) -> Millis:
        """Record silence from now on. Return the offset in the audio. Raise `TakeRefused` without an open take."""

    async def unmask(self, recording_id: str) -> Millis | None:
        """Record the call's audio again. Return the length of the mask, if it is known. Raise as `resume`."""

    async def is_open(self, recording_id: str) -> bool:
        """Return true if a take is open or armed here."""

    def events(self) -> AsyncIterator[TakeEvent | CallEvent]:
        """Return the events of all takes and calls until the recorder is closed. There is only one consumer."""


class TakeRefused(Exception):  # noqa: N818 - a result, not a fault
    """The recorder refused an action."""


class ServerUnreachable(TakeRefused):
    """The server that has the take does not answer. The action may have been done."""
