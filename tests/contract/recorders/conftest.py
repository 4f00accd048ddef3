"""The recorders that run the contract tests, with short waits."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from adapters.recorders import switch_base
from adapters.recorders.asterisk import asterisk_recorder, snoop_switch
from adapters.recorders.freeswitch import esl_switch, freeswitch_recorder, recording_files
from adapters.recorders.rtpengine import rtpengine_recorder
from tests.contract.recorders.ari_plants import REAL_URL, AriDoublePlant, RealAriPlant
from tests.contract.recorders.esl_plants import ESL_URL, EslDoublePlant, RealEslPlant
from tests.contract.recorders.ng_plants import NgDoublePlant, RealNgPlant
from tests.contract.recorders.plants import EmbeddedPlant, MemoryPlant, Plant

PLANTS: Mapping[str, Callable[[Path], Plant]] = {
    "embedded": EmbeddedPlant,
    "memory": MemoryPlant,
    "ng-double": NgDoublePlant,
    "rtpengine": RealNgPlant,
    "ari-double": AriDoublePlant,
    **({"asterisk": RealAriPlant} if REAL_URL else {}),
    "esl-double": EslDoublePlant,
    **({"freeswitch": RealEslPlant} if ESL_URL else {}),
}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switch_base, "FIRST_WAIT", 0.02)
    monkeypatch.setattr(esl_switch, "LEG_GRACE", 0.05)
    monkeypatch.setattr(freeswitch_recorder, "CONFIRM", 0.02)
    if not ESL_URL:
        monkeypatch.setattr(freeswitch_recorder, "FILE_DEADLINE", 0.5)
    monkeypatch.setattr(recording_files, "LOOK", 0.01)
    monkeypatch.setattr(rtpengine_recorder, "POLL", 0.05)
    monkeypatch.setattr(rtpengine_recorder, "LOOK", 0.01)
    monkeypatch.setattr(rtpengine_recorder, "FILE_DEADLINE", 0.3)
    monkeypatch.setattr(asterisk_recorder, "TRANSFER_GRACE", 0.05)
    monkeypatch.setattr(snoop_switch, "LOOK", 0.01)
    if not REAL_URL:
        monkeypatch.setattr(snoop_switch, "FILE_DEADLINE", 0.3)


@pytest.fixture(params=PLANTS)
async def plant(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Plant]:
    async with PLANTS[request.param](tmp_path) as opened:
        yield opened
