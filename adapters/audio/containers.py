"""Files of unknown content: opened as audio or refused, by what is in them and never by their name."""

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

# Single files of audio. Nothing that names other files (playlists, concat), no images, no text.
_DEMUXERS: Final = "wav,w64,mp3,ogg,flac,mov,aac,amr,au,aiff,caf,gsm,matroska"
# The decoders that those may use: pictures and videos in them are never decoded.
_DECODERS: Final = (
    "aac,alac,amrnb,amrwb,flac,gsm,gsm_ms,g722,g726,g726le,libopencore_amrnb,libopencore_amrwb,libopus,libspeex,"
    "adpcm_ima_qt,adpcm_ima_wav,adpcm_ms,adpcm_yamaha,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,pcm_alaw,pcm_f32be,"
    "pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,"
    "pcm_u8,speex,truespeech,vorbis"
)
# An empty list of protocols: whatever a file asks to be opened besides itself is refused.
_LIMITS: Final = {"format_whitelist": _DEMUXERS, "codec_whitelist": _DECODERS, "protocol_whitelist": ""}
_LEAST_RATE: Final = 1_000
_MOST_RATE: Final = 384_000

TOLERANCE_MS: Final = 1_000
"""How much longer than its limit a file may be: encoders pad, and switches stop late."""


@dataclass(frozen=True, slots=True)
class Container:
    """An open file of audio. `format` is the demuxer's name, `codec` the decoder's; `sample_rate` is what it claims."""

    format: str
    codec: str
    sample_rate: int
    channels: int
    _opened: InputContainer
    _stream: AudioStream

    def frames(self, limit_ms: Millis) -> Iterator[AudioFrame]:
        """What can be decoded. Damaged parts are left out.

        Raises:
            NotAudio: it is longer than the limit, or more of it is damaged than not.
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
                message = f"the audio is longer than {limit_ms / 1_000:g} seconds"
                raise NotAudio(message)
            yield frame
        if bad > good:
            message = f"the file is damaged: {bad} parts of it cannot be decoded"
            raise NotAudio(message)

    def _decode(self) -> Iterator[AudioFrame | None]:
        """The frames, and `None` for each part that cannot be decoded."""
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
        NotAudio: it is something else.
    """
    try:
        opened = av.open(_Nameless(file), mode="r", container_options=_LIMITS)
    except (av.FFmpegError, MemoryError) as error:
        message = "the file is not audio of a known kind"
        raise NotAudio(message) from error
    with opened:
        yield _describe(opened)


class _Nameless:
    """A file without its name, so that the name has no say in what it is taken for."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _describe(opened: InputContainer) -> Container:
    for stream in opened.streams:
        if stream.type != "audio" and not stream.disposition & Disposition.attached_pic:
            message = f"the file has a {stream.type} stream: it is not audio alone"
            raise NotAudio(message)
    if not opened.streams.audio or not opened.streams.audio[0].codec_context.sample_rate:
        message = "the file has no audio that can be decoded"
        raise NotAudio(message)
    stream = opened.streams.audio[0]
    context = stream.codec_context
    # One thread: the number of workers is what bounds the processors used.
    context.thread_count = 1
    rate = _sane_rate(context.sample_rate)
    return Container(opened.format.name, context.name, rate, context.channels, opened, stream)


def _sane_rate(rate: int) -> int:
    if not _LEAST_RATE <= rate <= _MOST_RATE:
        message = f"a sample rate of {rate} Hz is not audio"
        raise NotAudio(message)
    return rate
