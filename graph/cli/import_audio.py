"""Where an import reads audio: a file, the document itself, or a storage provider."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol
from unicodedata import normalize

from adapters.archive import Attachment, AttachmentError, InlineAudio
from recordings.model.recording import Reference
from recordings.ports.audio import MediaMissing, MediaStore, MediaStoreUnavailableError
from recordings.rules.media_keys import id_of

_CHUNK: Final = 1 << 20


class AudioFolder:
    """The folder of the audio files. `path` is `None` if none was given."""

    def __init__(self, path: Path | None) -> None:
        self.path = path.resolve() if path is not None else None

    def has(self, name: str) -> bool:
        """Return true if there is a file of this name."""
        return self.path is not None and _is_file_name(name) and self._found(self.path, name).is_file()

    def file(self, name: str) -> Path | None:
        """Return the file of this name; `None` if there is none.

        Raises:
            AttachmentError: the name could be a path, or is a link to a file outside the folder.
        """
        if not _is_file_name(name):
            message = f"the attachment's name must be a file name without a path, not {name!r}"
            raise AttachmentError(message)
        if self.path is None:
            return None
        path = self._found(self.path, name).resolve()
        if path.parent != self.path:
            message = f"the attachment {name!r} is outside the folder"
            raise AttachmentError(message)
        return path if path.is_file() else None

    @staticmethod
    def _found(folder: Path, name: str) -> Path:
        # Some file systems decompose accented letters in names.
        spellings = (name, normalize("NFC", name), normalize("NFD", name))
        paths = (folder / spelling for spelling in spellings)
        return next((path for path in paths if path.exists()), folder / name)


class AudioSource(Protocol):
    """Audio that an import copies. `name` is for messages."""

    @property
    def name(self) -> str:
        """What it is, in words."""

    @property
    def extension(self) -> str:
        """The extension of its file name, without the dot."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Return its bytes."""

    async def sha256(self) -> str:
        """Return the digest of its bytes."""


@dataclass(frozen=True, slots=True)
class CopiedAudio:
    """Audio in a file or in a document. Each call of `read` starts at its beginning."""

    name: str
    extension: str
    read: Callable[[], Iterator[bytes]]

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Return its bytes. Each chunk is read in a thread."""
        reading = self.read()
        while chunk := await asyncio.to_thread(next, reading, b""):
            yield chunk

    async def sha256(self) -> str:
        """Return the digest of its bytes."""
        return await _sha256(self.chunks())


@dataclass(frozen=True, slots=True)
class ProviderAudio:
    """Audio that stays at a storage provider."""

    reference: Reference

    async def is_there(self, media: MediaStore) -> bool:
        """Return true if the provider has audio of the right length now."""
        try:
            length = await media.length(self.reference.url)
        except (MediaStoreUnavailableError, ValueError, ImportError):
            return False
        return length is not None and self.reference.length in {None, length}

    async def sha256(self, media: MediaStore) -> str | None:
        """Return the digest of the audio that the provider has now; `None` if it cannot be read."""
        try:
            return await _sha256(media.read(self.reference.url))
        except (MediaMissing, MediaStoreUnavailableError, ValueError, ImportError):
            return None


def source_of(
    attachment: Attachment, folder: AudioFolder, locations: Sequence[str]
) -> CopiedAudio | ProviderAudio | None:
    """Return the source of an attachment; `None` if its audio is not there. A file in the folder comes first.

    `locations` are the beginnings of the URLs of this service's own media stores.

    Raises:
        AttachmentError: the attachment must not be read.
    """
    extension = PurePosixPath(attachment.name).suffix.removeprefix(".")
    if attachment.inline is not None:
        inline: InlineAudio = attachment.inline
        return CopiedAudio("the data in the document", extension, lambda: _not_empty(inline.chunks()))
    if attachment.url is not None and not folder.has(attachment.name):
        if id_of(attachment.url) is not None and attachment.url.startswith(tuple(locations)):
            # Otherwise a document could make the audio of another recording its own.
            message = "the URL of the attachment is inside a media store of this service"
            raise AttachmentError(message)
        return ProviderAudio(Reference(attachment.url, attachment.content_type, attachment.length))
    path = folder.file(attachment.name)
    if path is None:
        return None
    return CopiedAudio(f"the file {attachment.name!r}", extension, lambda: _read(path))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def _not_empty(chunks: Iterator[bytes]) -> Iterator[bytes]:
    # An empty chunk would look like the end.
    return (chunk for chunk in chunks if chunk)


async def _sha256(chunks: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def _is_file_name(name: str) -> bool:
    is_plain = PurePosixPath(name).name == name and "\\" not in name and name.isprintable()
    return is_plain and name not in {"", ".", ".."} and len(name.encode(errors="replace")) <= 255  # noqa: PLR2004
