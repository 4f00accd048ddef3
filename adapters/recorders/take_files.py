"""Files of takes that a switch sends to this server by HTTP."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

from recordings.ports.recorder import TakeRefused

PATH: Final = "/ingest/take"
"""The beginning of the path of such a file. The second part after `/ingest/` is never logged."""


class TakeFiles:
    """The files that a switch is about to send. Each has an address of its own, which needs no store.

    The address depends on the secret of the switch, so all servers with the same settings know it.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._waiting: dict[str, asyncio.Future[AsyncIterator[bytes]]] = {}

    def path_of(self, recording_id: str) -> str:
        """Return the path to which the switch sends the file of a take."""
        return f"{PATH}/{self._token(recording_id)}/{recording_id}.wav"

    def expect(self, recording_id: str) -> "asyncio.Future[AsyncIterator[bytes]]":
        """Accept the file of a take from now on. The future gets its bytes, once. Cancel it to accept no more."""
        waiting: asyncio.Future[AsyncIterator[bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[recording_id] = waiting
        waiting.add_done_callback(lambda _: self._waiting.pop(recording_id, None))
        return waiting

    async def deliver(self, recording_id: str, token: str, chunks: AsyncIterator[bytes]) -> bool:
        """Hand over a file, and wait until its bytes are read. Return false if the file is not expected.

        Raises:
            TakeRefused: the file could not be read or stored.
        """
        waiting = self._waiting.get(recording_id)
        if waiting is None or waiting.done() or not hmac.compare_digest(token, self._token(recording_id)):
            return False
        read = asyncio.get_running_loop().create_future()
        waiting.set_result(_pass_on(chunks, read))
        await read
        return True

    def _token(self, recording_id: str) -> str:
        return hmac.new(self._secret, recording_id.encode(), hashlib.sha256).hexdigest()


async def _pass_on(chunks: AsyncIterator[bytes], read: "asyncio.Future[None]") -> AsyncIterator[bytes]:
    refused = TakeRefused("the switch did not send the whole file")
    try:
        async for chunk in chunks:
            yield chunk
    except Exception as error:
        raise refused from error
    else:
        with suppress(asyncio.InvalidStateError):
            read.set_result(None)
    finally:
        if not read.done():
            read.set_exception(refused)
