"""A received file as audio: all tracks, complete and aligned in time, even if its header is wrong."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from av.audio.frame import AudioFrame

from adapters.audio.decoding import MAX_TRACKS, AudioTrack, Content, Decoded, RawFormat, decode, examine
from adapters.audio.mixing import mixed
from adapters.audio.sample_file import SampleFile
from recordings.model.instants import Millis
from recordings.ports.audio import NotAudio

STRUCTURED: Final = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "flac", "caf", "ogg"})
"""Formats with a structure around the audio. FFmpeg never takes noise for one of them."""
_SHORT_MS: Final = 500
"""How much audio may be missing before it is called missing: encoders round to packets."""
_SPARE_PACKETS: Final = 3
"""How many packets of a file may be missing before they are called missing: a header and a tag may be packets."""

Open = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Part:
    """One of several files that were appended to one another."""

    open: Open
    tracks: tuple[AudioTrack, ...]
    raw: RawFormat | None = None


@dataclass(slots=True)
class AudioSource:
    """An examined file. `frames` have at most this `sample_rate` and this number of `channels` (1 or 2).

    `format` is FFmpeg's name of the file format. `plain` is the header of a file of plain samples. `announced_ms` is
    the length in the header. It is an estimate by the bit rate if `is_estimate`. `frame_bytes` is the number of bytes
    between the tags of a file that consists of frames only (MP3, AAC). `known_damage` comes from the structure of the
    file. `damage` names all missing parts. `silence_ms` is the silence in gaps. Both are complete after `frames` has
    ended.
    """

    format: str
    codec: str
    sample_rate: int
    channels: int
    is_constant: bool
    limit_ms: Millis
    plain: SampleFile | None = None
    has_payload: bool = False
    announced_ms: Millis | None = None
    is_estimate: bool = False
    frame_bytes: int | None = None
    known_damage: tuple[str, ...] = ()
    parts: Sequence[Part] = ()
    damage: list[str] = field(default_factory=list)
    silence_ms: float = 0.0

    def __post_init__(self) -> None:
        """Begin with the damage that is known."""
        self.damage = list(self.known_damage)

    def frames(self) -> Iterator[AudioFrame]:
        """Decode the file. Every call decodes it once more.

        Raises:
            NotAudio: nothing can be decoded although there is something, or most of it is damaged.
            TooLong: the audio is longer than the limit.
        """
        self.damage = list(self.known_damage)
        all_found: list[Decoded] = []
        left_ms: float = self.limit_ms
        for part in self.parts:
            found = [Decoded() for _ in part.tracks]
            all_found += found
            tracks = zip(part.tracks, found, strict=True)
            yield from mixed(
                [(track.channels, decoded(part, track, round(left_ms), each)) for track, each in tracks],
                self.sample_rate,
            )
            left_ms = max(0, left_ms - max((each.ms for each in found), default=0))
        self._judge(all_found)

    def _judge(self, found: Sequence[Decoded]) -> None:
        good, bad = sum(each.good for each in found), sum(each.bad for each in found)
        if not good and (bad or self.has_payload or any(each.size for each in found)):
            message = f"the file contains {self.codec or 'data'} of which nothing can be decoded"
            raise NotAudio(message)
        if bad > good and self.format not in STRUCTURED:
            message = f"the file is damaged: {bad} of its {bad + good} parts cannot be decoded"
            raise NotAudio(message)
        if self.frame_bytes is not None and len(found) == 1:
            self._count_bytes(found[0], self.frame_bytes)
        elif bad:
            self.damage.append(f"{bad} of {bad + good} parts are damaged and left out")
        self.silence_ms = silence_ms = max((each.silence_ms for each in found), default=0)
        if silence_ms and (self.damage or self.format == "flac"):
            # A FLAC file has no pauses, so a gap is lost audio.
            self.damage.append(f"{round(silence_ms)} ms are missing and stored as silence")

    def _count_bytes(self, found: Decoded, total: int) -> None:
        """Find out how much of a file of frames is not decoded. Its frames say nothing about their time."""
        good_size = found.size - found.bad_size
        lost = total - good_size
        spare = _SPARE_PACKETS * good_size // max(found.good, 1)
        if lost <= spare and not found.bad:
            return
        lost_ms = round(max(lost, 0) * found.ms / max(good_size, 1))
        if self.is_estimate:
            self.announced_ms = round(found.ms) + lost_ms
        self.damage.append(f"{max(lost, 0)} bytes of the file (about {lost_ms} ms) cannot be decoded")

    def missing_audio(self, duration_ms: Millis) -> str | None:
        """Say how much of the announced length of a file is missing; `None` if nothing is."""
        announced = self.announced_ms
        if self.plain is not None or announced is None or (self.is_estimate and not self.damage):
            return None
        if announced - duration_ms <= max(_SHORT_MS, announced // 50):
            return None
        return f"the file announces {announced} ms, and {duration_ms} ms of it can be decoded"

    def announces(self, duration_ms: Millis) -> bool:
        """Return true if the header announces about this length, or none. Players show the announced length."""
        announced = self.announced_ms
        if announced is None or self.is_estimate:
            return True
        return abs(duration_ms - announced) <= max(_SHORT_MS, announced // 50)


def decoded(part: Part, track: AudioTrack, limit_ms: Millis, found: Decoded) -> Iterator[AudioFrame]:
    """Open a part of a file and decode one of its tracks."""
    with part.open() as file:
        yield from decode(file, track, limit_ms, found, part.raw)


def examined(open_file: Open, raw: RawFormat | None = None) -> tuple[Part, Content]:
    """Find the tracks of a part of a file."""
    with open_file() as file:
        content = examine(file, raw)
    if len(content.tracks) > MAX_TRACKS:
        message = f"the file has {len(content.tracks)} audio tracks; the most is {MAX_TRACKS}"
        raise NotAudio(message)
    return Part(open_file, content.tracks, raw), content
