"""The formats of the audio in media streams: the names that senders give to them, and the length of a payload."""

import re
from dataclasses import dataclass
from typing import Final

from adapters.recorders.dialects.stream_limits import ProtocolError
from recordings.ports.audio import Codec

TELEPHONE: Final = 8_000
WIDEBAND: Final = 16_000
FULL_BAND: Final = 48_000
LINEAR_RATES: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 96_000, 192_000)
"""Sampling rates of L16 that are recorded."""
_MULAW: Final = frozenset({"mulaw", "ulaw", "pcmu", "mu-law"})
_ALAW: Final = frozenset({"alaw", "pcma", "a-law"})
_LINEAR: Final = frozenset(
    {"l16", "raw", "linear16", "linear", "lpcm", "pcm", "pcm16", "s16", "s16le", "slin", "base64"}
)
"""`base64` is Exotel's name."""
_RATE: Final = re.compile(r"(?:@|rate=)\s*([0-9]{4,6})")
_PREFIXES: Final = ("audio/", "raw/", "x-")
_OPUS_FRAMES: Final = (480, 960, 1_920, 2_880)
"""Samples of a frame in SILK mode (RFC 6716, section 3.1)."""


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """The codec, the sampling rate (Hz) and the number of tracks of a stream.

    Positions are counted in ticks. A tick is a sample, except in G.722: there it is a byte, which has two samples.
    """

    codec: Codec = Codec.MULAW
    rate: int = TELEPHONE
    tracks: int = 2

    @property
    def ticks_per_second(self) -> int:
        """The number of ticks in a second."""
        return TELEPHONE if self.codec is Codec.G722 else self.rate

    @property
    def width(self) -> int:
        """The number of bytes of a tick. An Opus packet has no such number."""
        return 2 if self.codec is Codec.S16 else 1

    @property
    def silent_byte(self) -> bytes:
        """The byte that silence consists of."""
        return _SILENT[self.codec]

    def ticks(self, payload: bytes) -> int:
        """Return the number of ticks of a payload."""
        if self.codec is Codec.OPUS:
            return opus_ticks(payload)
        return len(payload) // 2 if self.codec is Codec.S16 else len(payload)

    def milliseconds(self, payload: bytes) -> float:
        """Return the length of a payload in milliseconds."""
        return self.ticks(payload) * 1_000 / self.ticks_per_second


_SILENT: Final = {Codec.MULAW: b"\xff", Codec.ALAW: b"\xd5", Codec.S16: b"\0", Codec.G722: b"\xfc", Codec.OPUS: b""}


def format_of(name: str, rate: int | None, default: StreamFormat, field: str) -> StreamFormat:
    """Return the format of an encoding as senders name it, such as `audio/x-mulaw`, `PCMA` or `L16@16000h`.

    A missing name or rate is that of the default. `field` names the sender's field in an error.

    Raises:
        ProtocolError: the encoding or its rate cannot be recorded.
    """
    text = name.strip().lower()
    plain = re.split(r"[;@\s]", text, maxsplit=1)[0]
    for prefix in _PREFIXES:
        plain = plain.removeprefix(prefix)
    if rate is None and (found := _RATE.search(text)):
        rate = int(found[1])
    codec = _codec(plain, default)
    allowed = _RATES.get(codec) if codec is not None else None
    if codec is None or allowed is None:
        raise ProtocolError(f"{field} has the encoding {name[:32]!r}; allowed are mu-law, A-law, L16, G.722 and Opus")
    if codec in {Codec.G722, Codec.OPUS}:
        # Senders give the clock rate of RTP, which is 8000 for G.722, or the rate of a device.
        rate = allowed[0]
    if rate is None:
        rate = default.rate if codec is default.codec else allowed[0]
    if rate not in allowed:
        raise ProtocolError(f"{field} has the sampling rate {rate}; allowed are {', '.join(map(str, allowed))}")
    return StreamFormat(codec, rate, default.tracks)


_RATES: Final = {
    Codec.MULAW: (TELEPHONE,),
    Codec.ALAW: (TELEPHONE,),
    Codec.S16: LINEAR_RATES,
    Codec.G722: (WIDEBAND,),
    Codec.OPUS: (FULL_BAND,),
}


def _codec(name: str, default: StreamFormat) -> Codec | None:
    if not name:
        return default.codec
    if name in _MULAW:
        return Codec.MULAW
    if name in _ALAW:
        return Codec.ALAW
    if name in _LINEAR:
        return Codec.S16
    return {"g722": Codec.G722, "opus": Codec.OPUS}.get(name)


def opus_ticks(packet: bytes) -> int:
    """Return the number of samples of an Opus packet at 48 kHz; 0 for an invalid one (RFC 6716, section 3.1)."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:  # noqa: PLR2004 - SILK
        samples = _OPUS_FRAMES[config & 3]
    elif config < 16:  # noqa: PLR2004 - hybrid
        samples = _OPUS_FRAMES[config & 1]
    else:
        samples = 120 << (config & 3)
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[code]
    return samples * frames if samples * frames <= 5_760 else 0  # noqa: PLR2004 - 120 ms
