"""The port for recorders. A recorder receives the audio of calls.

An installation has the embedded recorder, to which senders send audio, and a recorder for each telephone switch. The
registry of recorders is a `Recorder` too: it finds the recorder of a call or of a take.

A switch writes the audio of a take to a file of its own. Its recorder hands the file over in this order:

1. Copy the file with `Spool.receive(recording_id, extension, chunks)`. The finalizer then decodes, measures, converts
   and stores it: the switch decides neither the format nor the length nor the fate of a recording.
2. Report `Ended` with the cause. If there is no file after a deadline, report `Lost` with the reason `NO_FILE` instead.
3. Delete the switch's file only after that.

If the process dies after the first step, the spool has the file: a recorder that continues takes looks there first.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.call import EMBEDDED, Call
from recordings.model.events import Armed, Begun, Event
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions
from recordings.model.query import PageRequest
from recordings.model.recording import Reason


class Capability(StrEnum):
    """A feature that a recorder may have in addition to start and stop."""

    PAUSE = "PAUSE"
    MASK = "MASK"
    ON_ANSWER = "ON_ANSWER"
    ON_BRIDGE = "ON_BRIDGE"
    FOLLOW_TRANSFER = "FOLLOW_TRANSFER"
    """A take continues after a transfer of its call."""
    CONTINUES = "CONTINUES"
    """Its takes continue while this service restarts: the switch records."""


@dataclass(frozen=True, slots=True)
class Take:
    """A take for a recorder to start.

    - `node`: the node that receives the call's audio; `None` means the recorder's own node.
    - `recorder`: the name of the call's recorder.
    - `begun`: when the take began, if another process started it. `None` for a take that is armed or new.
    """

    recording_id: str
    account_id: str
    call_id: str
    options: RecordingOptions
    node: str | None = None
    recorder: str = EMBEDDED
    begun: Millis | None = None


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

    def capabilities_of(self, recorder: str) -> frozenset[Capability]:
        """Return the features of the recorder with this name: the `recorder` of a call or of a recording.

        A recorder that does not exist here has none. The features of a switch may be unknown until it is connected.
        """

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


class LocalRecorder(Recorder, Protocol):
    """A recorder of this process."""

    def live_calls(self) -> Sequence[Call]:
        """Return the live calls of all accounts."""

    def on_calls_changed(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each start and each end of a live call. It must not block."""

    async def close(self) -> None:
        """End the events. Takes end as `SHUTDOWN`, with their audio on the disk, unless the recorder `CONTINUES`."""


class SwitchState(StrEnum):
    """The state of the connection to a switch."""

    READY = "READY"
    """Connected. All its calls and takes are known."""
    CONNECTING = "CONNECTING"
    UNREACHABLE = "UNREACHABLE"
    """It does not answer, or the connection was lost. The recorder tries again."""
    REJECTED = "REJECTED"
    """It rejects the name or the password."""
    STANDBY = "STANDBY"
    """Another server of the installation controls it."""


class SwitchRecorder(LocalRecorder, Protocol):
    """The recorder of one switch. It is never in the path of a call: the call continues if this process dies.

    It reports every call of its accounts, also those that began before it connected. After a lost connection it
    connects again, with a longer wait each time, and compares its takes with those on the switch: a take that ended
    meanwhile gets its `Ended` or `Lost`.
    """

    @property
    def name(self) -> str:
        """Its name in the settings: the `recorder` of its calls and recordings."""

    @property
    def state(self) -> SwitchState:
        """The state of its connection."""

    async def receive_file(self, recording_id: str, token: str, chunks: AsyncIterator[bytes]) -> bool:
        """Receive the file of a take that the switch sends. Return false if this recorder does not expect it.

        Raises:
            TakeRefused: the file could not be read or stored.
        """

    async def run(self, takes: Sequence[Take]) -> None:
        """Control the switch until cancelled. Continue `takes`: an earlier process or another server started them.

        After a cancellation the recorder has no calls and no takes, and reports nothing: another server controls the
        switch, or a later `run`.
        """


class TakeRefused(Exception):  # noqa: N818 - a result, not a fault
    """The recorder refused an action. `reason` is for the recording, if the action was its start."""

    def __init__(self, message: str, reason: Reason = Reason.RECORDER_FAILED) -> None:
        super().__init__(message)
        self.reason = reason


class ServerUnreachable(TakeRefused):
    """The server that has the take does not answer. The action may have been done."""
