"""The background work that counts figures, its warning in /readyz, and the command that shows its progress."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from adapters.metadata.sqlite import SqliteStore
from graph.cli.main import recordings
from graph.server.slot_counting import SlotCounting
from recordings.model.instants import DAY
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases.count_slots import SlotCounter
from tests.contract.metadata.samples import NOW, recording
from tests.support.fake_clock import FakeClock


async def marked_store(folder: Path, slots: int) -> SqliteStore:
    store = SqliteStore(folder)
    await store.open()
    for number in range(slots):
        await store.insert(recording(start=NOW - number * DAY))
    return store


async def test_marked_slots_are_counted_in_the_background(tmp_path: Path) -> None:
    store = await marked_store(tmp_path, 5)
    assert await store.marked_count() == 5
    counting = asyncio.create_task(SlotCounting(SlotCounter(store, FakeClock(NOW + DAY)), store).run())
    async with asyncio.timeout(20):
        while await store.marked_count():
            pass
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)
    await store.close()


async def test_an_error_does_not_end_the_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.server.slot_counting._WAIT_SECONDS", 0.0)
    store = await marked_store(tmp_path, 1)
    counter = SlotCounter(store, FakeClock(NOW + DAY))
    count_some, failures = counter.count_some, [StoreUnavailableError("away"), ValueError("damaged")]

    async def failing(limit: int = 1) -> int:
        if failures:
            raise failures.pop()
        return await count_some(limit)

    vars(counter)["count_some"] = failing
    counting = asyncio.create_task(SlotCounting(counter, store).run())
    async with asyncio.timeout(20):
        while await store.marked_count():
            pass
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)
    await store.close()


async def test_the_warning_says_how_much_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await marked_store(tmp_path, 3)
    counting = SlotCounting(SlotCounter(store, FakeClock()), store)
    assert await counting.report() is None
    monkeypatch.setattr("graph.server.slot_counting._MANY", 2)
    assert (await counting.report() or "").startswith("the figures of 3 quarter-hours are being counted")
    await store.close()


def test_the_command_shows_the_progress_and_lets_all_be_counted_again(tmp_path: Path) -> None:
    async def fill() -> None:
        store = await marked_store(tmp_path, 2)
        while await SlotCounter(store, FakeClock(NOW + DAY)).count_some():
            pass
        await store.close()

    asyncio.run(fill())
    for arguments, left in (((), 0), (("--rebuild",), 2), ((), 2)):
        result = CliRunner().invoke(recordings, ["stats", "--data", str(tmp_path), *arguments])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout) == {"quarter_hours_to_count": left}
