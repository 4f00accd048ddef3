"""Puts the G.711 packets of the two parties of a call on one time line. No I/O.

The left channel is the party whose packet came first. A position is the RTP timestamp, as long as it agrees with the
time of arrival. Missing packets are silence. The result is an AU file in A-law or mu-law: its header may leave the
length open.
"""

import struct
from dataclasses import dataclass
from typing import Final

from adapters.recorders.rtpengine.pcap_reader import RtpPacket

RATE: Final = 8_000
MULAW: Final = 0
ALAW: Final = 8
_AU_ENCODINGS: Final = {MULAW: 1, ALAW: 27}
_SILENCE: Final = {MULAW: b"\xff", ALAW: b"\xd5"}
WINDOW: Final = 2 * RATE
"""Samples that a packet may come late. Older audio has been returned already."""
_TOLERANCE: Final = RATE
"""A timestamp that differs from the time of arrival by more samples begins a new time line."""
MAX_SAMPLES: Final = 24 * 3_600 * RATE
"""Maximum length of a recording. Later packets are left out."""


def _linear(law: int, byte: int) -> int:
    """Return the sample of a G.711 byte (ITU-T G.711)."""
    if law == MULAW:
        byte = ~byte & 0xFF
        value = (((byte & 0x0F) << 3) + 0x84 << (byte >> 4 & 7)) - 0x84
        return -value if byte & 0x80 else value
    byte ^= 0x55
    exponent, value = byte >> 4 & 7, ((byte & 0x0F) << 4) + 8
    value = value if exponent == 0 else value + 0x100 << exponent - 1
    return value if byte & 0x80 else -value


def _table(source: int, target: int) -> bytes:
    """Return the translation of one law into the other: the nearest sample."""

    def nearest(sample: int) -> int:
        # Of two equally near samples, the positive one: silence stays silence.
        return min(range(256), key=lambda byte: (abs(_linear(target, byte) - sample), -_linear(target, byte)))

    return bytes(nearest(_linear(source, byte)) for byte in range(256))


_TRANSLATIONS: Final = {(MULAW, ALAW): _table(MULAW, ALAW), (ALAW, MULAW): _table(ALAW, MULAW)}


@dataclass(slots=True)
class _Stream:
    """One SSRC at one port: the position of its first packet, and the timestamp there."""

    side: int
    base: int
    timestamp: int


class RtpStereo:
    """Collects packets, and returns the audio in pieces. It keeps about two seconds in memory."""

    def __init__(self) -> None:
        self.law: int | None = None
        self.other_payloads = 0
        """Packets in other codecs. They are not in the audio."""
        self._first = 0.0
        self._streams: dict[tuple[int, int], _Stream] = {}
        """By port and SSRC: both parties may have the same SSRC."""
        self._ports: dict[int, int] = {}
        self._heard = [0, 0]
        self._done = 0
        self._sides = [bytearray(), bytearray()]

    def header(self) -> bytes:
        """Return the header of the file. The law must be known."""
        encoding = _AU_ENCODINGS[self.law if self.law is not None else MULAW]
        return struct.pack(">4sIIIII", b".snd", 24, 0xFFFFFFFF, encoding, RATE, 2)

    def add(self, packet: RtpPacket) -> bytes:
        """Add a packet. Return the audio that no later packet can change, which is often none."""
        if packet.payload_type not in _SILENCE:
            self.other_payloads += 1
            return b""
        if self.law is None:
            self.law, self._first = packet.payload_type, packet.time
        arrival = max(0, round((packet.time - self._first) * RATE))
        if arrival > MAX_SAMPLES:
            return b""
        out = self._take(max(0, arrival - WINDOW))
        stream, position = self._place(packet, arrival)
        self._write(stream.side, position, packet)
        return out

    def finish(self) -> bytes:
        """Return the rest of the audio."""
        return self._take(self._done + max(map(len, self._sides)))

    def _place(self, packet: RtpPacket, arrival: int) -> tuple[_Stream, int]:
        key = (packet.port, packet.ssrc)
        stream = self._streams.get(key)
        if stream is not None:
            # Timestamps wrap, and a late packet has an earlier one.
            delta = (packet.timestamp - stream.timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            position = stream.base + delta
            if abs(position - arrival) <= _TOLERANCE:
                stream.base, stream.timestamp = position, packet.timestamp
                self._heard[stream.side] = arrival
                return stream, position
        side = self._ports.setdefault(packet.port, self._side_of_new_port())
        if len(self._streams) > 1_000:  # noqa: PLR2004 - far more than the streams of a call
            self._streams.clear()
        stream = self._streams[key] = _Stream(side, arrival, packet.timestamp)
        self._heard[side] = arrival
        return stream, arrival

    def _side_of_new_port(self) -> int:
        used = set(self._ports.values())
        if len(used) < 2:  # noqa: PLR2004 - left and right
            return 1 if 0 in used else 0
        # The media of a party moved to another port: it is the party that has been silent for longer.
        return 0 if self._heard[0] <= self._heard[1] else 1

    def _write(self, side: int, position: int, packet: RtpPacket) -> None:
        law = self.law if self.law is not None else MULAW
        payload = packet.payload
        if packet.payload_type != law:
            payload = payload.translate(_TRANSLATIONS[packet.payload_type, law])
        start = position - self._done
        if start < 0:
            payload, start = payload[-start:], 0
        track = self._sides[side]
        if len(track) < start:
            track += _SILENCE[law] * (start - len(track))
        track[start : start + len(payload)] = payload

    def _take(self, until: int) -> bytes:
        count = until - self._done
        if count <= 0 or self.law is None:
            return b""
        out = bytearray(_SILENCE[self.law] * (2 * count))
        for side, track in enumerate(self._sides):
            part = track[:count]
            out[side : 2 * len(part) : 2] = part
            del track[:count]
        self._done = until
        return bytes(out)
