"""Open a received file as audio. Its header and its name may be wrong."""

from pathlib import Path

from adapters.audio.audio_source import AudioSource
from adapters.audio.container_source import of_container, of_headerless
from adapters.audio.content_kind import audio_start
from adapters.audio.headerless import raw_format
from adapters.audio.sample_headers import read_header_at
from adapters.audio.sample_source import of_samples
from recordings.model.instants import Millis


def open_source(path: Path, limit_ms: Millis, *, accept_video: bool = True) -> AudioSource:
    """Examine a file.

    Raises:
        NotAudio: it has no audio that may be decoded. The message names its content.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = audio_start(file)
        header = read_header_at(file, start, size)
        raw = None if header is not None or start else raw_format(path.suffix, file)
    if header is not None:
        return of_samples(path, header, size, limit_ms)
    if raw is not None:
        return of_headerless(path, raw, limit_ms)
    return of_container(path, start, limit_ms, accept_video=accept_video)
