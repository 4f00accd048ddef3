"""Stored recordings as something else: in another format, or drawn. What can go wrong is said as a refusal."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from adapters.audio import AudioWorkersBusyError, Rendition, Renditions, SourceDamagedError
from adapters.media import FolderMedia
from graph.server.log_setup import logger
from recordings.model.errors import Busy, InvalidInput, MediaUnavailable
from recordings.model.recording import Media, Recording
from recordings.ports.audio import MediaMissing, NotAudio

MOST_PIXELS: Final = 10_000
_PREFIX: Final = "rendition:"
_log: Final = logger("media")


class Rendering:
    """What fronts ask for renditions. Who may hear a recording was decided before."""

    def __init__(self, renditions: Renditions) -> None:
        self._renditions = renditions

    async def convert(self, recording: Recording, format: str) -> "Converted | None":
        """A recording in another format; `None` if that is how it is stored.

        Raises:
            MediaMissing: the audio is not where it was stored.
            MediaUnavailable: it cannot be converted.
            Busy: not now.
        """
        if recording.media is None:
            return None
        with _refusing(recording.id):
            made = await self._renditions.convert(recording.media, format, recording.account_id)
        return None if made is None else Converted(recording, recording.media, made)

    async def draw(self, recording_id: str, media: Media, pixels: int, whose: str) -> Mapping[str, Any]:
        """The waveform of a recording, as players load it; `whose` is the account that asks.

        Raises:
            InvalidInput: it cannot be drawn in so few or so many pixels.
            MediaUnavailable: it cannot be drawn, or is not where it was stored.
            Busy: not now.
        """
        if not 1 <= pixels <= MOST_PIXELS:
            raise InvalidInput.of(("pixels",), "maximum", pixels, f"an integer from 1 to {MOST_PIXELS}")
        with _refusing(recording_id):
            try:
                return await self._renditions.peaks(media, pixels, whose)
            except MediaMissing as missing:
                raise MediaUnavailable("the audio is not where it was stored", recording_id=recording_id) from missing


class Converted:
    """A recording as one of its renditions, to be played as any other is."""

    def __init__(self, recording: Recording, media: Media, made: Rendition) -> None:
        self._folder = FolderMedia(made.path.parent, _PREFIX)
        shown = replace(
            media,
            url=_PREFIX + made.path.name,
            content_type=made.content_type,
            length=made.length,
            sha256=made.sha256,
        )
        # Of its name the ending changes too.
        name = recording.name.removesuffix(f".{recording.format}")
        self.recording = replace(recording, media=shown, format=made.format, name=name)

    def read(self, url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """As `MediaStore.read`."""
        return self._folder.read(url, start, end)


@contextmanager
def _refusing(recording_id: str) -> Iterator[None]:
    try:
        yield
    except AudioWorkersBusyError as busy:
        raise Busy("too many recordings are being converted: try again later", recording_id=recording_id) from busy
    except (NotAudio, SourceDamagedError) as error:
        _log.warning("a recording cannot be converted", recording=recording_id, why=str(error))
        raise MediaUnavailable("the audio cannot be converted", recording_id=recording_id) from error
