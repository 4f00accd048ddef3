"""The waveform of a file, in the JSON format of audiowaveform, version 2 (one 8-bit minimum and maximum a pixel).

peaks.js and waveform-data.js load it as it is; wavesurfer.js takes its `data` as `peaks`, with `normalize: true`.
Runs in a worker process: one pass over the audio, in memory that depends on the pixels alone.
"""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypedDict

from adapters.audio.containers import open_container
from adapters.audio.pcm import resampled
from recordings.model.instants import HOUR

MOST_PIXELS: Final = 10_000
LONGEST: Final = 24 * HOUR
_FINER: Final = 16
"""How much finer than the pixels it is drawn first: so close the pixels come to the number that was asked for."""


class Waveform(TypedDict):
    """The fields of the format. `data` has, for each pixel, the minimum and maximum of each channel in turn."""

    version: int
    channels: int
    sample_rate: int
    samples_per_pixel: int
    bits: int
    length: int
    data: list[int]


def waveform(path: str, pixels: int) -> Waveform:
    """Draw a file in at most so many pixels. Blocks.

    Raises:
        NotAudio: it cannot be decoded.
        ValueError: it cannot be drawn in so few or so many.
    """
    if not 1 <= pixels <= MOST_PIXELS:
        message = f"a waveform has 1 to {MOST_PIXELS} pixels, not {pixels}"
        raise ValueError(message)
    with Path(path).open("rb") as file, open_container(file) as container:
        channels, rate = min(container.channels, 2), container.sample_rate
        drawing = Drawing(channels, pixels)
        for frame in resampled(container.frames(LONGEST), "s16", "stereo" if channels > 1 else "mono", rate):
            drawing.add(array("h", bytes(frame.planes[0])[: 2 * channels * frame.samples]))
    step, data = drawing.finish()
    return {
        "version": 2,
        "channels": channels,
        "sample_rate": rate,
        "samples_per_pixel": step,
        "bits": 8,
        "length": len(data) // (2 * channels),
        "data": data,
    }


class Drawing:
    """Minima and maxima of ever longer pieces, so that their number stays bounded whatever the length."""

    def __init__(self, channels: int, pixels: int) -> None:
        self._channels = channels
        self._pixels = pixels
        self._size = 1
        self._rest = array("h")
        self._lows: list[list[int]] = [[] for _ in range(channels)]
        self._highs: list[list[int]] = [[] for _ in range(channels)]

    def add(self, samples: "array[int]") -> None:
        """Some more samples, those of the channels in turn."""
        self._rest.extend(samples)
        step = self._size * self._channels
        whole = len(self._rest) // step * step
        for start in range(0, whole, step):
            self._note(self._rest[start : start + step])
        del self._rest[:whole]
        while len(self._lows[0]) >= 2 * _FINER * self._pixels:
            self._lows = [_merged(min, values, 2) for values in self._lows]
            self._highs = [_merged(max, values, 2) for values in self._highs]
            self._size *= 2

    def finish(self) -> tuple[int, list[int]]:
        """Samples a pixel, and the data."""
        if self._rest:
            self._note(self._rest)
        count = -(-len(self._lows[0]) // self._pixels) or 1
        columns = [
            [value >> 8 for value in _merged(choose, values, count)]
            for lows, highs in zip(self._lows, self._highs, strict=True)
            for choose, values in ((min, lows), (max, highs))
        ]
        return self._size * count, [value for pixel in zip(*columns, strict=True) for value in pixel]

    def _note(self, piece: "array[int]") -> None:
        for channel in range(self._channels):
            values = piece[channel :: self._channels]
            self._lows[channel].append(min(values))
            self._highs[channel].append(max(values))


def _merged(choose: Callable[[list[int]], int], values: list[int], count: int) -> list[int]:
    return [choose(values[start : start + count]) for start in range(0, len(values), count)]
