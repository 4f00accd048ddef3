"""Frames of WebSockets: the quick reader and the parser of the library find the same as the library alone."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from adapters.recorders.embedded.frame_reader import OTHER, FrameReader

MAX_SIZE = 300
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
Found = tuple[list[tuple[int, bytes, bool]], str | None]
FRAMES = st.builds(
    lambda opcode, data, fin: Frame(opcode, data[:125] if opcode >= Opcode.CLOSE else data, fin or opcode >= 8),
    st.sampled_from([*Opcode, Opcode.TEXT, Opcode.BINARY, Opcode.TEXT]),
    st.sampled_from([b"", b"x", b"ab" * 62, b"abc" * 42, bytes(MAX_SIZE), bytes(MAX_SIZE + 1)]),
    st.booleans(),
)


def connection() -> ServerProtocol:
    """Return the library's side of a connection, after the handshake."""
    made = ServerProtocol(max_size=MAX_SIZE)
    made.receive_data(REQUEST)
    (request,) = made.events_received()
    made.send_response(made.accept(request))  # type: ignore[arg-type]
    return made


def seen(library: ServerProtocol) -> list[tuple[int, bytes, bool]]:
    events = library.events_received()
    return [(event.opcode, bytes(event.data), event.fin) for event in events if isinstance(event, Frame)]


def fault(library: ServerProtocol) -> str | None:
    return None if library.parser_exc is None else type(library.parser_exc).__name__


def by_library(pieces: Sequence[bytes]) -> Found:
    library = connection()
    for piece in pieces:
        library.receive_data(piece)
    return seen(library), fault(library)


def by_reader(pieces: Sequence[bytes]) -> Found:
    library, reader, found = connection(), FrameReader(MAX_SIZE), []
    for piece in pieces:
        for opcode, contents in reader.receive(piece):
            if opcode != OTHER:
                found += [(opcode, content, True) for content in contents]
                continue
            library.receive_data(contents[0])
            found += seen(library)
            if library.parser_exc is not None:
                return found, fault(library)
    return found, fault(library)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    cuts = sorted(place % (len(data) + 1) for place in places)
    return [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@settings(max_examples=100)
@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 3_000), max_size=6))
def test_any_division_of_any_frames_is_read_as_by_the_library(frames: list[Frame], places: list[int]) -> None:
    data = b"".join(frame.serialize(mask=True) for frame in frames)
    assert by_reader(cut(data, places)) == by_library([data])


@settings(max_examples=100)
@given(st.lists(FRAMES, min_size=1, max_size=4), st.data())
def test_damaged_frames_are_read_as_by_the_library(frames: list[Frame], data: st.DataObject) -> None:
    damaged = bytearray(b"".join(frame.serialize(mask=True) for frame in frames))
    place = data.draw(st.integers(0, min(len(damaged) - 1, 400)))
    damaged[place] ^= data.draw(st.integers(1, 255))
    found, expected = by_reader([bytes(damaged)]), by_library([bytes(damaged)])
    # A long fragment is read to its end before it is found too long for its message.
    assert found == expected or (found[1] is None and expected[0][: len(found[0])] == found[0])


def test_a_long_frame_in_small_pieces_is_read_once_it_is_complete() -> None:
    reader, data = FrameReader(1_000_000), Frame(Opcode.BINARY, bytes(range(250)) * 1_000).serialize(mask=True)
    found = [message for byte in cut(data, range(0, len(data), 7)) for message in reader.receive(byte)]
    assert found == [(Opcode.BINARY, (bytes(range(250)) * 1_000,))]


@pytest.mark.parametrize("data", [b"\x81\x01", b"\x83\x80", b"\x81\xff" + bytes([255] * 12)])
def test_a_wrong_head_goes_to_the_library_at_once(data: bytes) -> None:
    assert list(FrameReader(MAX_SIZE).receive(data)) == [(OTHER, (data,))]
