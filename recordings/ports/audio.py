"""The ports for audio: the media store, the spool and the audio processor."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.instants import Millis
from recordings.model.recording import Media


class MediaMissing(Exception):  # noqa: N818 - a result, not a fault
    """There is no audio at the URL. `message` is for clients."""

    message = "the audio is missing from the media store"


class MediaArchived(MediaMissing):
    """The store has moved the audio to an archive. It cannot be read until an operator restores it there."""

    message = "the audio is archived in the media store: restore it there before it can be played"


class MediaDamaged(MediaMissing):
    """The store has other bytes than the ones that were stored."""

    message = "the stored audio is damaged: its length or its SHA-256 is wrong"


class MediaStoreUnavailableError(Exception):
    """The media store is unreachable, refused a request, or closed the connection. The message contains no secret."""


class MediaAccessError(MediaStoreUnavailableError):
    """The media store rejects the credentials, or they do not permit this request. The message names the request."""


class AudioFile(Protocol):
    """An open file of a media store on this machine."""

    def fileno(self) -> int:
        """Return the file descriptor."""

    def read_now(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end` (exclusive). They must be in memory."""

    def is_verified(self, sha256: str) -> bool:
        """Return true if the file had this digest a short time ago, and was not changed since."""

    def note_verified(self, sha256: str) -> None:
        """Note that all bytes of the file were read, and have this digest."""


@dataclass(slots=True, eq=False)
class FilePart:
    """The bytes from `start` to `end` (exclusive) of an open file. They are in memory, so a read does not wait.

    The file stays open until the next part is requested. `sent` is how many bytes the client has got so far.
    """

    file: AudioFile
    start: int
    end: int
    sent: int = 0

    def __len__(self) -> int:
        """Return the number of bytes."""
        return self.end - self.start


class ObjectVersion(Protocol):
    """The version of an object that a remote store sends in one response."""

    def checksum(self, sha256: str) -> int | None:
        """Return the CRC-32 of the object if it had this SHA-256 a short time ago; `None` if that is not known."""

    def note_verified(self, sha256: str, checksum: int) -> None:
        """Note that all bytes of the object were read, and have this SHA-256 and this CRC-32."""


@dataclass(slots=True, eq=False)
class ObjectPart:
    """Bytes of a response with a whole object."""

    version: ObjectVersion
    data: bytes

    def __len__(self) -> int:
        """Return the number of bytes."""
        return len(self.data)


Chunk = bytes | FilePart | ObjectPart
"""A part of stored audio: its bytes, or the place in a file from which a server can send them without reading them."""


class MediaStore(Protocol):
    """Stores audio. Objects are immutable: a key is written again only with the same bytes."""

    async def keep(self, key: str, path: str, content_type: str) -> tuple[str, str]:
        """Store a local file under a key that is made of ids, and read it back. A failed call leaves no partial file.

        Nothing may change the file later, because a store on the same disk shares it. Return the URL, and the SHA-256
        of the bytes that the store returns.
        """

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Return the bytes from `start` to `end` (exclusive), in chunks. At most one chunk is read in advance.

        Raises:
            MediaMissing: there is no audio at the URL.
        """

    async def length(self, url: str) -> int | None:
        """Return the length in bytes; `None` if there is no audio."""

    async def delete(self, url: str) -> None:
        """Delete the audio. It is no error if there is none."""

    async def remove(self, key: str) -> None:
        """Delete what `keep` has stored under a key. It is no error if there is nothing."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object in a media store: its URL, its length in bytes, and when it was last written, if that is known."""

    url: str
    length: int
    modified: Millis | None


class ExaminedMedia(Protocol):
    """The media stores of an installation, with the methods that the doctor needs."""

    def include(self, url: str) -> object:
        """Add the store of a URL. Raise an error if no store can have the URL."""

    def locations(self) -> Sequence[str]:
        """Return the beginnings of the URLs of the known stores: the installation's own and the added ones."""

    def objects_at(self, location: str) -> AsyncIterator[StoredObject] | None:
        """Return all objects in one of these stores; `None` if it cannot list them."""

    async def owner_of(self, location: str) -> str | None:
        """Return the id of the installation that marked one of these stores; `None` if there is no mark."""

    async def lengths(self, urls: Sequence[str]) -> Sequence[int | MediaAccessError | None]:
        """Return the lengths in bytes of many URLs, in their order.

        `None` stands for an object that does not exist. If the credentials do not permit the request, the item is the
        error.
        """

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `MediaStore.read`."""

    async def delete(self, url: str) -> None:
        """As `MediaStore.delete`."""


class MovableMedia(Protocol):
    """The media stores of an installation, with the methods that moving audio needs."""

    async def copy(self, url: str, location: str, media: Media) -> str:
        """Copy audio to another media store, under the same key. Compare the bytes on both sides. Return the new URL.

        Raises:
            MediaMissing: there is no audio at the URL.
            MediaDamaged: the audio has other bytes.
            MediaStoreUnavailableError: a store failed.
        """

    async def delete(self, url: str) -> None:
        """As `MediaStore.delete`."""


class Codec(StrEnum):
    """The encoding of a spooled track."""

    CONTAINER = "container"
    """A file in any audio format. The format is detected from the bytes, never from the name."""
    MULAW = "mulaw"
    """Headerless G.711 mu-law."""
    ALAW = "alaw"
    """Headerless G.711 A-law."""
    G722 = "g722"
    """Headerless G.722 of 64 kbit/s: two samples a byte."""
    OPUS = "opus"
    """Opus packets. Before each packet come its position in samples of 48 kHz (8 bytes) and its length (2 bytes), both
    little-endian."""
    S16 = "s16"
    """Headerless signed 16-bit little-endian PCM."""


@dataclass(frozen=True, slots=True)
class Track:
    """One spooled file. The two tracks of a take become its left (caller) and right (callee) channel."""

    path: str
    codec: Codec
    sample_rate: int = 8_000


@dataclass(frozen=True, slots=True)
class SpooledAudio:
    """The audio of a recording on this node's disk."""

    tracks: tuple[Track, ...]


class SpoolDamaged(Exception):  # noqa: N818 - a result, not a fault
    """There are files of a recording in the spool, but their description is missing or damaged."""


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A complete file in the spool: its length in bytes, its SHA-256 in hexadecimal, and its MD5."""

    length: int
    sha256: str
    md5: bytes


class Spool(Protocol):
    """The part of the node's disk where audio waits for the finalizer."""

    async def receive(self, recording_id: str, name_extension: str, chunks: AsyncIterator[bytes]) -> ReceivedFile:
        """Write a file for a recording. Replace an earlier one. After an error, `audio` does not return the file."""

    async def audio(self, recording_id: str) -> SpooledAudio | None:
        """Return the audio of a recording; `None` if there is none.

        Raises:
            SpoolDamaged: there are files, but their description is missing or damaged.
        """

    async def remove(self, recording_id: str) -> None:
        """Delete the audio of a recording. It is no error if there is none."""

    async def set_aside(self, recording_id: str) -> None:
        """Move the audio of a recording to the folder for operators. It is not served from there."""

    async def forget(self, recording_id: str) -> Sequence[str]:
        """Delete the audio of a recording, also if it was set aside. Return the locations that had some."""

    async def ids(self) -> Sequence[str]:
        """Return the ids of recordings that have audio here."""

    async def ids_aside(self) -> Sequence[str]:
        """Return the ids of recordings that have audio set aside."""

    async def others(self) -> Sequence[str]:
        """Return the names of files and folders in the spool that no recording has, as far as that can be seen."""


class NotAudio(Exception):  # noqa: N818 - a result, not a fault
    """The file cannot be decoded as audio. The message says what the file contains, as far as that is known."""


class TooLong(NotAudio):
    """The audio is longer than the limit."""


@dataclass(frozen=True, slots=True)
class Target:
    """The file that the finalizer makes. `None` keeps the format or the sampling rate of the source."""

    format: str | None
    sample_rate: int | None
    max_duration_ms: Millis
    accept_video: bool = True
    """Whether a file with video is accepted. Its audio is kept and the video is dropped."""
    max_bytes: int | None = None
    """The maximum size of the file. `NotAudio` if it would become larger."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished file. The values were measured on its decoded audio."""

    path: str
    format: str
    content_type: str
    length: int
    duration_ms: Millis
    sample_rate: int
    channels: int
    sha256: str
    damage: str | None = None
    """The part of the source that is missing or damaged, in words; `None` if all of it is in the file."""
    expected_ms: Millis | None = None
    """The length that the source announced, if it differs from `duration_ms`."""


class AudioProcessor(Protocol):
    """Decodes, measures and converts audio, outside the event loop."""

    async def render(self, recording_id: str, audio: SpooledAudio, target: Target, account_id: str) -> Rendered:
        """Make the file to be stored from the spooled audio. The accounts share the processors fairly.

        Raises:
            NotAudio: it cannot be decoded within the processor's limits.
        """

    async def discard(self, recording_id: str) -> None:
        """Delete the rendered file of a recording. It is no error if there is none."""
