"""Takes on a switch survive a restart: the server that controls the switch continues them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from recordings.model.instants import HOUR, MINUTE
from recordings.model.policy_trace import Consent, ConsentNeed, ConsentState
from recordings.model.recording import Recording, State
from recordings.ports.peers import Peer
from recordings.use_cases.switch_takes import SwitchTakes
from tests.contract.metadata.samples import recording as sample
from tests.support.memory_installation import ACCOUNT, NODE, Installation, open_installation
from tests.support.memory_peers import MemoryPeers

OTHER = "o" * 32


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path) as made:
        yield made


async def insert(installation: Installation, number: int, **values: object) -> Recording:
    now = installation.clock.now()
    made = replace(
        sample(),
        account_id=ACCOUNT,
        call_id=f"call-{number}",
        recorder="pbx1",
        node=NODE,
        state=State.RECORDING,
        start=now,
        due_at=now + HOUR,
        source_key=None,
    )
    made = replace(made, **values)  # type: ignore[arg-type]
    await installation.store.insert(made)
    return made


async def test_the_takes_of_a_switch_move_to_the_server_that_controls_it(installation: Installation) -> None:
    own = await insert(installation, 1)
    elsewhere = await insert(installation, 2, node=OTHER)
    armed = await insert(installation, 3, state=State.ARMED)
    await insert(installation, 4, recorder="pbx2")
    await insert(installation, 5, state=State.FINALIZING)
    waiting = Consent(ConsentNeed.ALL_PARTIES, ConsentState.WAITING, 0, "x")
    await insert(installation, 6, state=State.ARMED, consent=waiting)
    peers = MemoryPeers()
    await peers.register(Peer(OTHER, "http://other"), MINUTE)
    takes = SwitchTakes(store=installation.store, peers=peers, clock=installation.clock, node=NODE)
    found = {take.recording_id: take for take in await takes.take_over("pbx1")}
    assert found.keys() == {own.id, elsewhere.id, armed.id}
    assert {take.node for take in found.values()} == {NODE}
    assert [found[each.id].begun for each in (own, elsewhere, armed)] == [own.start, elsewhere.start, None]
    moved = await installation.store.load(elsewhere.id)
    assert moved is not None
    assert (moved.node, moved.state, moved.due_at) == (NODE, State.RECORDING, elsewhere.due_at)
