"""FreeSWITCH sends the files of takes to this service by HTTP PUT."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from adapters.recorders.embedded import Limits
from adapters.recorders.freeswitch import freeswitch_recorder
from adapters.recorders.take_file_route import take_file_route
from adapters.recorders.take_files import TakeFiles
from recordings.model.events import Ended
from recordings.ports.recorder import TakeRefused
from tests.contract.recorders.esl_double import PASSWORD
from tests.contract.recorders.esl_plants import EslDoublePlant
from tests.contract.recorders.test_recorders import Listener, begin, listening, ring, take_on, until

BASE = "http://recordings.test"


class UploadPlant(EslDoublePlant):
    """A plant whose switch reaches this service by HTTP, and shares no folder with it."""

    def url(self) -> str:
        return f"{super().url()}&upload={BASE}"

    async def open(self) -> Any:
        switch: Any = await super().open()
        self.serve(Limits())
        return switch

    def serve(self, limits: Limits) -> None:
        app = Starlette(routes=[take_file_route(self._receive, limits)])
        self.double.transport = httpx.ASGITransport(app=app)

    async def _receive(self, recording_id: str, token: str, chunks: AsyncIterator[bytes]) -> bool:
        switch: Any = self.recorder
        return bool(await switch.receive_file(recording_id, token, chunks))


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[UploadPlant]:
    async with UploadPlant(tmp_path) as opened:
        yield opened


@pytest.fixture
async def said(plant: UploadPlant) -> AsyncIterator[Listener]:
    async with listening(plant.recorder) as listener:
        yield listener


async def test_the_switch_sends_the_file_of_a_stopped_take(plant: UploadPlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.recorder.stop(take.recording_id)
    assert isinstance(await said.end_of(take), Ended)
    assert (await plant.heard(take)).seconds > 0.4
    await until(lambda: _is(plant.double.put_results == [201]))


async def test_the_switch_sends_the_file_after_a_hang_up(plant: UploadPlant, said: Listener) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    await plant.hang_up("one")
    assert isinstance(await said.end_of(take), Ended)
    assert (await plant.heard(take)).seconds > 0.4


async def test_a_file_that_does_not_come_is_requested_again(
    plant: UploadPlant, said: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freeswitch_recorder, "UPLOAD_DEADLINE", 0.1)
    await ring(plant, "one")
    take = await begin(plant, "one")
    plant.double.unknown = {"http_put"}
    with pytest.raises(TakeRefused, match="is mod_http_cache loaded"):
        await plant.recorder.stop(take.recording_id)
    assert await plant.recorder.is_open(take.recording_id)
    plant.double.unknown = set()
    await plant.lose_connection()
    assert isinstance(await said.end_of(take), Ended)
    assert (await plant.heard(take)).seconds > 0.4


async def test_a_file_that_is_too_long_is_refused(plant: UploadPlant) -> None:
    plant.serve(Limits(max_body=10))
    await ring(plant, "one")
    take = await begin(plant, "one")
    with pytest.raises(TakeRefused, match="the whole file"):
        await plant.recorder.stop(take.recording_id)
    await until(lambda: _is(plant.double.put_results == [400]))
    assert await plant.spool.audio(take.recording_id) is None


async def test_a_file_is_accepted_only_at_its_address_while_a_take_waits(plant: UploadPlant) -> None:
    await ring(plant, "one")
    take = await begin(plant, "one")
    path = TakeFiles(PASSWORD).path_of(take.recording_id)
    other = TakeFiles("guessed").path_of(take.recording_id)
    for each in (path, other, TakeFiles(PASSWORD).path_of(take_on(plant, "one", 2).recording_id)):
        await plant.double.put(f"{BASE}{each}", b"x")
    assert plant.double.put_results == [404] * 3
    switch: Any = plant.recorder
    waiting = switch._take_files.expect(take.recording_id)
    await plant.double.put(f"{BASE}{other}", b"x")
    assert plant.double.put_results == [404] * 4
    waiting.cancel()


async def _is(value: bool) -> bool:
    return value
