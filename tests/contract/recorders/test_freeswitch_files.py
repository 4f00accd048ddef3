"""The folder that FreeSWITCH and the service share, when its rights are wrong."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from recordings.model.events import Ended
from recordings.ports.recorder import TakeRefused
from tests.contract.recorders.esl_plants import EslDoublePlant
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[EslDoublePlant]:
    async with EslDoublePlant(tmp_path) as opened:
        yield opened


@pytest.fixture
async def said(plant: EslDoublePlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


async def test_a_file_that_the_service_may_not_read_is_reported(
    plant: EslDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", _forbidden_in(plant.folder, Path.open))
        with pytest.raises(TakeRefused, match="may not read"):
            await plant.recorder.stop(take.recording_id)
        assert plant.files() == 1
    await plant.lose_connection()
    assert isinstance(await said.end_of(take), Ended)


async def test_a_file_that_the_service_may_not_delete_is_stored(
    plant: EslDoublePlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    monkeypatch.setattr(Path, "unlink", _forbidden_in(plant.folder, Path.unlink))
    with capture_logs() as logs:
        await plant.recorder.stop(take.recording_id)
    assert isinstance(await said.end_of(take), Ended)
    assert [line["error"] for line in logs if line["event"] == "file not deleted"] == ["Permission denied"]
    assert await plant.spool.audio(take.recording_id) is not None


def _forbidden_in(folder: Path, allowed: Callable[..., Any]) -> Callable[..., Any]:
    def act(path: Path, *args: Any, **options: Any) -> Any:
        if path.parent == folder:
            raise PermissionError(13, "Permission denied")
        return allowed(path, *args, **options)

    return act
