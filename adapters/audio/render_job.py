"""The job of an audio worker: make the file to store from spooled audio. It blocks and works in chunks."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from av.audio.frame import AudioFrame

from adapters.audio.containers import Container, open_container
from adapters.audio.encoding import FORMATS, MP3, Format, encode
from adapters.audio.pcm import join_stereo, read_track
from recordings.model.instants import SECOND, Millis
from recordings.ports.audio import Codec, NotAudio, Rendered, SpooledAudio, Target, Track

_CHUNK: Final = 1 << 20
# The codecs in WAV files that every browser plays.
_PLAIN_WAV: Final = frozenset({"pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"})
_MP3_DECODERS: Final = frozenset({"mp3", "mp3float"})


def render(folder: str, name: str, audio: SpooledAudio, target: Target) -> Rendered:
    """Make `<folder>/<name>.<format>`, and replace an earlier file of that name.

    Raises:
        NotAudio: the audio cannot be decoded, or a file is longer than allowed.
    """
    stem = Path(folder) / name
    if len(audio.tracks) == 1:
        return _render_one(stem, audio.tracks[0], target)
    if len(audio.tracks) == 2:  # noqa: PLR2004 - left and right
        return _render_pair(stem, audio.tracks, target)
    message = f"{len(audio.tracks)} tracks: a recording has one or two"
    raise NotAudio(message)


def file_of(stem: Path, format: Format) -> Path:
    """Return the path of a rendered file."""
    return stem.with_name(f"{stem.name}.{format.name}")


def part_of(path: Path) -> Path:
    """Return the path of a file while it is being written."""
    return path.with_name(f".{path.name}.part")


def _render_one(stem: Path, track: Track, target: Target) -> Rendered:
    if _is_empty(track):
        return _convert(stem, iter(()), target, track.sample_rate, 1)
    if track.codec is not Codec.CONTAINER:
        with Path(track.path).open("rb") as file:
            frames = read_track(file, track.codec, track.sample_rate, target.max_duration_ms)
            return _convert(stem, frames, target, track.sample_rate, 1)
    return _keep(stem, track, target) or _convert_container(stem, track, target)


def _is_empty(track: Track) -> bool:
    return Path(track.path).stat().st_size == 0


def _render_pair(stem: Path, tracks: tuple[Track, ...], target: Target) -> Rendered:
    with ExitStack() as opened:
        sources = [opened.enter_context(_source(track, target.max_duration_ms)) for track in tracks]
        rate = max(rate for rate, _frames in sources)
        (_, left), (_, right) = sources
        return _convert(stem, join_stereo(left, right, rate), target, rate, 2)


@contextmanager
def _source(track: Track, limit_ms: Millis) -> Iterator[tuple[int, Iterator[AudioFrame]]]:
    with Path(track.path).open("rb") as file:
        if track.codec is not Codec.CONTAINER:
            yield track.sample_rate, read_track(file, track.codec, track.sample_rate, limit_ms)
        elif _is_empty(track):
            yield track.sample_rate, iter(())
        else:
            with open_container(file) as container:
                yield container.sample_rate, container.frames(limit_ms)


def _convert_container(stem: Path, track: Track, target: Target) -> Rendered:
    with Path(track.path).open("rb") as file, open_container(file) as container:
        frames = container.frames(target.max_duration_ms)
        return _convert(stem, frames, target, container.sample_rate, container.channels)


def _convert(stem: Path, frames: Iterator[AudioFrame], target: Target, sample_rate: int, channels: int) -> Rendered:
    format = FORMATS[target.format] if target.format else MP3
    rate, channels = target.sample_rate or format.rate_near(sample_rate), min(channels, 2)
    path = file_of(stem, format)
    with _replacing(path) as file:
        samples = encode(frames, file, format, rate, channels)
        # The encoder goes back to write the header, so the hash is computed afterwards.
        length, digest = _hash(file)
    return _rendered(path, format, length, digest, (samples, rate, channels))


def _keep(stem: Path, track: Track, target: Target) -> Rendered | None:
    """Keep the file byte for byte if it already has the wanted form; only measure it. Return `None` otherwise."""
    with Path(track.path).open("rb") as file:
        with open_container(file) as container:
            format = _kept_format(container, target)
            measured = _measure(container, target.max_duration_ms) if format else None
        if format is None or measured is None or target.sample_rate not in {None, measured[1]}:
            return None
        path = file_of(stem, format)
        with _replacing(path) as copy:
            length, digest = _hash(file, copy)
        return _rendered(path, format, length, digest, measured)


def _kept_format(container: Container, target: Target) -> Format | None:
    plain = (container.format == "wav" and container.codec in _PLAIN_WAV) or (
        container.format == "mp3" and container.codec in _MP3_DECODERS
    )
    wanted = target.format in {None, container.format} and target.sample_rate in {None, container.sample_rate}
    return FORMATS[container.format] if plain and wanted else None


def _measure(container: Container, limit_ms: Millis) -> tuple[int, int, int] | None:
    """Return samples, rate and channels as decoded, or `None` if the rate or the channels change within the file."""
    samples, shapes = 0, {(container.sample_rate, container.channels)}
    for frame in container.frames(limit_ms):
        samples += frame.samples
        shapes.add((frame.sample_rate, frame.layout.nb_channels))
    return None if len(shapes) > 1 else (samples, *shapes.pop())


def _rendered(path: Path, format: Format, length: int, digest: str, measured: tuple[int, int, int]) -> Rendered:
    samples, rate, channels = measured
    return Rendered(
        path=str(path),
        format=format.name,
        content_type=format.content_type,
        length=length,
        duration_ms=round(samples * SECOND / rate),
        sample_rate=rate,
        channels=channels,
        sha256=digest,
    )


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a private file that replaces `path` once it is complete on the disk. On an error it is deleted."""
    part = part_of(path)
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "r+b") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _hash(file: BinaryIO, copy: BinaryIO | None = None) -> tuple[int, str]:
    """Return the length and SHA-256 of a whole file. Write its bytes to `copy` as well, if given."""
    digest, length = sha256(), 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        length += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return length, digest.hexdigest()
