"""The plant of a real FreeSWITCH, on the double: it finds a call that the switch can make, and leaves nothing there."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.contract.recorders.esl_double import PASSWORD, EslDouble
from tests.contract.recorders.esl_plants import CALLS, RealEslPlant
from tests.contract.recorders.test_recorders import begin, ring, test_another_process_continues_the_takes


@pytest.fixture
async def double(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EslDouble]:
    monkeypatch.delenv("RECORDER_ESL_ENDPOINT", raising=False)
    double = EslDouble()
    await double.start()
    yield double
    await double.stop()


def url_of(double: EslDouble) -> str:
    return f"esl://:{quote(PASSWORD, safe='')}@127.0.0.1:{double.port}"


@pytest.mark.parametrize("endpoint", [endpoint for endpoint, _ in CALLS])
async def test_it_uses_the_first_endpoint_that_answers(double: EslDouble, tmp_path: Path, endpoint: str) -> None:
    known = [each for each, _ in CALLS]
    double.no_route = set(known[: known.index(endpoint)])
    async with RealEslPlant(tmp_path, url_of(double)) as plant:
        assert plant._call[0] == endpoint
        await ring(plant, "one")
        await begin(plant, "one")
        await plant.ring("one")
        assert plant.files() == 1
    assert not double.calls.channels
    assert not plant.folder.exists()


async def test_it_leaves_no_file_in_a_given_folder(double: EslDouble, tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "other.wav").touch()
    async with RealEslPlant(tmp_path, f"{url_of(double)}?folder={folder}") as plant:
        await test_another_process_continues_the_takes(plant)
        await ring(plant, "one")
        await begin(plant, "one")
    assert [path.name for path in folder.iterdir()] == ["other.wav"]


async def test_a_switch_without_calls_is_reported(double: EslDouble, tmp_path: Path) -> None:
    double.no_route = {each for each, _ in CALLS}
    with pytest.raises(AssertionError, match=r"set RECORDER_ESL_ENDPOINT: .*9197.*NO_ROUTE_DESTINATION"):
        await RealEslPlant(tmp_path, url_of(double)).open()
