"""Reads the RTP packets of a pcap file, as rtpengine writes it: Ethernet or raw IP, UDP, RTP version 2. No I/O."""

import struct
from dataclasses import dataclass
from typing import Final

MAX_PACKET: Final = 65_535
"""Maximum length of a captured packet, in bytes."""
_MAGIC: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
"""The byte order and the units of a second, by the first bytes of a file."""
_ETHERNET: Final = 1
_RAW: Final = frozenset({12, 14, 101})
_LINK_HEADER: Final = 14
_GLOBAL_HEADER: Final = 24
_RECORD_HEADER: Final = 16
_UDP: Final = 17


class PcapError(ValueError):
    """The bytes are not a pcap file that this reader can read."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """A packet: when it was captured, in seconds, the port that received it, and its RTP fields."""

    time: float
    port: int
    ssrc: int
    sequence: int
    timestamp: int
    payload_type: int
    payload: bytes


class PcapReader:
    """Returns the RTP packets of a file, of which the bytes come in any pieces.

    Other packets, such as RTCP, are left out. An incomplete record at the end is left out, too.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._order = ""
        self._units = 1
        self._link = 0

    def feed(self, data: bytes) -> list[RtpPacket]:
        """Return the packets that these bytes complete.

        Raises:
            PcapError: the file is not pcap, or damaged.
        """
        self._buffer += data
        at = 0
        if not self._order:
            if len(self._buffer) < _GLOBAL_HEADER:
                return []
            self._read_header(self._buffer[:_GLOBAL_HEADER])
            at = _GLOBAL_HEADER
        packets = []
        while len(self._buffer) - at >= _RECORD_HEADER:
            seconds, part, length, _ = struct.unpack_from(f"{self._order}IIII", self._buffer, at)
            if length > MAX_PACKET:
                raise PcapError(f"a record of {length} bytes is too long")
            if len(self._buffer) - at - _RECORD_HEADER < length:
                break
            at += _RECORD_HEADER
            packet = _rtp(seconds + part / self._units, _ip(self._buffer[at : at + length], self._link))
            at += length
            packets += [packet] if packet is not None else []
        self._buffer = self._buffer[at:]
        return packets

    def _read_header(self, header: bytes) -> None:
        if header[:4] not in _MAGIC:
            raise PcapError("the file does not begin like a pcap file")
        self._order, self._units = _MAGIC[header[:4]]
        self._link = struct.unpack_from(f"{self._order}I", header, 20)[0] & 0xFFFF
        if self._link != _ETHERNET and self._link not in _RAW:
            raise PcapError(f"the link type {self._link} is unknown")


def _ip(frame: bytes, link: int) -> bytes:
    return frame[_LINK_HEADER:] if link == _ETHERNET else frame


def _rtp(time: float, packet: bytes) -> RtpPacket | None:
    """Return the RTP packet in an IP packet; `None` if there is none."""
    udp = _udp(packet)
    # RTCP has the payload types 64 to 95 here (RFC 5761, section 4).
    if len(udp) < 20 or udp[8] >> 6 != 2 or 64 <= udp[9] & 0x7F <= 95:  # noqa: PLR2004 - header lengths, RTP version
        return None
    (port,) = struct.unpack_from(">H", udp, 2)
    first, second, sequence, timestamp, ssrc = struct.unpack_from(">BBHII", udp, 8)
    body = udp[20 + 4 * (first & 0x0F) :]
    if first & 0x10 and len(body) >= 4:  # noqa: PLR2004 - the header of an extension
        body = body[4 + 4 * struct.unpack_from(">H", body, 2)[0] :]
    if first & 0x20 and body:
        body = body[: max(0, len(body) - body[-1])]
    return RtpPacket(time, port, ssrc, sequence, timestamp, second & 0x7F, body)


def _udp(packet: bytes) -> bytes:
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20 and packet[9] == _UDP:  # noqa: PLR2004 - the IPv4 header
        return packet[4 * (packet[0] & 0x0F) :]
    if version == 6 and len(packet) >= 40 and packet[6] == _UDP:  # noqa: PLR2004 - the IPv6 header
        return packet[40:]
    return b""
