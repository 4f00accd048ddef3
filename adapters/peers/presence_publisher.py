"""Publishes this server and its live calls to the other servers, through the metadata store."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from adapters.cancellation import cancel_and_wait
from adapters.peers.peer_client import PeerClient
from adapters.peers.signed_commands import Command, Verb, call_reference
from recordings.model.call import Call
from recordings.model.instants import CLOCK_TOLERANCE, HOUR, SECOND, Millis
from recordings.ports.clock import Clock
from recordings.ports.peers import Peer, PeerStore
from recordings.ports.recorder import ServerUnreachable, TakeRefused

log = logging.getLogger(__name__)

INTERVAL: Final = 2.0
"""Seconds between two publications."""
RETRY_INTERVAL: Final = 0.5
"""Seconds after a failed publication."""
LEASE: Final[Millis] = 6 * SECOND
"""The validity of a publication. Other servers forget the calls of a dead server after this time."""
MAX_CALL: Final[Millis] = 24 * HOUR
"""The time after which the store deletes a call that was never removed. No call lasts this long."""
STOP_TIMEOUT: Final = 2.0
"""Seconds that a server that stops may take to unpublish itself."""
CLAIM_TIMEOUT: Final = 5.0
"""Seconds that a new stream waits for the metadata store. After that the call is recorded here in any case."""
PROBE_SECONDS: Final = 2.0
"""Seconds that another server has to confirm a call."""
MAX_ROUND_TRIP: Final[Millis] = 2 * SECOND
"""The clock difference is measured only if the store answers within this time."""


class PresencePublisher:
    """Keeps the published state of this server up to date, from `start` to `stop`.

    It writes only the difference to the last publication: once per interval, and at once after `notify_change`. The
    next publication repeats a write that failed. Each publication also measures the difference of the clocks.
    `keys` returns the ids of the installation's keys that this server has.
    """

    def __init__(
        self,
        store: PeerStore,
        server: Peer,
        live_calls: Callable[[], Sequence[Call]],
        *,
        client: PeerClient,
        clock: Clock,
        keys: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._store = store
        self._server = server
        self._live_calls = live_calls
        self.client = client
        self._clock = clock
        self._keys = keys
        self._published: dict[tuple[str, str], Call] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._differs = False

    async def start(self) -> None:
        """Remove what the last process of this node published, and start to publish."""
        await self._store.end_lease(self._server.node)
        await self.publish()
        self._task = asyncio.create_task(self._run(), name="presence publisher")

    def notify_change(self) -> None:
        """Publish soon, because a call started or ended. This is cheap, and extra calls do no harm."""
        self._changed.set()

    async def report_clock(self) -> str | None:
        """Return the problem if the clock differs too much from the clock of the metadata store, else `None`."""
        return self._describe_difference() if abs(self._server.clock_difference) > CLOCK_TOLERANCE else None

    async def claim(self, call: Call) -> bool:
        """Claim a call whose audio starts to arrive here. Return false if it is live on another server.

        If the other server does not confirm that, the call has moved to this server. If the metadata store is
        unavailable, the call is recorded here: two streams are better than none.
        """
        # The next publication removes the claim if the call is not live then.
        self._published[call.account_id, call.call_id] = call
        try:
            async with asyncio.timeout(CLAIM_TIMEOUT):
                node = self._server.node
                owner = await self._store.claim_call(node, call, MAX_CALL)
                if owner is None:
                    return True
                if await self._is_live_on(owner, call):
                    return False
                return await self._store.claim_call(node, call, MAX_CALL, instead_of=owner) is None
        except Exception:
            log.warning("call not claimed", exc_info=True, extra={"call_id": call.call_id})
            return True

    async def _is_live_on(self, node: str, call: Call) -> bool:
        found = next(iter(await self._store.servers([node])), None)
        if found is None:
            return False
        if not found.peer.url:
            return found.is_alive
        command = Command(Verb.YIELD_CALL, call_reference(call.account_id, call.call_id))
        try:
            return (await self.client.send(command, found.peer, PROBE_SECONDS)).has_call
        except ServerUnreachable:
            return False
        except TakeRefused:
            # It answers, but it rejects commands of this server: their clocks differ, or their releases.
            return found.is_alive

    async def publish(self) -> None:
        """Write the difference between the live calls and the published calls."""
        await self._register()
        live = {(call.account_id, call.call_id): call for call in self._live_calls()}
        ended = [key for key in self._published if key not in live]
        # A call that ended and started again under the same id is new too: its parties may differ.
        started = {key: call for key, call in live.items() if self._published.get(key) is not call}
        await self._store.remove_calls(self._server.node, ended)
        for key in ended:
            del self._published[key]
        refused = await self._store.add_calls(self._server.node, list(started.values()), MAX_CALL)
        self._published |= started
        for key in refused:
            # The claim of this call failed, or both servers have a stream of it. The next publication tries again.
            if not await self.claim(live[key]):
                del self._published[key]

    async def _register(self) -> None:
        self._server = replace(self._server, keys=self._keys())
        before = self._clock.now()
        there = await self._store.register(self._server, LEASE)
        after = self._clock.now()
        if not 0 <= after - before <= MAX_ROUND_TRIP:
            return
        difference = (before + after) // 2 - there
        if abs(difference - self._server.clock_difference) < SECOND:
            return
        self._server = replace(self._server, clock_difference=difference)
        await self._store.register(self._server, LEASE)
        differs = abs(difference) > CLOCK_TOLERANCE
        if differs and not self._differs:
            log.error("clock differs: %s", self._describe_difference())
        self._differs = differs

    def _describe_difference(self) -> str:
        seconds = round(abs(self._server.clock_difference) / SECOND)
        direction = "ahead of" if self._server.clock_difference > 0 else "behind"
        return f"this server's clock differs by {seconds} s: it is {direction} the clock of the metadata store"

    async def stop(self) -> None:
        """Unpublish this server. If that fails, the publication ends with its lease."""
        if self._task is not None:
            await cancel_and_wait(self._task)
        with suppress(Exception):
            async with asyncio.timeout(STOP_TIMEOUT):
                await self._store.end_lease(self._server.node)

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self.publish()
            except Exception:
                # Every fault may be over at the next publication. The lease must not be over for long.
                log.warning("live calls not published", exc_info=True)
                self._changed.set()
                await asyncio.sleep(RETRY_INTERVAL)
