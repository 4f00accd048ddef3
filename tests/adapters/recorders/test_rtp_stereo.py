"""The packets of a pcap file become stereo audio: sides, loss, order, time lines, damage and bounds."""

import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.recorders.rtpengine.pcap_reader import PcapError, PcapReader, RtpPacket
from adapters.recorders.rtpengine.rtp_stereo import ALAW, MULAW, RATE, RtpStereo
from tests.contract.recorders.ng_double import HEADER
from tests.contract.recorders.ng_double import packet as record

CAPTURED = Path(__file__).parent / "captured" / "rtpengine_call.pcap"
FRAME = 160
SILENT = b"\xd5"


def rtp(number: int, side: int = 0, payload: bytes = b"\x55" * FRAME, **given: object) -> RtpPacket:
    """Return a packet that arrived in time, 20 ms of audio for each number."""
    values: dict[str, object] = {
        "time": 100.0 + number / 50,
        "port": 30_000 + side,
        "ssrc": side + 1,
        "sequence": number & 0xFFFF,
        "timestamp": number * FRAME & 0xFFFFFFFF,
        "payload_type": ALAW,
        "payload": payload,
    }
    return RtpPacket(**{**values, **given})  # type: ignore[arg-type]


def mix(*packets: RtpPacket) -> tuple[bytes, bytes]:
    """Return the two sides as G.711."""
    stereo = RtpStereo()
    audio = b"".join([*(stereo.add(each) for each in packets), stereo.finish()])
    return audio[0::2], audio[1::2]


def test_the_captured_call_has_200_packets_of_two_parties() -> None:
    packets = PcapReader().feed(CAPTURED.read_bytes())
    assert (len(packets), {each.ssrc for each in packets}) == (200, {0x1111, 0x2222})
    stereo = RtpStereo()
    audio = b"".join([stereo.add(each) for each in packets]) + stereo.finish()
    assert len(audio) / 2 / RATE == pytest.approx(2, abs=0.02)
    heard = av.open(io.BytesIO(stereo.header() + audio), "r")
    frames = np.concatenate([frame.to_ndarray() for frame in heard.decode(audio=0)], axis=1)
    samples = frames.reshape(-1, 2) if frames.shape[0] == 1 else frames.T
    assert (heard.streams.audio[0].rate, samples.shape[1]) == (RATE, 2)
    assert len(samples) == len(audio) // 2


def test_both_parties_may_have_the_same_ssrc() -> None:
    # SIPp's callers and callees do.
    left, right = mix(*(rtp(number, side, bytes([side + 1]) * FRAME, ssrc=7) for number in range(5) for side in (0, 1)))
    assert (set(left), set(right)) == ({1}, {2})


@settings(max_examples=30)
@given(st.lists(st.integers(1, 20_000), max_size=8))
def test_any_pieces_of_a_file_give_the_same_packets(sizes: list[int]) -> None:
    whole, reader, packets = CAPTURED.read_bytes(), PcapReader(), []
    for size in sizes:
        packets += reader.feed(whole[:size])
        whole = whole[size:]
    assert packets + reader.feed(whole) == PcapReader().feed(CAPTURED.read_bytes())


@settings(max_examples=200)
@given(st.integers(0, 900), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_gives_packets_or_an_error(at: int, damage: bytes) -> None:
    whole = HEADER + b"".join(record(number, 30_000, 1) for number in range(4))
    stereo = RtpStereo()
    try:
        for each in PcapReader().feed(whole[:at] + damage + whole[at + len(damage) :]):
            stereo.add(each)
    except PcapError:
        pass
    assert len(stereo.finish()) <= 4 * 2 * RATE


@pytest.mark.parametrize("header", [b"RIFF" * 6, HEADER[:20] + struct.pack("<I", 105)])
def test_another_file_is_an_error(header: bytes) -> None:
    with pytest.raises(PcapError):
        PcapReader().feed(header)


def test_raw_ip_and_ipv6_and_big_endian_are_read() -> None:
    frame = record(0, 30_000, 7)[16 + 14 :]
    header = struct.pack(">IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    raw = header + struct.pack(">IIII", 1, 0, len(frame), len(frame)) + frame
    v6 = bytes([0x60, 0, 0, 0]) + struct.pack(">HBB", len(frame) - 20, 17, 64) + b"\0" * 32 + frame[20:]
    raw += struct.pack(">IIII", 2, 0, len(v6), len(v6)) + v6
    assert [(each.ssrc, each.port, each.time) for each in PcapReader().feed(raw)] == [(7, 30_000, 1), (7, 30_000, 2)]


def test_the_party_whose_packet_came_first_is_left() -> None:
    left, right = mix(rtp(0, 1, b"\x11" * FRAME), rtp(0, 0, b"\x22" * FRAME))
    assert (left, right) == (b"\x11" * FRAME, b"\x22" * FRAME)


def test_lost_packets_are_silence_and_late_ones_are_in_their_place() -> None:
    left, right = mix(rtp(0), rtp(3), rtp(1, time=100.07), rtp(4, 1))
    tone = b"\x55" * FRAME
    assert left == tone + tone + SILENT * FRAME + tone + SILENT * FRAME
    assert right == SILENT * FRAME * 4 + tone


def test_a_repeated_packet_is_in_the_audio_once() -> None:
    assert len(mix(rtp(0), rtp(0), rtp(1), rtp(1))[0]) == 2 * FRAME


def test_a_timestamp_wraps() -> None:
    start = 0xFFFFFFFF - 200
    packets = [rtp(number, timestamp=(start + number * FRAME) & 0xFFFFFFFF) for number in range(5)]
    assert mix(*packets)[0] == b"\x55" * FRAME * 5


def test_a_new_source_on_the_same_port_stays_on_its_side() -> None:
    packets = [rtp(0), rtp(0, 1), rtp(1), rtp(2, ssrc=99, timestamp=5), rtp(3, ssrc=99, timestamp=165)]
    left, right = mix(*packets)
    assert left == b"\x55" * FRAME * 4
    assert right[FRAME:] == SILENT * FRAME * 3


def test_a_party_that_moves_to_another_port_keeps_its_side() -> None:
    both = [each for number in range(50) for each in (rtp(number), rtp(number, 1, b"\x11" * FRAME))]
    # The left party is transferred; the right one goes on.
    later = [rtp(number, 1, b"\x11" * FRAME) for number in range(50, 100)]
    moved = [rtp(number, port=31_000, ssrc=9, payload=b"\x33" * FRAME) for number in range(75, 100)]
    left, right = mix(*sorted([*both, *later, *moved], key=lambda each: each.time))
    assert right == b"\x11" * FRAME * 100
    assert left[75 * FRAME :] == b"\x33" * FRAME * 25


def test_a_jump_of_the_timestamp_begins_a_new_time_line() -> None:
    packets = [rtp(0), rtp(1), rtp(2, timestamp=3_000_000_000), rtp(3, timestamp=3_000_000_160)]
    assert mix(*packets)[0] == b"\x55" * FRAME * 4


def test_two_laws_become_the_first_one() -> None:
    left, right = mix(rtp(0), rtp(0, 1, b"\xff" * FRAME, payload_type=MULAW))
    assert (left, right) == (b"\x55" * FRAME, SILENT * FRAME)


def test_events_and_other_codecs_are_left_out() -> None:
    stereo = RtpStereo()
    assert stereo.add(rtp(0, payload_type=101)) == b""
    assert (stereo.law, stereo.other_payloads, stereo.finish()) == (None, 1, b"")


def test_a_long_call_needs_little_memory() -> None:
    stereo, returned = RtpStereo(), 0
    for number in range(0, 180_000, 10):
        returned += len(stereo.add(rtp(number)))
        assert sum(map(len, stereo._sides)) <= 2 * 3 * RATE
    assert (returned + len(stereo.finish())) / 2 / RATE == pytest.approx(3_600, abs=0.3)


def test_a_wrong_clock_makes_no_endless_file() -> None:
    left, _ = mix(rtp(0), rtp(1), rtp(0, time=1e12))
    assert len(left) == 2 * FRAME
