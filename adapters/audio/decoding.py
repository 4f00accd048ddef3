"""Open and decode files with FFmpeg. The content of a file decides its format, never its name."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.codec.context import CodecContext
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from adapters.audio.allowed_decoders import ALLOWED
from adapters.audio.content_kind import mpeg_frame
from recordings.model.instants import Millis
from recordings.ports.audio import NotAudio, TooLong

# Only formats that contain the audio: no format that names other files (playlists, concat), and no images.
_DEMUXERS: Final = "wav,w64,mp3,ogg,flac,mov,aac,loas,amr,au,aiff,caf,gsm,matroska"
# The list of protocols is empty: FFmpeg then rejects every other file or address that a file names.
_LIMITS: Final = {"format_whitelist": _DEMUXERS, "protocol_whitelist": ""}
_LEAST_RATE: Final = 1_000
_MOST_RATE: Final = 384_000
MAX_TRACKS: Final = 64
"""Maximum number of audio tracks in a file. Each track is decoded separately, so the file is opened for each."""

MAX_CHANNELS: Final = 64
"""Maximum number of channels of a track. It is FFmpeg's own limit for mixing."""
TOLERANCE_MS: Final = 1_000
"""How much longer than its limit a file may be: encoders add padding, and switches stop late."""
GAP_MS: Final = 100
"""Timestamps that leave out more than this are filled with silence (DTX, mute, lost packets)."""
LATEST_START_MS: Final = 3_600_000
"""A track that starts later than this was cut out of a longer stream. Its time then counts from its own start."""
_TIMED: Final = frozenset({"matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "ogg", "flac"})
"""Formats whose packets have timestamps. In other formats, the number of samples gives the time."""
_LONGEST_MS: Final = 90 * 86_400_000
"""A longer duration in a header is an error."""
_NO_AUDIO: Final = re.compile(rb"\x00*|[\t\r\n\x20-\x7e]*|.*(?:ID3|TAG|APETAGEX|LYRICS|Xing|Info|VBRI).*", re.DOTALL)
"""Packets that no decoder accepts and that are no audio: zeros, text, and the tags of MP3 files."""
_FRAMED: Final = frozenset({"mp3", "aac"})
"""Formats whose packets may have bytes after their frame that are no audio."""


@dataclass(frozen=True, slots=True)
class RawFormat:
    """Headerless audio: FFmpeg's name of the format, the rate in Hz, the number of channels, and the bits of G.726."""

    name: str
    sample_rate: int
    channels: int
    bits: int = 0

    @property
    def is_coded(self) -> bool:
        """True if the audio consists of frames of a codec, and not of samples."""
        return bool(self.bits) or self.name in {"g722", "g729", "g723_1", "gsm"}

    @property
    def options(self) -> Mapping[str, str]:
        """The options of the demuxer."""
        if self.bits:
            return {"code_size": str(self.bits)}
        if self.is_coded:
            return {}
        layout = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels}C")
        return {"sample_rate": str(self.sample_rate), "ch_layout": layout}


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One audio stream of a file. `index` is FFmpeg's; `codec` is the name of the decoder."""

    index: int
    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file. `rejected` has the codecs of audio streams that are not allowed or have no decoder."""

    format: str
    tracks: tuple[AudioTrack, ...] = ()
    rejected: tuple[str, ...] = ()
    has_video: bool = False
    duration_ms: Millis | None = None


@dataclass(slots=True)
class Decoded:
    """The result of one pass over a track. `shapes` are the (rate, channels) of its frames; `ms` is their length.

    `size` counts the bytes of all packets, and `bad_size` those of packets that cannot be decoded. `silence_ms` is the
    length of the silence in gaps.
    """

    good: int = 0
    bad: int = 0
    size: int = 0
    bad_size: int = 0
    silence_ms: float = 0.0
    ms: float = 0.0
    samples: int = 0
    shapes: set[tuple[int, int]] = field(default_factory=set)


def examine(file: BinaryIO, raw: RawFormat | None = None) -> Content:
    """Find the audio streams of a file. Nothing is decoded.

    Raises:
        NotAudio: FFmpeg does not know the file.
    """
    try:
        with _opened(file, raw) as container:
            return _content(container)
    except av.EOFError:
        return Content("header")


def _content(container: InputContainer) -> Content:
    tracks, rejected = [], []
    for stream in container.streams:
        if not isinstance(stream, AudioStream):
            continue
        name, context = _decoder(stream), stream.codec_context
        if name != "unknown" and context.channels > MAX_CHANNELS:
            message = f"a track of {context.channels} channels is not audio"
            raise NotAudio(message)
        if name in ALLOWED and context.sample_rate:
            tracks.append(AudioTrack(stream.index, name, _sane_rate(context.sample_rate), max(context.channels, 1)))
        else:
            rejected.append(name)
    return Content(
        format=container.format.name,
        tracks=tuple(tracks),
        rejected=tuple(rejected),
        has_video=any(_is_video(stream) for stream in container.streams),
        duration_ms=_duration_ms(container),
    )


def _duration_ms(container: InputContainer) -> Millis | None:
    """Return the length of the audio by the header. Video and subtitles may be longer, so they do not count."""
    if all(isinstance(stream, AudioStream) or _is_picture(stream) for stream in container.streams):
        length = (container.duration or 0) / av.time_base
        start = (container.start_time or 0) / av.time_base
    else:
        streams = [stream for stream in container.streams if isinstance(stream, AudioStream)]
        spans = [each.duration * each.time_base for each in streams if each.duration and each.time_base]
        length, start = (float(max(spans)) if spans and len(spans) == len(streams) else 0.0), 0.0
    if container.format.name == "matroska,webm" and start * 1_000 > LATEST_START_MS:
        length -= start
    return round(length * 1_000) if 0 < length * 1_000 <= _LONGEST_MS else None


def decode(
    file: BinaryIO, track: AudioTrack, limit_ms: Millis, found: Decoded, raw: RawFormat | None = None
) -> Iterator[AudioFrame]:
    """Decode one track. Damaged packets are left out and counted in `found`; gaps in time are filled with silence.

    Raises:
        TooLong: the audio is longer than the limit.
    """
    with _opened(file, raw) as container:
        stream = next(each for each in container.streams if each.index == track.index)
        assert isinstance(stream, AudioStream)  # noqa: S101 - `examine` chose it
        if _decoder(stream) not in ALLOWED:
            return
        # One thread: the number of worker processes limits the processors that are used.
        stream.codec_context.thread_count = 1
        frames = _frames(container, stream, found)
        if container.format.name in _TIMED:
            start = (container.start_time or 0) / av.time_base
            frames = _without_gaps(frames, limit_ms, start if start * 1_000 > LATEST_START_MS else 0.0, found)
        for frame in frames:
            found.ms += 1_000 * frame.samples / _sane_rate(frame.sample_rate)
            found.samples += frame.samples
            found.shapes.add((frame.sample_rate, frame.layout.nb_channels))
            if found.ms > limit_ms + TOLERANCE_MS:
                raise _too_long(limit_ms)
            yield frame


def silence(like: AudioFrame, samples: int) -> Iterator[AudioFrame]:
    """Yield frames of silence with the format, layout and rate of `like`. Each frame has at most one second."""
    while samples > 0:
        size = min(samples, like.sample_rate)
        frame = AudioFrame(format=like.format.name, layout=like.layout.name, samples=size)
        # In unsigned bytes, silence is the middle value.
        blank = b"\x80" if like.format.name in {"u8", "u8p"} else b"\0"
        # PyAV lists planes that do not exist for frames of eight or more channels.
        for plane in frame.planes[: like.layout.nb_channels if like.format.is_planar else 1]:
            plane.update(blank * plane.buffer_size)
        frame.sample_rate, frame.time_base = like.sample_rate, like.time_base
        yield frame
        samples -= size


@contextmanager
def _opened(file: BinaryIO, raw: RawFormat | None) -> Iterator[InputContainer]:
    file.seek(0)
    try:
        if raw is None:
            # Tags need not be UTF-8.
            container = av.open(_Nameless(file), mode="r", container_options=_LIMITS, metadata_errors="replace")
        else:
            options = {"protocol_whitelist": "", **raw.options}
            container = av.open(_Nameless(file), mode="r", format=raw.name, container_options=options)
    except av.EOFError:
        raise
    except (av.FFmpegError, MemoryError) as error:
        message = "the file is not audio of a known kind"
        raise NotAudio(message) from error
    with container:
        yield container


class _Nameless:
    """A file without its name, so that the name does not decide its format."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.tell = file.tell
        self._file = file

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position. FFmpeg computes impossible positions from damaged headers: then the file ends there."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):
            return self._file.seek(0, 2)


def _decoder(stream: Stream) -> str:
    """Return the name of the decoder, or `unknown` if FFmpeg has none."""
    # PyAV has no context for a codec that FFmpeg does not know, although its types say that it has.
    context: CodecContext | None = stream.codec_context
    return "unknown" if context is None else str(context.codec.name)


def _is_video(stream: Stream) -> bool:
    return stream.type == "video" and not stream.disposition & Disposition.attached_pic


def _is_picture(stream: Stream) -> bool:
    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def _frames(container: InputContainer, stream: AudioStream, found: Decoded) -> Iterator[AudioFrame]:
    packets, is_framed = container.demux(stream), container.format.name in _FRAMED
    while True:
        packet: Packet[Any] | None = None
        size = 0
        try:
            packet = next(packets, None)
            if packet is None:
                return
            size = _frame_size(packet) if is_framed else packet.size
            found.size += size
            for frame in packet.decode():
                found.good += 1
                yield frame
        except av.EOFError:
            return
        except (av.FFmpegError, MemoryError):
            data = b"" if packet is None else bytes(packet)
            if packet is None or not _NO_AUDIO.fullmatch(data):
                found.bad += 1
                found.bad_size += size
            elif not data.strip(b"\0"):
                found.bad_size += size


def _frame_size(packet: "Packet[Any]") -> int:
    # The decoder skips zeros in front of a frame.
    length = mpeg_frame(bytes(packet).lstrip(b"\0")[:6])
    return packet.size if length is None else min(length, packet.size)


def _without_gaps(frames: Iterator[AudioFrame], limit_ms: Millis, start: float, found: Decoded) -> Iterator[AudioFrame]:
    """Yield the frames, with silence in gaps between timestamps. `start` is in seconds. Early frames are not moved."""
    clock = start
    for frame in frames:
        gap = 0.0 if frame.time is None else frame.time - clock
        if gap * 1_000 > limit_ms + TOLERANCE_MS:
            raise _too_long(limit_ms)
        if gap * 1_000 > GAP_MS:
            samples = round(gap * frame.sample_rate)
            yield from silence(frame, samples)
            clock += samples / frame.sample_rate
            found.silence_ms += 1_000 * samples / frame.sample_rate
        clock += frame.samples / frame.sample_rate
        yield frame


def _too_long(limit_ms: Millis) -> TooLong:
    return TooLong(f"the audio is longer than {limit_ms / 1_000:g} seconds")


def _sane_rate(rate: int) -> int:
    if not _LEAST_RATE <= rate <= _MOST_RATE:
        message = f"a sample rate of {rate} Hz is not audio"
        raise NotAudio(message)
    return rate
