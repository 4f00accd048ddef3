"""The recorders that run the contract tests, with short waits."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from adapters.recorders import switch_base
from adapters.recorders.rtpengine import rtpengine_recorder
from tests.contract.recorders.ng_plants import NgDoublePlant, RealNgPlant
from tests.contract.recorders.plants import EmbeddedPlant, MemoryPlant, Plant

PLANTS: Mapping[str, Callable[[Path], Plant]] = {
    "embedded": EmbeddedPlant,
    "memory": MemoryPlant,
    "ng-double": NgDoublePlant,
    "rtpengine": RealNgPlant,
}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_base, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(rtpengine_recorder, "POLL", 0.05)
    monkeypatch.setattr(rtpengine_recorder, "LOOK", 0.01)
    monkeypatch.setattr(rtpengine_recorder, "FILE_DEADLINE", 0.3)


@pytest.fixture(params=PLANTS)
async def plant(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Plant]:
    async with PLANTS[request.param](tmp_path) as opened:
        yield opened
