"""Telling the other servers, by the metadata store, that this one is there and which calls it has."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from recordings.model.call import Call
from recordings.model.instants import HOUR, SECOND, Millis
from recordings.ports.peers import Peer, PeerStore

log = logging.getLogger(__name__)

BEAT: Final = 2.0
"""Seconds after which a server says again that it is there."""
LEASE: Final[Millis] = 6 * SECOND
"""How long it is believed; a server that died is forgotten after this time."""
KEEP: Final[Millis] = 24 * HOUR
"""How long a call is kept that nobody took away: longer than any lasts."""
PATIENCE: Final = 2.0
"""Seconds that a server which goes takes to say so."""


class Announcer:
    """Keeps what the store says of this server as it is, from `start` to `stop`.

    Only the difference to what was told before is written, once a beat, and at once after `changed`. What could not be
    written is written by the next beat.
    """

    def __init__(self, store: PeerStore, me: Peer, live: Callable[[], Sequence[Call]]) -> None:
        self._store = store
        self._me = me
        self._live = live
        self._told: dict[tuple[str, str], Call] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Forget what the last process of this node said, and begin."""
        await self._store.leave(self._me.node)
        await self.tell()
        self._task = asyncio.create_task(self._run(), name="announcer")

    def changed(self) -> None:
        """A call came or went; cheap, and fine to call too often."""
        self._woken.set()

    async def tell(self) -> None:
        """Write down what is so by now."""
        await self._store.greet(self._me, LEASE)
        live = {(call.account_id, call.call_id): call for call in self._live()}
        gone = [names for names in self._told if names not in live]
        # Also one that ended and began anew in between: its parties may be others.
        new = {names: call for names, call in live.items() if self._told.get(names) is not call}
        await self._store.remove_calls(self._me.node, gone)
        for names in gone:
            del self._told[names]
        await self._store.add_calls(self._me.node, list(new.values()), KEEP)
        self._told |= new

    async def stop(self) -> None:
        """Say that this server goes. What could not be said is over with the lease."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(Exception):
            async with asyncio.timeout(PATIENCE):
                await self._store.leave(self._me.node)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT):
                    await self._woken.wait()
            self._woken.clear()
            try:
                await self.tell()
            except Exception:
                # Whatever it is, it may be over by the next beat.
                log.warning("other servers cannot be told of this one's calls now", exc_info=True)
                await asyncio.sleep(BEAT)
