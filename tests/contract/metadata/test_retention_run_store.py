"""Retention runs are saved by compare-and-set, and the open ones are found."""

from dataclasses import replace

from recordings.model.retention_run import RetentionRun
from recordings.ports.recording_store import MetadataStore

RUN = RetentionRun(
    account_id="a", started=20, total=7, seen=3, changed=2, at_once=1, after=(5, "id"), holder="n", until=9
)


async def test_a_run_is_saved_and_found(store: MetadataStore) -> None:
    assert await store.retention_run("a") is None
    assert await store.save_retention_run(RUN, None)
    assert await store.retention_run("a") == RUN
    assert not await store.save_retention_run(RUN, None)


async def test_a_run_that_changed_is_not_overwritten(store: MetadataStore) -> None:
    await store.save_retention_run(RUN, None)
    later = replace(RUN, seen=5, after=None, revision=1)
    assert not await store.save_retention_run(later, 1)
    assert await store.save_retention_run(later, 0)
    assert not await store.save_retention_run(later, 0)
    assert await store.retention_run("a") == later


async def test_open_runs_are_found_the_oldest_first(store: MetadataStore) -> None:
    await store.save_retention_run(RUN, None)
    await store.save_retention_run(replace(RUN, account_id="b", started=10), None)
    await store.save_retention_run(replace(RUN, account_id="c", finished=30), None)
    assert [run.account_id for run in await store.open_retention_runs(9)] == ["b", "a"]
    assert len(await store.open_retention_runs(1)) == 1
