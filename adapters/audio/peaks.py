"""The waveform of a file, in version 2 of audiowaveform's JSON format (an 8-bit minimum and maximum for each pixel).

peaks.js and waveform-data.js load it unchanged. wavesurfer.js takes its `data` as `peaks`, with `normalize: true`.
This code runs in a worker process. It reads the audio once, and its memory depends only on the number of pixels.
"""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypedDict

from recordings.model.instants import HOUR

MAX_PIXELS: Final = 10_000
MAX_DURATION: Final = 24 * HOUR
_PIECES_PER_PIXEL: Final = 16
"""How many pieces each pixel has at least, if the audio is long enough. More pieces bring the number of pixels closer
to the requested number.
"""


class Waveform(TypedDict):
    """The fields of the format. For each pixel, `data` has the minimum and maximum of each channel."""

    version: int
    channels: int
    sample_rate: int
    samples_per_pixel: int
    bits: int
    length: int
    data: list[int]


def waveform(path: str, pixels: int) -> Waveform:
    """Return the waveform of a file with at most `pixels` pixels. It blocks.

    Raises:
        NotAudio: the file cannot be decoded.
        ValueError: `pixels` is out of range.
    """
    if not 1 <= pixels <= MAX_PIXELS:
        message = f"a waveform has 1 to {MAX_PIXELS} pixels, not {pixels}"
        raise ValueError(message)
    # Late imports: the server imports this file, and only a worker needs FFmpeg.
    from adapters.audio.open_source import open_source
    from adapters.audio.pcm import resample

    source = open_source(Path(path), MAX_DURATION)
    channels, rate = source.channels, source.sample_rate
    builder = WaveformBuilder(channels, pixels)
    for frame in resample(source.frames(), "s16", "stereo" if channels > 1 else "mono", rate):
        builder.add(array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples]))
    step, data = builder.finish()
    return {
        "version": 2,
        "channels": channels,
        "sample_rate": rate,
        "samples_per_pixel": step,
        "bits": 8,
        "length": len(data) // (2 * channels),
        "data": data,
    }


class WaveformBuilder:
    """Collects the minimum and maximum of pieces of audio.

    When there are too many pieces it joins them in pairs. Their number stays limited for audio of any length.
    """

    def __init__(self, channels: int, pixels: int) -> None:
        self._channels = channels
        self._pixels = pixels
        self._size = 1
        self._rest = array("h")
        self._lows: list[list[int]] = [[] for _ in range(channels)]
        self._highs: list[list[int]] = [[] for _ in range(channels)]

    def add(self, samples: "array[int]") -> None:
        """Add samples. The channels are interleaved."""
        self._rest.extend(samples)
        step = self._size * self._channels
        whole = len(self._rest) // step * step
        for start in range(0, whole, step):
            self._add_piece(self._rest[start : start + step])
        del self._rest[:whole]
        while len(self._lows[0]) >= 2 * _PIECES_PER_PIXEL * self._pixels:
            self._lows = [_merged(min, values, 2) for values in self._lows]
            self._highs = [_merged(max, values, 2) for values in self._highs]
            self._size *= 2

    def finish(self) -> tuple[int, list[int]]:
        """Return the number of samples for each pixel, and the data."""
        if self._rest:
            self._add_piece(self._rest)
        count = -(-len(self._lows[0]) // self._pixels) or 1
        columns = [
            [value >> 8 for value in _merged(choose, values, count)]
            for lows, highs in zip(self._lows, self._highs, strict=True)
            for choose, values in ((min, lows), (max, highs))
        ]
        return self._size * count, [value for pixel in zip(*columns, strict=True) for value in pixel]

    def _add_piece(self, piece: "array[int]") -> None:
        for channel in range(self._channels):
            values = piece[channel :: self._channels]
            self._lows[channel].append(min(values))
            self._highs[channel].append(max(values))


def _merged(choose: Callable[[list[int]], int], values: list[int], count: int) -> list[int]:
    return [choose(values[start : start + count]) for start in range(0, len(values), count)]
