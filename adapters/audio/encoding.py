"""Encode audio frames as a file in one of the output formats."""

from collections.abc import Iterable
from fractions import Fraction
from typing import BinaryIO, cast

import av
from av.audio.format import AudioFormat
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from adapters.audio.mp3_file import Mp3File
from adapters.audio.output_format import MP3, OPUS, Format, bit_rate
from adapters.audio.pcm import resample


class TooManyBytes(Exception):  # noqa: N818 - an expected result
    """The encoded file is larger than its limit."""


def encode(
    frames: Iterable[AudioFrame],
    file: BinaryIO,
    format: Format,
    sample_rate: int,
    channels: int,
    max_bytes: int | None = None,
    low_bit_rate: int | None = None,
) -> int:
    """Write frames to a seekable file. Return the number of samples in each channel.

    With `low_bit_rate`, Opus has this bit rate for speech, and long packets.

    Raises:
        TooManyBytes: the file is larger than `max_bytes`.
    """
    if format is MP3:
        return _encode_mp3(frames, file, sample_rate, channels, max_bytes)
    layout = "stereo" if channels > 1 else "mono"
    written = 0
    # Bit-exact: the file does not name the encoder, so the same audio always gives the same bytes.
    with av.open(file, mode="w", format=format.name, container_options={"fflags": "bitexact"}) as output:
        stream = cast("AudioStream", output.add_stream(format.codec, rate=sample_rate, layout=layout))
        stream.codec_context.format = AudioFormat(format.samples)
        if format is OPUS:
            stream.bit_rate = low_bit_rate or bit_rate(sample_rate, channels)
        if low_bit_rate is not None:
            stream.options = {"frame_duration": "60", "application": "voip"}
        for frame in resample(frames, format.samples, layout, sample_rate):
            frame.pts, frame.time_base = written, Fraction(1, sample_rate)
            written += frame.samples
            output.mux(stream.encode(frame))
            if max_bytes is not None and file.tell() > max_bytes:
                raise TooManyBytes
        if written:
            output.mux(stream.encode(None))
        else:
            output.start_encoding()
    return written


def _encode_mp3(
    frames: Iterable[AudioFrame], file: BinaryIO, sample_rate: int, channels: int, max_bytes: int | None
) -> int:
    written = 0
    mp3 = Mp3File(file, sample_rate, channels, bit_rate(sample_rate, channels))
    for frame in resample(frames, MP3.samples, "stereo" if channels > 1 else "mono", sample_rate):
        written += frame.samples
        # A plane may be longer than its samples.
        mp3.write(bytes(frame.planes[0])[: 2 * channels * frame.samples])
        if max_bytes is not None and file.tell() > max_bytes:
            raise TooManyBytes
    mp3.close(written)
    return written
