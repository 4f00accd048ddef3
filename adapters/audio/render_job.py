"""The job of an audio worker: make the file to store from spooled audio. It blocks and works in chunks."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from av.audio.frame import AudioFrame

from adapters.audio.audio_source import AudioSource
from adapters.audio.decoding import TOLERANCE_MS
from adapters.audio.encoding import TooManyBytes, encode
from adapters.audio.joined_file import JoinedFile
from adapters.audio.open_source import open_source
from adapters.audio.output_format import FORMATS, MP3, OPUS, Format, bit_rate, file_of, part_of
from adapters.audio.pcm import join_stereo, read_track
from adapters.audio.sample_file import SampleFile, wav_header
from recordings.model.instants import SECOND, Millis
from recordings.ports.audio import Codec, NotAudio, Rendered, SpooledAudio, Target, TooLong, Track

_CHUNK: Final = 1 << 20
# The codecs in WAV files that every browser plays.
_PLAIN_WAV: Final = frozenset({"pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"})
_PADDING_MS: Final = 100
_MP3_DECODERS: Final = frozenset({"mp3", "mp3float"})
_OPUS_DECODERS: Final = frozenset({"opus", "libopus"})
GROWTH: Final = 8
"""An MP3 file may be this many times as large as the received file. Beyond that, the audio is stored as Opus."""
_ALWAYS_ALLOWED: Final = 1 << 20
"""Bytes that an MP3 file may have in any case."""
_LOW_BIT_RATE: Final = 16_000
"""The bit rate of such Opus files, for each channel. Silence takes much less."""


def render(folder: str, name: str, audio: SpooledAudio, target: Target) -> Rendered:
    """Make `<folder>/<name>.<format>`, and replace an earlier file of that name.

    A file that is stored unchanged is not copied: it is the finished file itself.

    Raises:
        NotAudio: the audio cannot be decoded, or a file is longer than allowed.
    """
    stem = Path(folder) / name
    stem.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if len(audio.tracks) == 1:
        return _render_one(stem, audio.tracks[0], target)
    if len(audio.tracks) == 2:  # noqa: PLR2004 - left and right
        return _render_pair(stem, audio.tracks, target)
    message = f"{len(audio.tracks)} tracks: a recording has one or two"
    raise NotAudio(message)


def _render_one(stem: Path, track: Track, target: Target) -> Rendered:
    if _is_empty(track):
        return _convert(stem, iter(()), target, track.sample_rate, 1)
    if track.codec is not Codec.CONTAINER:
        with Path(track.path).open("rb") as file:
            frames = read_track(file, track.codec, track.sample_rate, target.max_duration_ms)
            return _convert(stem, frames, target, track.sample_rate, 1)
    source = open_source(Path(track.path), target.max_duration_ms, accept_video=target.accept_video)
    rendered = _keep(stem, track, source, target) or _convert_source(stem, track, source, target)
    return _with_damage(rendered, source)


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
            source = open_source(Path(track.path), limit_ms)
            yield source.sample_rate, source.frames()


def _convert_source(stem: Path, track: Track, source: AudioSource, target: Target) -> Rendered:
    if target.format is not None:
        return _convert(stem, source.frames(), target, source.sample_rate, source.channels)
    if source.plain is not None and source.format == "wav":
        # Most players cannot read this WAV file. It becomes a WAV file that every player reads, and not an MP3 file.
        return _convert(stem, source.frames(), replace(target, format="wav"), source.sample_rate, source.channels)
    limit = max(_ALWAYS_ALLOWED, GROWTH * Path(track.path).stat().st_size)
    channels = min(source.channels, 2)
    expected = bit_rate(target.sample_rate or MP3.rate_near(source.sample_rate), channels) / 8
    if (source.announced_ms or 0) / SECOND * expected <= limit:
        with suppress(TooManyBytes):
            return _convert(stem, source.frames(), target, source.sample_rate, channels, limit)
    if target.sample_rate is None and (kept := _keep_as(OPUS, stem, track, source)) is not None:
        return kept
    low = replace(target, format=OPUS.name, sample_rate=None)
    return _convert(stem, source.frames(), low, source.sample_rate, channels, low_bit_rate=_LOW_BIT_RATE * channels)


def _with_damage(rendered: Rendered, source: AudioSource) -> Rendered:
    if (missing := source.missing_audio(rendered.duration_ms)) is not None:
        source.damage.append(missing)
    if not source.damage:
        return rendered
    expected = source.announced_ms
    if source.plain is None and expected is not None and expected - rendered.duration_ms < _PADDING_MS:
        # It is the length of a part of the file, an estimate, or the length with the padding of an encoder.
        expected = None
    return replace(rendered, damage="; ".join(source.damage), expected_ms=expected)


def _convert(
    stem: Path,
    frames: Iterator[AudioFrame],
    target: Target,
    sample_rate: int,
    channels: int,
    max_bytes: int | None = None,
    low_bit_rate: int | None = None,
) -> Rendered:
    format = FORMATS[target.format] if target.format else MP3
    rate, channels = target.sample_rate or format.rate_near(sample_rate), min(channels, 2)
    path = file_of(stem, format)
    with _replacing(path) as file:
        samples = encode(frames, file, format, rate, channels, max_bytes, low_bit_rate)
        # The encoder goes back to write the header, so the hash is computed afterwards.
        length, digest = _hash(file)
    return _rendered(path, format, length, digest, (samples, rate, channels))


def _keep(stem: Path, track: Track, source: AudioSource, target: Target) -> Rendered | None:
    """Store the samples unchanged if the file already has the wanted format; otherwise return `None`.

    A wrong header is replaced.
    """
    format = _kept_format(source, target)
    return None if format is None else _keep_as(format, stem, track, source)


def _keep_as(format: Format, stem: Path, track: Track, source: AudioSource) -> Rendered | None:
    """Store the file unchanged if it is undamaged and has this format; otherwise return `None`."""
    if format is OPUS and not _is_plain_opus(track, source):
        return None
    if source.plain is not None:
        frames = source.plain.length // source.plain.block
        _check_length(source, frames)
        measured = frames, source.plain.sample_rate, source.plain.channels
    else:
        measured = sum(frame.samples for frame in source.frames()), source.sample_rate, source.channels
        has_gaps = format is OPUS and source.silence_ms > 0
        if has_gaps or source.damage or not source.announces(round(measured[0] * SECOND / source.sample_rate)):
            # Players stop at damaged parts, and show the length in the header. The converted file has a right one.
            return None
    with Path(track.path).open("rb") as file:
        if source.plain is None or source.plain.is_valid:
            return _rendered(Path(track.path), format, *_hash(file), measured)
        path = file_of(stem, format)
        with _replacing(path) as copy:
            _write_samples(file, source.plain, copy)
            length, digest = _hash(copy)
    return _rendered(path, format, length, digest, measured)


def _is_plain_opus(track: Track, source: AudioSource) -> bool:
    with Path(track.path).open("rb") as file:
        return file.read(4) == b"OggS" and source.codec in _OPUS_DECODERS and source.is_constant


def _kept_format(source: AudioSource, target: Target) -> Format | None:
    plain = source.plain
    if plain is not None:
        is_playable = source.format == "wav" and not plain.big_endian and plain.channels <= 2  # noqa: PLR2004 - stereo
        name = "wav" if is_playable and source.codec in _PLAIN_WAV and plain.length >= plain.block else None
    else:
        is_mp3 = source.format == "mp3" and source.codec in _MP3_DECODERS
        name = "mp3" if is_mp3 and source.is_constant else None
    wanted = target.format in {None, name} and target.sample_rate in {None, source.sample_rate}
    return FORMATS[name] if name is not None and wanted else None


def _check_length(source: AudioSource, samples: int) -> None:
    if samples * SECOND > (source.limit_ms + TOLERANCE_MS) * source.sample_rate:
        message = f"the audio is longer than {source.limit_ms / SECOND:g} seconds"
        raise TooLong(message)


def _write_samples(file: BinaryIO, plain: SampleFile, copy: BinaryIO) -> None:
    length = plain.length - plain.length % plain.block
    copy.write(wav_header(plain, length))
    samples = JoinedFile(file, b"", plain.ranges)
    while length > samples.tell() and (chunk := samples.read(min(_CHUNK, length - samples.tell()))):
        copy.write(chunk)
    copy.write(b"\0" * (length % 2))


def _rendered(path: Path, format: Format, length: int, digest: str, measured: tuple[int, int, int]) -> Rendered:
    samples, rate, channels = measured
    return Rendered(
        path=str(path),
        format=format.name,
        content_type=format.content_type,
        length=length,
        # One sample is audio, too, although it is shorter than a millisecond.
        duration_ms=max(round(samples * SECOND / rate), min(samples, 1)),
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


def _hash(file: BinaryIO) -> tuple[int, str]:
    """Return the length and SHA-256 of a whole file."""
    digest, length = sha256(), 0
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
        length += len(chunk)
    return length, digest.hexdigest()
