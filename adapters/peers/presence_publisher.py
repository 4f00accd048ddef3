"""Publishes this server and its live calls to the other servers, through the metadata store."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from recordings.model.call import Call
from recordings.model.instants import HOUR, SECOND, Millis
from recordings.ports.peers import Peer, PeerStore

log = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two publications."""
LEASE: Final[Millis] = 6 * SECOND
"""The validity of a publication. Other servers forget a dead server after this time."""
MAX_CALL: Final[Millis] = 24 * HOUR
"""The time after which the store deletes a call that was never removed. No call lasts this long."""
STOP_TIMEOUT: Final = 2.0
"""Seconds that a server that stops may take to unpublish itself."""


class PresencePublisher:
    """Keeps the published state of this server up to date, from `start` to `stop`.

    It writes only the difference to the last publication: once per interval, and at once after `notify_change`. The
    next publication repeats a write that failed.
    """

    def __init__(self, store: PeerStore, server: Peer, live_calls: Callable[[], Sequence[Call]]) -> None:
        self._store = store
        self._server = server
        self._live_calls = live_calls
        self._published: dict[tuple[str, str], Call] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Remove what the last process of this node published, and start to publish."""
        await self._store.leave(self._server.node)
        await self.publish()
        self._task = asyncio.create_task(self._run(), name="presence publisher")

    def notify_change(self) -> None:
        """Publish soon, because a call started or ended. This is cheap, and extra calls do no harm."""
        self._changed.set()

    async def publish(self) -> None:
        """Write the difference between the live calls and the published calls."""
        await self._store.greet(self._server, LEASE)
        live = {(call.account_id, call.call_id): call for call in self._live_calls()}
        ended = [key for key in self._published if key not in live]
        # A call that ended and started again under the same id is new too: its parties may differ.
        started = {key: call for key, call in live.items() if self._published.get(key) is not call}
        await self._store.remove_calls(self._server.node, ended)
        for key in ended:
            del self._published[key]
        await self._store.add_calls(self._server.node, list(started.values()), MAX_CALL)
        self._published |= started

    async def stop(self) -> None:
        """Unpublish this server. If that fails, the publication ends with its lease."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with suppress(Exception):
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._store.leave(self._server.node)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.publish()
            except Exception:
                # Every fault may be over at the next publication.
                log.warning("live calls not published", exc_info=True)
                await asyncio.sleep(INTERVAL)
