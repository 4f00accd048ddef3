"""Let one process of a node at a time seal the audit trail: the server, or a command beside it."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

SEAL_LOCK: Final = "seal.lock"
_WAIT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05


@asynccontextmanager
async def seal_turn(data: Path) -> AsyncIterator[None]:
    """Wait until no other process with this data folder seals. The kernel releases the lock of a killed process.

    Raises:
        TimeoutError: another process seals for too long.
    """
    with (data / SEAL_LOCK).open("w") as file:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                # A waiting thread could not be cancelled, and would get the lock later.
                while not _locked(file):  # noqa: ASYNC110 - the lock is that of another process
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError as error:
            raise TimeoutError("another process seals the audit trail: its media store is too slow") from error
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
