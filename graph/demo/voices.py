"""Two synthetic voices that talk to each other, as G.711 mu-law at 8 kHz. They can be recorded without a telephone.

The caller uses low notes and the callee high notes, and they take turns. A listener can hear, and a test can measure,
which voice is on which channel.
"""

import math
from collections.abc import Iterator
from functools import cache
from typing import Final

SAMPLE_RATE: Final = 8_000
FRAME_MS: Final = 20
FRAME: Final = SAMPLE_RATE * FRAME_MS // 1_000
CALLER: Final = (220.0, 262.0, 294.0, 330.0)
"""The notes of the caller in Hz."""
CALLEE: Final = (466.0, 554.0, 622.0, 698.0)
"""The notes of the callee in Hz. No note is one octave above a note of the caller."""
_SYLLABLE: Final = 1_600
"""Samples of one note."""
_TURN: Final = 10
"""Number of notes in one turn of a speaker."""
_LOUDNESS: Final = 9_000
_BIAS, _CLIP = 132, 32_635
SILENCE: Final = b"\xff"


def _mulaw(sample: int) -> int:
    sign, magnitude = (0x80, -sample) if sample < 0 else (0, sample)
    magnitude = min(magnitude, _CLIP) + _BIAS
    exponent = magnitude.bit_length() - 8
    return ~(sign | exponent << 4 | magnitude >> (exponent + 3) & 0x0F) & 0xFF


def voices(tune: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Yield endless pairs of 20 ms frames, of caller and callee. Each `tune` gives a different conversation."""
    number = 0
    while True:
        speaks = number // _TURN % 2
        for frames in zip(_syllable(CALLER, tune, number), _syllable(CALLEE, tune, number), strict=True):
            yield (frames[0], SILENCE * FRAME) if speaks == 0 else (SILENCE * FRAME, frames[1])
        number += 1


def _syllable(notes: tuple[float, ...], tune: int, number: int) -> list[bytes]:
    # The sequence of notes has a long period. The last note of a turn is silent.
    note = notes[(number * number + number * (tune + 3) + tune) % len(notes)]
    return _tone(note, 0 if number % _TURN == _TURN - 1 else _LOUDNESS)


@cache
def _tone(note: float, loudness: int) -> list[bytes]:
    wave = bytes(_mulaw(_sample(note, position, loudness)) for position in range(_SYLLABLE))
    return [wave[start : start + FRAME] for start in range(0, _SYLLABLE, FRAME)]


def _sample(note: float, position: int, loudness: int) -> int:
    angle = 2 * math.pi * note * position / SAMPLE_RATE
    envelope = math.sin(math.pi * position / _SYLLABLE)
    return round(loudness * envelope * (math.sin(angle) + 0.25 * math.sin(2 * angle)))
