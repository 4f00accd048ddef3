"""Convert stored recordings to another format, or to a waveform. Errors become `Refused` errors for clients."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from adapters.audio import AudioWorkersBusyError, Rendition, Renditions, RenditionTooLargeError, SourceDamagedError
from adapters.media import FolderMedia
from graph.server.log_setup import logger
from recordings.model.errors import Busy, InvalidInput, MediaUnavailable
from recordings.model.recording import Media, Recording
from recordings.ports.audio import MediaMissing, NotAudio

MAX_PIXELS: Final = 10_000
_PREFIX: Final = "rendition:"
_log: Final = logger("media")


class Converter:
    """Makes renditions for all interfaces. The caller has already checked who may hear the recording."""

    def __init__(self, renditions: Renditions) -> None:
        self._renditions = renditions

    async def convert(self, recording: Recording, format: str) -> "Converted | None":
        """Return a recording in another format; `None` if it is stored in this format.

        Raises:
            MediaMissing: the audio is not at its URL.
            MediaUnavailable: the audio cannot be converted.
            Busy: too many conversions are running.
        """
        if recording.media is None:
            return None
        with _as_refused(recording.id):
            rendition = await self._renditions.convert(recording.media, format, recording.account_id)
        return None if rendition is None else Converted(recording, recording.media, rendition)

    async def waveform(self, recording_id: str, media: Media, pixels: int, account_id: str) -> Mapping[str, Any]:
        """Return the waveform of a recording in the format of web players, for a client of the given account.

        Raises:
            InvalidInput: the number of pixels is out of range.
            MediaUnavailable: the audio cannot be decoded, or is not at its URL.
            Busy: too many conversions are running.
        """
        if not 1 <= pixels <= MAX_PIXELS:
            raise InvalidInput.of(("pixels",), "maximum", pixels, f"an integer from 1 to {MAX_PIXELS}")
        with _as_refused(recording_id):
            try:
                return await self._renditions.peaks(media, pixels, account_id)
            except MediaMissing as missing:
                raise MediaUnavailable(missing.message, recording_id=recording_id) from missing


class Converted:
    """A recording with the audio of one of its renditions. It can be played like any recording."""

    def __init__(self, recording: Recording, media: Media, rendition: Rendition) -> None:
        self._folder = FolderMedia(rendition.path.parent, _PREFIX)
        rendered = replace(
            media,
            url=_PREFIX + rendition.path.name,
            content_type=rendition.content_type,
            length=rendition.length,
            sha256=rendition.sha256,
        )
        # The name's extension changes, too.
        name = recording.name.removesuffix(f".{recording.format}")
        self.recording = replace(recording, media=rendered, format=rendition.format, name=name)

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `MediaStore.read`."""
        return self._folder.read(url, start, end)


@contextmanager
def _as_refused(recording_id: str) -> Iterator[None]:
    try:
        yield
    except AudioWorkersBusyError as busy:
        raise Busy("too many recordings are being converted: try again later", recording_id=recording_id) from busy
    except (NotAudio, RenditionTooLargeError, SourceDamagedError) as error:
        _log.warning("conversion failed", recording_id=recording_id, error=str(error))
        raise MediaUnavailable("the audio cannot be converted", recording_id=recording_id) from error
