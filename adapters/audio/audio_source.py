"""A received file as audio: all tracks, complete and aligned in time, even if its header is wrong."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

from av.audio.frame import AudioFrame

from adapters.audio.allowed_decoders import G729_TAG, is_g729, wave_codec
from adapters.audio.decoding import MAX_TRACKS, AudioTrack, Content, Decoded, RawFormat, decode, examine
from adapters.audio.headerless import HINT, raw_format
from adapters.audio.joined_file import JoinedFile
from adapters.audio.mixing import channels_of, mixed
from adapters.audio.sample_file import SampleFile, wav_header
from adapters.audio.sample_headers import read_header, read_header_at
from recordings.model.instants import Millis
from recordings.ports.audio import NotAudio

MAX_PARTS: Final = 64
"""Maximum number of files that are appended to one another."""
_CHANGING: Final = frozenset({"mp3", "aac", "ogg"})
"""Formats whose rate or channels may change within a file, for example because files were joined."""
_ANNOUNCING: Final = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "flac", "caf"})
"""Formats whose header says the length of the audio."""
_HEADER_ONLY: Final = 16_384
"""Maximum size (bytes) of a file that has a header and no audio."""
_PROBE: Final = 1 << 20
_SHORT_MS: Final = 500
"""Missing audio of up to this length is not reported, because encoders round to packets."""

Open = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class _Part:
    """One of several files that were appended to one another."""

    open: Open
    tracks: tuple[AudioTrack, ...]
    raw: RawFormat | None


@dataclass(slots=True)
class AudioSource:
    """An examined file. `frames` have at most this `sample_rate` and this number of `channels` (1 or 2).

    `format` is FFmpeg's name of the file format. `plain` is the header of a file of plain samples. `damage` names
    the missing parts. It is complete only after `frames` has ended.
    """

    format: str
    codec: str
    sample_rate: int
    channels: int
    is_constant: bool
    plain: SampleFile | None
    limit_ms: Millis
    has_payload: bool
    announced_ms: Millis | None
    damage: list[str] = field(default_factory=list)
    _parts: Sequence[_Part] = ()

    def frames(self) -> Iterator[AudioFrame]:
        """Decode the file. Every call decodes it once more.

        Raises:
            NotAudio: the file has data, but none of it can be decoded, or most of it is damaged.
            TooLong: the audio is longer than the limit.
        """
        all_found: list[Decoded] = []
        for part in self._parts:
            found = [Decoded() for _ in part.tracks]
            all_found += found
            tracks = zip(part.tracks, found, strict=True)
            yield from mixed(
                [(track.channels, _decoded(part, track, self.limit_ms, each)) for track, each in tracks],
                self.sample_rate,
            )
        self._check_damage(all_found)

    def _check_damage(self, found: Sequence[Decoded]) -> None:
        good, bad = sum(each.good for each in found), sum(each.bad for each in found)
        if not good and (bad or self.has_payload):
            message = f"the file contains {self.codec or 'data'}, and none of it can be decoded"
            raise NotAudio(message)
        if bad > good:
            message = f"the file is damaged: {bad} of its {bad + good} parts cannot be decoded"
            raise NotAudio(message)
        if bad:
            self.damage.append(f"{bad} of {bad + good} parts are damaged and left out")


def open_source(path: Path, limit_ms: Millis, *, accept_video: bool = True) -> AudioSource:
    """Examine a file.

    Raises:
        NotAudio: it has no audio that may be decoded. The message names its content.
    """
    with path.open("rb") as file:
        header = read_header(file)
        raw = None if header is not None else raw_format(path.suffix, file)
        size = file.seek(0, 2)
    if header is not None:
        return _of_samples(path, header, size, limit_ms)
    part, content = _examined(lambda: path.open("rb"), raw, path.suffix if raw else "")
    _check_video(content, accept_video=accept_video)
    if not content.tracks:
        raise NotAudio(_no_audio(content))
    return _of_container(part, content, size, limit_ms)


# Files of samples


def _of_samples(path: Path, header: SampleFile, size: int, limit_ms: Millis) -> AudioSource:
    headers = _appended(path, header, size)
    damage = []
    if any(each.next_file is not None for each in headers[-1:]):
        damage.append(f"more than {MAX_PARTS} files are appended to one another; the rest is left out")
    parts, content = [], None
    for each in headers:
        if not each.length:
            continue
        part, content = _examined(_view(path, each), _raw_of(each), "", each.tag)
        if not content.tracks:
            message = f"the audio is in the format {wave_codec(each.tag)}, which this service does not decode"
            raise NotAudio(message)
        if each.tag == G729_TAG and not is_g729(_beginning(part.open)):
            message = "the file says that it is g729, but its content is not G.729 speech"
            raise NotAudio(message)
        parts.append(part)
    length, announced = sum(each.length for each in headers), _announced(headers)
    rates = {(track.sample_rate, track.channels) for part in parts for track in part.tracks}
    single = len(headers) == 1 or len({(each.format_body, each.kind) for each in headers}) == 1
    source = AudioSource(
        format="wav" if header.kind == "wav" else header.kind,
        codec=parts[0].tracks[0].codec if parts else wave_codec(header.tag),
        sample_rate=max((rate for rate, _ in rates), default=header.sample_rate),
        channels=max((channels_of([channels]) for _, channels in rates), default=1),
        is_constant=len(rates) <= 1,
        plain=_joined(headers) if single and header.has_plain_samples else None,
        limit_ms=limit_ms,
        has_payload=length > 0,
        announced_ms=None,
        damage=damage,
        _parts=parts,
    )
    if announced is not None and header.has_plain_samples and announced // header.block != length // header.block:
        source.announced_ms = header.duration_ms(announced)
        word = "less" if announced < length else "more"
        source.damage.append(
            f"the header announces {source.announced_ms} ms, {word} than the file has ({header.duration_ms(length)} ms)"
        )
    elif announced is not None and announced != length:
        word = "less" if announced < length else "more"
        source.damage.append(f"the header announces {announced} bytes of audio, {word} than the {length} in the file")
    return source


def _appended(path: Path, header: SampleFile, size: int) -> list[SampleFile]:
    headers = [header]
    with path.open("rb") as file:
        while (start := headers[-1].next_file) is not None and len(headers) < MAX_PARTS:
            following = read_header_at(file, start, size)
            if following is None:
                break
            headers.append(following)
    return headers


def _joined(headers: Sequence[SampleFile]) -> SampleFile:
    """Return one header for files of the same format that were appended to one another."""
    if len(headers) == 1:
        return headers[0]
    return replace(headers[0], ranges=tuple(part for each in headers for part in each.ranges), is_valid=False)


def _announced(headers: Sequence[SampleFile]) -> int | None:
    sizes = [each.announced for each in headers]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _view(path: Path, header: SampleFile) -> Open:
    """Return a function that opens the samples of a file, with a header that FFmpeg reads correctly, or without one."""
    if header.is_valid:
        return lambda: path.open("rb")
    start = b"" if _raw_of(header) else wav_header(header, header.length)
    return lambda: cast("BinaryIO", JoinedFile(path.open("rb"), start, header.ranges))


def _raw_of(header: SampleFile) -> RawFormat | None:
    name = header.raw_format if not header.is_valid else None
    return None if name is None else RawFormat(name, header.sample_rate, header.channels)


def _beginning(open_file: Open) -> bytes:
    with open_file() as file:
        header = read_header(file)
        if header is None or not header.ranges:
            return b""
        offset, length = header.ranges[0]
        file.seek(offset)
        return file.read(min(length, _PROBE))


# Other files


def _of_container(part: _Part, content: Content, size: int, limit_ms: Millis) -> AudioSource:
    tracks = part.tracks
    shapes = {(track.sample_rate, track.channels) for track in tracks}
    if len(tracks) > 1 or content.format in _CHANGING:
        surveyed = [_survey(part, track, limit_ms) for track in tracks]
        heard = [(track, found) for track, found in zip(tracks, surveyed, strict=True) if found.samples]
        tracks = tuple(_widened(track, found) for track, found in heard)
        shapes = {shape for _, found in heard for shape in found.shapes}
    source = AudioSource(
        format=content.format,
        codec=", ".join(sorted({track.codec for track in part.tracks})),
        sample_rate=max((rate for rate, _ in shapes), default=part.tracks[0].sample_rate),
        channels=channels_of([track.channels for track in tracks]) if tracks else 1,
        is_constant=len(tracks) == 1 and len(shapes) == 1,
        plain=None,
        limit_ms=limit_ms,
        has_payload=size > _HEADER_ONLY if not tracks else False,
        announced_ms=content.duration_ms if content.format in _ANNOUNCING or len(shapes) == 1 else None,
        _parts=(_Part(part.open, tracks, part.raw),) if tracks else (),
    )
    if not tracks and source.has_payload:
        message = f"the file contains {source.codec}, and none of it can be decoded"
        raise NotAudio(message)
    if content.rejected:
        source.damage.append(f"an audio track in {', '.join(content.rejected)} is left out: it is not decoded here")
    return source


def _survey(part: _Part, track: AudioTrack, limit_ms: Millis) -> Decoded:
    found = Decoded()
    for _frame in _decoded(part, track, limit_ms, found):
        pass
    return found


def _widened(track: AudioTrack, found: Decoded) -> AudioTrack:
    channels = max(channels for _rate, channels in found.shapes)
    return AudioTrack(track.index, track.codec, max(rate for rate, _channels in found.shapes), channels)


def _decoded(part: _Part, track: AudioTrack, limit_ms: Millis, found: Decoded) -> Iterator[AudioFrame]:
    with part.open() as file:
        yield from decode(file, track, limit_ms, found, part.raw)


def _examined(open_file: Open, raw: RawFormat | None, extension: str, tag: int | None = None) -> tuple[_Part, Content]:
    with open_file() as file:
        try:
            content = examine(file, raw)
        except NotAudio as error:
            if tag is not None:
                message = f"the audio is in the format {wave_codec(tag)}, and its header is damaged"
                raise NotAudio(message) from error
            raise NotAudio(HINT if not extension else str(error)) from error
    if len(content.tracks) > MAX_TRACKS:
        message = f"the file has {len(content.tracks)} audio tracks; at most {MAX_TRACKS} are allowed"
        raise NotAudio(message)
    return _Part(open_file, content.tracks, raw), content


def _check_video(content: Content, *, accept_video: bool) -> None:
    if content.has_video and not accept_video:
        message = "the file has video, which this installation rejects: send the audio alone"
        raise NotAudio(message)


def _no_audio(content: Content) -> str:
    if content.rejected:
        return f"the audio is {', '.join(content.rejected)}, which this service does not decode"
    return "the file has video and no audio" if content.has_video else "the file has no audio"


def missing_audio(source: AudioSource, duration_ms: Millis) -> str | None:
    """Return a text about the missing part of the announced length of a file; `None` if nothing is missing."""
    announced = source.announced_ms
    if source.plain is not None or announced is None or announced - duration_ms <= max(_SHORT_MS, announced // 50):
        return None
    if source.format in _CHANGING and not source.damage:
        # The length is an estimate by the bit rate.
        return None
    return f"the file announces {announced} ms, and {duration_ms} ms of it can be decoded"
