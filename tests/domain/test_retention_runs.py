"""New retention rules reach the existing recordings in the background, also after a crash and with several servers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from recordings.model.instants import DAY
from recordings.model.query import Page, PageRequest, Query
from recordings.model.retention import Retention
from recordings.use_cases.account_settings import AccountSettings
from recordings.use_cases.retention_runs import LEASE, RetentionRuns
from tests.contract.metadata.samples import recording as sample
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, CHILD, Installation, open_installation

COUNT = 250


class Worker:
    """An installation with recordings, and the background work of a server."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.settings = AccountSettings(installation.store, installation.clock, MemoryAudit())
        self.ids: list[str] = []

    def server(self, name: str) -> RetentionRuns:
        return RetentionRuns(self.installation.store, self.settings, self.installation.clock, name)

    async def add(self, account_id: str = ACCOUNT, count: int = COUNT) -> None:
        start = self.installation.clock.now() - 5 * DAY
        made = [sample(account_id=account_id, start=start, created=start + at) for at in range(count)]
        await asyncio.gather(*(self.installation.store.insert(each) for each in made))
        self.ids += [each.id for each in made]

    async def set_days(self, days: int, account_id: str = ACCOUNT) -> None:
        await self.settings.set_rule(account_id, Retention(days), in_background=True)

    async def days(self) -> dict[int | None, int]:
        """Return how many recordings are kept for a number of days."""
        counts: dict[int | None, int] = {}
        for row in (await self.installation.store.rows(self.ids)).values():
            days = None if row["delete_at"] is None else (row["delete_at"] - row["start"]) // DAY
            counts[days] = counts.get(days, 0) + 1
        return counts


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Worker]:
    async with open_installation(tmp_path) as opened:
        yield Worker(opened)


async def test_a_rule_is_set_at_once_and_applied_page_by_page(worker: Worker) -> None:
    await worker.add()
    await worker.set_days(90)
    assert await worker.settings.rules(ACCOUNT) == (Retention(90),)
    assert await worker.days() == {None: COUNT}
    server = worker.server("a")
    assert await server.work() == 1
    assert await worker.days() == {None: COUNT - 100, 90: 100}
    run = await worker.settings.run_of(ACCOUNT)
    assert run is not None
    assert (run.total, run.seen, run.changed, run.finished) == (COUNT, 100, 100, None)
    assert [await server.work() for _ in range(4)] == [1, 1, 0, 0]
    assert await worker.days() == {90: COUNT}
    run = await worker.settings.run_of(ACCOUNT)
    assert run is not None
    assert (run.seen, run.changed, run.finished) == (COUNT, COUNT, worker.installation.clock.now())


async def test_accounts_take_turns(worker: Worker) -> None:
    await worker.add(ACCOUNT, 150)
    await worker.add(CHILD, 150)
    await worker.set_days(30)
    await worker.set_days(60, CHILD)
    assert await worker.server("a").work() == 2
    assert await worker.days() == {None: 100, 30: 100, 60: 100}


async def test_a_crash_in_a_page_leaves_the_run_to_another_server(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worker.add()
    await worker.set_days(90)
    first, second, load = worker.server("first"), worker.server("second"), worker.installation.store.load
    await first.work()
    left = 40

    async def die(recording_id: str) -> Any:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        return await load(recording_id)

    with monkeypatch.context() as patched:
        patched.setattr(worker.installation.store, "load", die)
        with pytest.raises(KeyboardInterrupt):
            await first.work()
    assert await worker.days() == {None: COUNT - 139, 90: 139}
    assert await second.work() == 0
    worker.installation.clock.move(LEASE)
    while await second.work():
        pass
    assert await worker.days() == {90: COUNT}


async def test_two_servers_never_do_the_same_page_and_miss_none(worker: Worker) -> None:
    await worker.add()
    await worker.set_days(90)
    servers = [worker.server(str(number)) for number in range(3)]
    while sum(await asyncio.gather(*(server.work() for server in servers))):
        pass
    run = await worker.settings.run_of(ACCOUNT)
    assert run is not None
    assert (run.seen, run.changed) == (COUNT, COUNT)
    assert await worker.days() == {90: COUNT}


async def test_a_new_rule_restarts_the_run(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    await worker.add()
    await worker.set_days(90)
    server, page, pages = worker.server("a"), worker.installation.store.page, 0

    async def set_meanwhile(query: Query, request: PageRequest) -> Page:
        nonlocal pages
        pages += 1
        if pages == 2:
            await worker.set_days(30)
        return await page(query, request)

    monkeypatch.setattr(worker.installation.store, "page", set_meanwhile)
    await server.work()
    # The page of the old rules is not counted, and the new run begins at the first recording.
    assert await server.work() == 0
    while await server.work():
        pass
    assert await worker.days() == {30: COUNT}


async def test_the_run_of_an_account_without_recordings_ends(worker: Worker) -> None:
    await worker.set_days(90)
    assert await worker.server("a").work() == 1
    run = await worker.settings.run_of(ACCOUNT)
    assert run is not None
    assert (run.total, run.seen, run.finished) == (0, 0, worker.installation.clock.now())
