"""Control of the switches: one server of the installation controls each switch, and another one takes over."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final

from adapters.cancellation import cancel_and_wait
from graph.server.error_log import ErrorLog
from graph.server.log_setup import logger
from recordings.model.instants import HOUR, SECOND, Millis
from recordings.ports.peers import PeerStore
from recordings.ports.recorder import SwitchRecorder, SwitchState
from recordings.use_cases.switch_takes import SwitchTakes

LEASE: Final[Millis] = 10 * SECOND
"""After this time without a renewal, another server takes over a switch."""
INTERVAL: Final = 2.0
"""Seconds between two renewals, and between two attempts to get a lease."""
_GOOD: Final = frozenset({SwitchState.READY, SwitchState.STANDBY})
_log: Final = logger("switches")


class SwitchControl:
    """Leases the switches, and runs their recorders while their leases are valid."""

    def __init__(
        self, switches: Sequence[SwitchRecorder], takes: SwitchTakes, *, peers: PeerStore | None, node: str
    ) -> None:
        self._switches = switches
        self._takes = takes
        self._peers = peers
        self._node = node
        self._errors = ErrorLog(_log)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def states(self) -> Mapping[str, str]:
        """Return the state of each switch, by name, for `/readyz`."""
        return {switch.name: switch.state.value.lower() for switch in self._switches}

    async def report(self) -> str | None:
        """Return the switches that cannot be used now, in words; `None` if there are none."""
        bad = [f"{each.name} is {each.state.value.lower()}" for each in self._switches if each.state not in _GOOD]
        return ", ".join(bad) or None

    async def receive_file(self, recording_id: str, token: str, chunks: AsyncIterator[bytes]) -> bool:
        """Receive the file of a take from a switch. Return false if no recorder expects it. Raises `TakeRefused`."""
        for switch in self._switches:
            if await switch.receive_file(recording_id, token, chunks):
                return True
        return False

    def start(self) -> None:
        """Start to control the switches."""
        self._tasks = tuple(
            asyncio.create_task(self._control(switch), name=f"switch {switch.name}") for switch in self._switches
        )

    async def stop(self) -> None:
        """Disconnect from the switches, and let other servers take over. All takes continue."""
        await cancel_and_wait(*self._tasks)
        if self._tasks and self._peers is not None:
            try:
                async with asyncio.timeout(INTERVAL):
                    await self._peers.release_switches(self._node)
            except Exception as error:  # noqa: BLE001 - the leases expire
                self._errors.write("switches not released", error)

    async def _control(self, switch: SwitchRecorder) -> None:
        """Run a recorder whenever this server holds the lease of its switch."""
        held_until = 0.0
        running: asyncio.Task[None] | None = None
        try:
            while True:
                held_until = await self._renew(switch, held_until)
                holds = time.monotonic() < held_until
                if holds and (running is None or running.done()):
                    running = asyncio.create_task(self._run(switch))
                elif not holds and running is not None:
                    _log.warning("switch given up", switch=switch.name)
                    await cancel_and_wait(running)
                    running = None
                await asyncio.sleep(INTERVAL)
        finally:
            if running is not None:
                await cancel_and_wait(running)

    async def _renew(self, switch: SwitchRecorder, held_until: float) -> float:
        """Get or renew the lease of a switch. Return the time, by the monotonic clock, until which it is valid."""
        now = time.monotonic()
        if self._peers is None:
            return now + HOUR
        try:
            async with asyncio.timeout(INTERVAL):
                holder = await self._peers.hold_switch(switch.name, self._node, LEASE)
        except Exception as error:  # noqa: BLE001 - the lease stays valid until its end
            self._errors.write("switch not leased", error, switch=switch.name)
            return held_until
        return now + LEASE / SECOND - INTERVAL if holder == self._node else 0.0

    async def _run(self, switch: SwitchRecorder) -> None:
        try:
            await switch.run(await self._takes.take_over(switch.name))
        except Exception as error:  # noqa: BLE001 - it runs again after the next renewal
            self._errors.write("switch not controlled", error, switch=switch.name)
