"""The ports for audio: the media store, the spool and the audio processor."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.instants import Millis


class MediaMissing(Exception):  # noqa: N818 - an answer
    """There is no audio at that URL."""


class MediaStoreUnavailableError(Exception):
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


class AudioProcessor(Protocol):
    """Decodes, measures and converts audio, away from the event loop."""

    async def render(self, recording_id: str, audio: SpooledAudio, target: Target) -> Rendered:
        """Make the file to be stored out of what was spooled.

        Raises:
            NotAudio: it cannot be decoded, or not within the processor's limits.
        """

    async def discard(self, recording_id: str) -> None:
        """Delete what was rendered of a recording; nothing there is fine."""
