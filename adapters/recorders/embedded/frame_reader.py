"""Read WebSocket frames from bytes, without I/O (RFC 6455, section 5.2).

Nearly all frames of a media stream are messages of one frame. They are read here. All other frames, and all that is
invalid, are left to the parser of the library, which costs ten times as much.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

from websockets.frames import apply_mask  # type: ignore[attr-defined] # in C, if it is compiled

TEXT: Final = 1
OTHER: Final = 0
"""In place of an opcode: bytes for the other parser."""
_FIN: Final = 0x80
_MESSAGES: Final = (_FIN | 1, _FIN | 2)
"""The first byte of a message of one frame: text or binary."""
_OPCODES: Final = frozenset({0, 1, 2, 8, 9, 10})
_CLOSE: Final = 8
_MASKED: Final = 0x80
_HEAD: Final = 6
"""The bytes before the content of a short message: two, and the masking key."""
_SHORT: Final = 126
_LENGTH_SIZES: Final = {126: 2, 127: 8}
"""The values of the length that stand for a length in the next bytes, and how many these are."""
_USUAL: Final = Struct(">L4s")
"""The head of a usual message, whose length is in two bytes: these, the first two bytes, and the masking key."""
_USUAL_SIZE: Final = _USUAL.size
_MAX_GROUP: Final = 16
"""How many messages are unmasked before they are handled. More would use more memory."""


class FrameReader:
    """The frames of one client. `max_size` is the maximum length of a message in bytes."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._rest = bytearray()
        self._wanted = 0
        """How many bytes `_rest` needs before it is looked at again."""
        self._is_in_message = False
        """Whether the last data frame was a fragment, and another one follows."""
        self._is_over = False
        """Whether a close frame or an invalid frame has arrived."""

    def receive(self, data: bytes) -> Iterator[tuple[int, Sequence[bytes]]]:
        """Yield the opcode and the contents of messages that follow each other, or `OTHER` and another frame."""
        if self._rest:
            data = self._joined(data)
        begin, end = 0, len(data)
        while begin < end and data[begin] in _MESSAGES and not self._is_in_message and not self._is_over:
            opcode = data[begin] - _FIN
            contents, begin = self._usual(data, begin)
            if not contents:
                break
            yield opcode, contents
        if begin < end:
            for opcode, content in self._frames(data, begin):
                yield opcode, (content,)

    def _usual(self, data: bytes, begin: int) -> tuple[Sequence[bytes], int]:
        """Return the contents of the first messages, if their length is in two bytes, and the end of their frames.

        All of them have the same opcode. Four such messages arrive in a read, so nothing else is looked at.
        """
        contents: list[bytes] = []
        unpack = _USUAL.unpack_from
        kind = data[begin] << 24 | (_MASKED | _SHORT) << 16
        most, last = min(self._max_size, 0xFFFF), len(data) - _USUAL_SIZE
        while begin <= last and len(contents) < _MAX_GROUP:
            head, key = unpack(data, begin)
            start = begin + _USUAL_SIZE
            stop = start + head - kind
            if not 0 <= head - kind <= most or stop > len(data):
                break
            contents.append(apply_mask(data[start:stop], key))
            begin = stop
        return contents, begin

    def _frames(self, data: bytes, begin: int) -> Iterator[tuple[int, bytes]]:
        """Yield the opcode and the content of each message, or `OTHER` and the bytes of another frame."""
        end = len(data)
        while begin < end:
            if self._is_over:
                yield OTHER, data[begin:]
                return
            start = begin + _HEAD
            if end - begin == 1:
                return self._keep(data[begin:], _HEAD)
            head, length = data[begin], data[begin + 1] - _MASKED
            if length >= _SHORT:
                size = _LENGTH_SIZES[length]
                start += size
                if start > end:
                    return self._keep(data[begin:], _HEAD + size)
                length = int.from_bytes(data[begin + 2 : begin + 2 + size], "big")
            is_message = head in _MESSAGES and not self._is_in_message
            if length < 0 or length > self._max_size or (not is_message and head & 0x0F not in _OPCODES):
                # The other parser fails in the right way.
                self._is_over = True
                continue
            stop = start + length
            if stop > end:
                return self._keep(data[begin:], stop - begin)
            if is_message:
                yield head - _FIN, apply_mask(data[start:stop], data[start - 4 : start])
            else:
                self._note(head)
                yield OTHER, data[begin:stop]
            begin = stop

    def _joined(self, data: bytes) -> bytes:
        """Return all bytes that wait, or none if a frame is still incomplete."""
        self._rest += data
        if len(self._rest) < self._wanted:
            return b""
        joined = bytes(self._rest)
        self._rest.clear()
        return joined

    def _keep(self, rest: bytes, wanted: int) -> None:
        self._rest += rest
        self._wanted = wanted

    def _note(self, head: int) -> None:
        opcode = head & 0x0F
        if opcode == _CLOSE:
            self._is_over = True
        elif opcode < _CLOSE:
            self._is_in_message = not head & _FIN
