"""What the domain needs from the world, as Protocols. Adapters implement them; tests run one contract suite on each.

Every method may raise its adapter's own error for a fault of the technology (a full disk, a bug): a use case lets it
pass, and the front masks it. Errors that are answers are named here, and the one fault that a front tells apart: a
metadata store that is away.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.access import Principal
from recordings.call import Call
from recordings.directory import DirectoryStore, PlaceStore, UserStore
from recordings.events import Armed, Begun, Event
from recordings.instants import Millis
from recordings.options import RecordingOptions
from recordings.query import Page, PageRequest, Query
from recordings.recording import Recording, Row


class StoreAwayError(Exception):
    """The metadata store cannot be reached, or did not answer in time. Whether a write was done is not known.

    Raised by every method of a `MetadataStore` but `open` and `ping`, whose errors are for whoever runs the service.
    """


class Taken(Exception):  # noqa: N818 - an answer of `insert`, not a fault
    """An insert met something that is there already."""

    def __init__(self, what: "Unique") -> None:
        super().__init__(what)
        self.what = what


class Unique(StrEnum):
    """What a store keeps unique."""

    ID = "id"
    ACTIVE_CALL = "active_call"
    START_KEY = "start_key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Whom to lease due recordings to, and which.

    Those that any node can work on (`node` is `None`), those that this `node` holds, and those of any node that were
    due before `stranded` already: their node has not come back for them.
    """

    now: Millis
    until: Millis
    holder: str
    node: str
    limit: int
    stranded: Millis


class RecordingStore(Protocol):
    """Keeps recordings. What a method acknowledged survives the death of any one process or machine it promised to."""

    async def insert(self, recording: Recording) -> None:
        """Keep a new recording.

        Raises:
            Taken: its `id` is there, or another one of its account has its `active_call` or `start_key`.
        """

    async def save(self, recording: Recording, expected: int) -> bool:
        """Replace the recording if its revision is still `expected`; `False` (nothing written) if it is not."""

    async def remove(self, recording_id: str) -> None:
        """Forget a recording as if it had never been. Used for input that was refused half-way."""

    async def load(self, recording_id: str) -> Recording | None:
        """The whole recording; reads what this process wrote."""

    async def rows(self, ids: Collection[str], fields: frozenset[str] | None = None) -> Mapping[str, Row]:
        """The recordings that exist of these ids, as rows by id, in one look-up."""

    async def page(self, query: Query, request: PageRequest) -> Page:
        """One page of a query: a range scan of an index, at any depth."""

    async def count(self, query: Query) -> int:
        """How many recordings a query has."""

    async def find_started(self, account_id: str, start_key: str) -> Recording | None:
        """The recording that a `start` with this idempotency key made."""

    async def find_active(self, account_id: str, call_id: str) -> Recording | None:
        """The recording in progress that occupies this call."""

    async def find_source(self, account_id: str, source_key: str, limit: int = 16) -> Sequence[Recording]:
        """The newest recordings made of what came in under this key, newest first."""

    async def held_by(self, node: str, limit: int = 1_000) -> Sequence[Recording]:
        """Recordings in progress whose audio this node holds, oldest first."""

    async def claim_due(self, claim: "Claim") -> Sequence[Recording]:
        """Lease recordings whose `due_at` has come, oldest first, each to one claimer only.

        A claimed recording has its lease set, its `due_at` moved to the lease's end and its revision counted up, in one
        atomic update, so that it comes back by itself if the claimer dies.
        """

    async def release_leases(self, holder: str, now: Millis) -> int:
        """Make due at once whatever is leased to a holder that is known to have died; how many there were."""

    async def scan(self, after: str, limit: int, fields: frozenset[str] | None = None) -> Sequence[Row]:
        """Rows of all accounts and shelves with an id above `after`, in the order of their ids."""


class MetadataStore(RecordingStore, DirectoryStore, PlaceStore, UserStore, Protocol):
    """The one place for everything that is not audio."""

    async def open(self) -> None:
        """Connect, and create or migrate indexes and schema. Safe to call from many processes at once."""

    async def close(self) -> None:
        """Let go of everything; acknowledged writes are kept."""

    async def ping(self) -> None:
        """Raise unless the store can serve now."""


class MediaMissing(Exception):  # noqa: N818 - an answer
    """There is no audio at that URL."""


class MediaAwayError(Exception):
    """The media store cannot be reached, refuses, or broke off. The message is for an operator; no secret is in it."""


class MediaStore(Protocol):
    """Keeps audio. Objects are immutable: a key is written once, or again with the same bytes."""

    async def put(self, key: str, path: str, content_type: str) -> str:
        """Keep a local file under a key made of ids; the URL to find it by. All of it is there, or nothing."""

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to (not with) `end`, in chunks, one chunk ahead at most.

        Raises:
            MediaMissing: there is nothing at the URL.
        """

    async def length(self, url: str) -> int | None:
        """Length in bytes; `None` if there is nothing."""

    async def delete(self, url: str) -> None:
        """Delete; what is gone already is fine."""


class Codec(StrEnum):
    """How a spooled track is written."""

    CONTAINER = "container"
    """A file of its own format, to be detected (never trusted to be what its name says)."""
    MULAW = "mulaw"
    """Headerless G.711 mu-law."""
    S16 = "s16"
    """Headerless signed 16-bit little-endian PCM."""


@dataclass(frozen=True, slots=True)
class Track:
    """One spooled file. Two tracks of a take are its left and right channel (caller, callee)."""

    path: str
    codec: Codec
    sample_rate: int = 8_000


@dataclass(frozen=True, slots=True)
class SpooledAudio:
    """What came of a recording so far, on this node's disk."""

    tracks: tuple[Track, ...]


class Spool(Protocol):
    """The node's own disk, where audio waits for the finalizer."""

    async def audio(self, recording_id: str) -> SpooledAudio | None:
        """What is there of a recording; `None` if nothing."""

    async def remove(self, recording_id: str) -> None:
        """Delete what is there; nothing there is fine."""

    async def set_aside(self, recording_id: str) -> None:
        """Move what is there to where nobody serves it and an operator finds it."""

    async def forget(self, recording_id: str) -> None:
        """Delete what is there, and what was set aside of it too; nothing there is fine."""

    async def ids(self) -> Sequence[str]:
        """The recordings of which something is there."""

    async def ids_aside(self) -> Sequence[str]:
        """The recordings of which something was set aside."""


class NotAudio(Exception):  # noqa: N818 - an answer
    """The file cannot be decoded as audio."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the finalizer shall make. `None` keeps what the source has."""

    format: str | None
    sample_rate: int | None
    max_duration_ms: Millis


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished file, measured on what was decoded of it."""

    path: str
    format: str
    content_type: str
    length: int
    duration_ms: Millis
    sample_rate: int
    channels: int
    sha256: str


class Workshop(Protocol):
    """Decodes, measures and converts audio, away from the event loop."""

    async def render(self, recording_id: str, audio: SpooledAudio, target: Target) -> Rendered:
        """Make the file to be stored out of what was spooled.

        Raises:
            NotAudio: it cannot be decoded, or not within the workshop's limits.
        """

    async def discard(self, recording_id: str) -> None:
        """Delete what was rendered of a recording; nothing there is fine."""


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


class Sent(StrEnum):
    """How one attempt to deliver ended."""

    DELIVERED = "DELIVERED"
    AGAIN = "AGAIN"
    """It may work later."""
    NEVER = "NEVER"
    """It will not work, however often it is tried."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of one attempt. `after` is how long the receiver asked to wait; `error` never holds a secret."""

    sent: Sent
    error: str = ""
    after: Millis | None = None


class Courier(Protocol):
    """Sends stored recordings to the `url` that their caller named (contract section 7.1)."""

    async def deliver(self, recording: Recording) -> Receipt:
        """One attempt, with the delivery's id in its header; whatever goes wrong is in the receipt."""


class Clock(Protocol):
    """The time of day."""

    def now(self) -> Millis:
        """Now."""


class Audit(Protocol):
    """Where it is written down who did what."""

    def record(self, principal: Principal, action: str, recording_id: str | None, **details: str | int | None) -> None:
        """One action that was granted and done. Never holds a secret or a signed URL."""


class Notify(Protocol):
    """Tells the background work that something is due now."""

    def __call__(self) -> None:
        """Wake it; cheap, and fine to call too often."""


def choose_fields(fields: Iterable[str] | None, *always: str) -> frozenset[str] | None:
    """The fields to read: those asked for and those that a use case needs itself."""
    return None if fields is None else frozenset(fields) | frozenset(always)
