"""One server controls a switch. Another takes over when the first stops, and both continue after faults."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from graph.server import switch_control
from graph.server.switch_control import SwitchControl
from recordings.ports.recorder import SwitchRecorder, SwitchState, Take
from recordings.use_cases.switch_takes import SwitchTakes
from tests.support.memory_peers import MemoryPeers


class Switch:
    """A switch recorder that notes its runs."""

    name = "pbx1"

    def __init__(self, failures: int = 0) -> None:
        self.state = SwitchState.STANDBY
        self.failures = failures

    async def run(self, takes: Sequence[Take]) -> None:
        if self.failures:
            self.failures -= 1
            raise ValueError("a bug")
        self.state = SwitchState.READY
        try:
            await asyncio.Event().wait()
        finally:
            self.state = SwitchState.STANDBY


class NoTakes:
    async def take_over(self, switch: str) -> Sequence[Take]:
        return ()


class BrokenPeers(MemoryPeers):
    """Peers in a store that can fail."""

    broken = False

    async def hold_switch(self, switch: str, node: str, lease: int) -> str:
        if self.broken:
            raise ConnectionError("the store is unreachable")
        return await super().hold_switch(switch, node, lease)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_control, "INTERVAL", 0.02)
    monkeypatch.setattr(switch_control, "LEASE", 200)


def control(switch: Switch, peers: MemoryPeers | None, node: str = "one") -> SwitchControl:
    switches, takes = cast("Sequence[SwitchRecorder]", [switch]), cast("SwitchTakes", NoTakes())
    return SwitchControl(switches, takes, peers=peers, node=node)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the control polls, too
            await asyncio.sleep(0.005)


async def test_a_single_server_controls_its_switches() -> None:
    switch = Switch(failures=1)
    controls = control(switch, None)
    assert controls.states() == {"pbx1": "standby"}
    controls.start()
    await until(lambda: controls.states() == {"pbx1": "ready"})
    assert await controls.report() is None
    switch.state = SwitchState.REJECTED
    assert await controls.report() == "pbx1 is rejected"
    await controls.stop()
    assert switch.state is SwitchState.STANDBY


async def test_another_server_takes_over_and_never_two_control_a_switch() -> None:
    peers = MemoryPeers()
    first, second = Switch(), Switch()
    one, two = control(first, peers, "one"), control(second, peers, "two")
    one.start()
    await until(lambda: first.state is SwitchState.READY)
    two.start()
    await asyncio.wait_for(peers.hold_switch("pbx1", "two", 1), 1)
    assert second.state is SwitchState.STANDBY
    await one.stop()
    assert first.state is SwitchState.STANDBY
    await until(lambda: second.state is SwitchState.READY)
    await two.stop()


async def test_a_server_without_the_store_gives_the_switch_up_before_its_lease_ends() -> None:
    peers = BrokenPeers()
    switch = Switch()
    controls = control(switch, peers)
    controls.start()
    await until(lambda: switch.state is SwitchState.READY)
    peers.broken = True
    await until(lambda: switch.state is SwitchState.STANDBY)
    peers.broken = False
    await until(lambda: switch.state is SwitchState.READY)
    await controls.stop()
