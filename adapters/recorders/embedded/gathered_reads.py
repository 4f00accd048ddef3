"""Reads the connections of all streams together, every 40 ms.

A message that arrives alone wakes the process, and no CPU cache has its data. It costs several times as much as one
that is read with others. A stream sends a hundred small messages a second, so the kernel gathers them.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Final, Protocol

PERIOD: Final = 0.04
"""Seconds between two reads of a connection, and the longest delay of a message: the length of two usual frames."""
NOTICED: Final = 4 * PERIOD
"""So many seconds after the end of a connection, this server knows it: after two reads, and a turn of the loop."""
READ_SIZE: Final = 16_384
"""Maximum number of bytes in one read."""
AT_ONCE: Final = 50
"""How many connections are read before the event loop handles other events."""


class Reader(Protocol):
    """A connection that the event loop does not read."""

    def read_waiting(self) -> None:
        """Read the bytes that wait, if it is still added."""


class GatheredReads:
    """The connections of one event loop that are read together."""

    def __init__(self) -> None:
        self._readers: dict[int, Reader] = {}
        self._is_scheduled = False

    def add(self, file: int, reader: Reader) -> None:
        """Read a connection, whose file descriptor must stay open until `remove`."""
        self._readers[file] = reader
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(PERIOD, self._read)

    def remove(self, file: int) -> None:
        """Stop reading a connection."""
        del self._readers[file]

    def _read(self) -> None:
        self._is_scheduled = bool(self._readers)
        if self._is_scheduled:
            asyncio.get_running_loop().call_later(PERIOD, self._read)
            # Nearly all of them have bytes, so a selector would only cost time.
            self._read_some(tuple(self._readers.values()))

    def _read_some(self, readers: Sequence[Reader]) -> None:
        for reader in readers[:AT_ONCE]:
            reader.read_waiting()
        if len(readers) > AT_ONCE:
            asyncio.get_running_loop().call_soon(self._read_some, readers[AT_ONCE:])


def read_now(file: int) -> bytes | None:
    """Return the bytes that wait; none at the end of the connection, and `None` if no bytes wait."""
    try:
        return os.read(file, READ_SIZE)
    except BlockingIOError:
        return None
    except OSError:
        # The event loop finds that the connection has ended.
        return b""
