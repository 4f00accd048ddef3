"""Open files of unknown content as audio, or reject them. The content decides, never the file name."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from recordings.model.instants import Millis
from recordings.ports.audio import NotAudio

# Formats of single audio files. No formats that refer to other files (playlists, concat), no images, no text.
_DEMUXERS: Final = "wav,w64,mp3,ogg,flac,mov,aac,amr,au,aiff,caf,gsm,matroska"
# The decoders these formats may use. Pictures and video in them are never decoded.
_DECODERS: Final = (
    "aac,alac,amrnb,amrwb,flac,gsm,gsm_ms,g722,g726,g726le,libopencore_amrnb,libopencore_amrwb,libopus,libspeex,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_yamaha,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,pcm_alaw,pcm_f32be,"
    "pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,"
    "pcm_u8,speex,truespeech,vorbis"
)
# An empty protocol list: FFmpeg rejects every other file or URL that a file asks it to open.
_LIMITS: Final = {"format_whitelist": _DEMUXERS, "codec_whitelist": _DECODERS, "protocol_whitelist": ""}
_MIN_RATE: Final = 1_000
_MAX_RATE: Final = 384_000

TOLERANCE_MS: Final = 1_000
"""How far a file may exceed its limit, because encoders pad and switches stop late."""


@dataclass(frozen=True, slots=True)
class Container:
    """An open audio file. `format` names the demuxer and `codec` the decoder. `sample_rate` is the rate it claims."""

    format: str
    codec: str
    sample_rate: int
    channels: int
    _opened: InputContainer
    _stream: AudioStream

    def frames(self, limit_ms: Millis) -> Iterator[AudioFrame]:
        """Return the frames that can be decoded, without the damaged parts.

        Raises:
            NotAudio: the file is longer than the limit, or has more damaged parts than good ones.
        """
        good = bad = 0
        decoded_ms = 0.0
        for frame in self._decode():
            if frame is None:
                bad += 1
                continue
            good += 1
            decoded_ms += 1_000 * frame.samples / _sane_rate(frame.sample_rate)
            if decoded_ms > limit_ms + TOLERANCE_MS:
                message = f"the audio is longer than {limit_ms / 1_000:g} seconds, which is the limit"
                raise NotAudio(message)
            yield frame
        if bad > good:
            message = f"the file is damaged: {bad} of {good + bad} parts cannot be decoded"
            raise NotAudio(message)

    def _decode(self) -> Iterator[AudioFrame | None]:
        """Return the frames, with `None` for each part that cannot be decoded."""
        packets = self._opened.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                yield from packet.decode()
            except av.EOFError:
                return
            except (av.FFmpegError, MemoryError):
                yield None


@contextmanager
def open_container(file: BinaryIO) -> Iterator[Container]:
    """Open a file as audio.

    Raises:
        NotAudio: the file is not audio.
    """
    try:
        opened = av.open(_NamelessFile(file), mode="r", container_options=_LIMITS)
    except (av.FFmpegError, MemoryError) as error:
        message = "the file is not audio in a known format"
        raise NotAudio(message) from error
    with opened:
        yield _describe(opened)


class _NamelessFile:
    """A file without its name, so that FFmpeg detects the format from the content alone."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _describe(opened: InputContainer) -> Container:
    for stream in opened.streams:
        if stream.type != "audio" and not stream.disposition & Disposition.attached_pic:
            message = f"the file has a {stream.type} stream; only files with nothing but audio are accepted"
            raise NotAudio(message)
    if not opened.streams.audio or not opened.streams.audio[0].codec_context.sample_rate:
        message = "the file has no audio stream that can be decoded"
        raise NotAudio(message)
    stream = opened.streams.audio[0]
    context = stream.codec_context
    # One thread: the number of workers limits the CPU cores in use.
    context.thread_count = 1
    rate = _sane_rate(context.sample_rate)
    return Container(opened.format.name, context.name, rate, context.channels, opened, stream)


def _sane_rate(rate: int) -> int:
    if not _MIN_RATE <= rate <= _MAX_RATE:
        message = f"the sample rate is {rate} Hz; from {_MIN_RATE} to {_MAX_RATE} Hz is allowed"
        raise NotAudio(message)
    return rate
