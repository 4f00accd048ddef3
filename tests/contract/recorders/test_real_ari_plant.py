"""The plant of a real Asterisk, on the double: it tries a call first, and leaves nothing there."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.contract.recorders import ari_plants
from tests.contract.recorders.ari_double import PASSWORD, USER, AriDouble
from tests.contract.recorders.ari_plants import RealAriPlant
from tests.contract.recorders.test_recorders import begin, ring


@pytest.fixture
async def double() -> AsyncIterator[AriDouble]:
    double = AriDouble()
    await double.start()
    yield double
    await double.stop()


def url_of(double: AriDouble) -> str:
    return f"ari://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{double.port}"


async def test_it_leaves_nothing(double: AriDouble, tmp_path: Path) -> None:
    async with RealAriPlant(tmp_path, url_of(double)) as plant:
        assert not plant.recorder.live_calls()
        await ring(plant, "one")
        await begin(plant, "one")
    assert not double.channels
    assert not list(double.leftovers())


async def test_a_missing_extension_is_reported(
    double: AriDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ari_plants, "ATTEMPTS", 1)
    double.has_no_extension = True
    plant = RealAriPlant(tmp_path, url_of(double))
    with pytest.raises(AssertionError, match=f"{ari_plants.ENDPOINT} does not answer"):
        await plant.open()
    await plant.disconnect()
    await plant.relay.stop()
    await plant.close()
