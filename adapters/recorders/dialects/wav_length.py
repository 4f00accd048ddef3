"""The length of a WAV file, from its first bytes and its size."""

from typing import Final

from recordings.model.instants import SECOND, Millis

_PLAIN: Final = frozenset({1, 3, 6, 7, 0xFFFE})
"""The format tags with a constant number of bytes for a sample: PCM, floating point, A-law, mu-law, extensible."""
_UNKNOWN_SIZE: Final = frozenset({0, 0xFFFF_FFFF})


def wav_length(head: bytes, size: int) -> Millis | None:
    """Return the length of the audio of a file of this size; `None` if the head does not contain it.

    The size in a header can be missing or too large. So the size of the file is the upper limit.
    """
    if head[:4] not in {b"RIFF", b"RF64", b"BW64"} or head[8:12] != b"WAVE":
        return None
    at, bytes_per_second = 12, 0
    while at + 8 <= len(head):
        name, length = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        at += 8
        if name == b"data":
            present = max(0, size - at)
            samples = present if length in _UNKNOWN_SIZE else min(length, present)
            return samples * SECOND // bytes_per_second if bytes_per_second else None
        if name == b"fmt " and len(head) >= at + 16:
            tag, channels, rate, _, _, bits = _fields(head[at : at + 16])
            bytes_per_second = channels * rate * (bits // 8) if tag in _PLAIN else 0
        at += length + length % 2
    return None


def _fields(chunk: bytes) -> list[int]:
    """Return tag, channels, rate, bytes a second, bytes of a frame and bits of a `fmt ` chunk."""
    bounds = ((0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16))
    return [int.from_bytes(chunk[begin:end], "little") for begin, end in bounds]
