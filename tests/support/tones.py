"""Tones: how a test knows which audio it hears, and how well."""

import io
from typing import Final

import av
import numpy as np

RATE: Final = 8_000
"""Samples per second of the tones."""


def alaw_tone(hertz: float) -> bytes:
    """Return a second of a tone in A-law, by an independent encoder."""
    samples = np.round(np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE) * 12_000).astype(np.int16)
    encoder = av.CodecContext.create("pcm_alaw", "w")
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "mono", "s16"
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), "s16", "mono")
    frame.sample_rate = RATE
    return b"".join(bytes(each) for each in [*encoder.encode(frame), *encoder.encode(None)])


def stereo_samples(data: bytes) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """Return the samples of a stereo file: a row for each time, a column for each side."""
    with av.open(io.BytesIO(data), "r") as opened:
        parts = [frame.to_ndarray().reshape(-1, 2) for frame in opened.decode(audio=0)]
    return np.concatenate(parts).astype(float)


def signal_to_noise(samples: "np.ndarray[tuple[int], np.dtype[np.float64]]", hertz: float) -> float:
    """Return the ratio of a tone to the rest, in dB, in the middle second."""
    middle = samples[len(samples) // 2 - RATE // 2 :][:RATE]
    times = np.arange(len(middle)) / RATE
    basis = np.stack([np.sin(2 * np.pi * hertz * times), np.cos(2 * np.pi * hertz * times)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    return float(10 * np.log10(np.sum(fitted**2) / np.sum((middle - fitted) ** 2)))
