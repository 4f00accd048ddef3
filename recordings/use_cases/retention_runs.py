"""Applies new retention rules to existing recordings in the background, a page at a time.

The rules themselves are saved at once, so new recordings follow them. A run is a row in the metadata store. A process
leases it for a page, and saves how far it came. After a crash another process continues there. New rules restart it.
"""

from dataclasses import replace
from typing import Final

from recordings.model.instants import MINUTE, Millis
from recordings.model.query import UNLIMITED, Position
from recordings.model.retention_run import RetentionRun
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.account_settings import AccountSettings, RetentionEffect, live_recordings

LEASE: Final = MINUTE // 2
"""The time for a page. After that, another process may continue the run."""
MAX_OPEN: Final = 100
"""How many runs are looked at together."""


class RetentionRuns:
    """Starts and continues retention runs. `holder` names this process."""

    def __init__(self, store: MetadataStore, settings: AccountSettings, clock: Clock, holder: str) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._holder = holder

    async def work(self) -> int:
        """Do one page of each run that no other process works on. Return how many pages were done."""
        runs = await self._store.open_retention_runs(MAX_OPEN)
        done = 0
        for run in runs:
            done += await self._do_page(run)
        return done

    async def _do_page(self, run: RetentionRun) -> bool:
        now = self._clock.now()
        if run.holder not in {None, self._holder} and run.until > now:
            return False
        leased = await self._saved(run, replace(run, holder=self._holder, until=now + LEASE))
        if leased is None:
            return False
        account = await self._store.account(run.account_id)
        if account is None:
            return await self._saved(leased, replace(leased, finished=now)) is not None
        total = leased.total
        if total is None:
            total = (await self._store.count(live_recordings(run.account_id), UNLIMITED)).number
        after = None if leased.after is None else Position(*leased.after)
        effect = RetentionEffect()
        last = await self._settings.apply_page(account, account.retention, after, effect)
        done = replace(
            leased,
            total=max(total, leased.seen + effect.seen),
            seen=leased.seen + effect.seen,
            changed=leased.changed + effect.changed,
            at_once=leased.at_once + effect.at_once,
            finished=self._clock.now() if last is None else None,
        )
        if last is not None:
            done = replace(done, after=(_created(last), last.id))
        return await self._saved(leased, done) is not None

    async def _saved(self, before: RetentionRun, run: RetentionRun) -> RetentionRun | None:
        """Save a run. Return `None` if new rules or another process have changed it."""
        run = replace(run, revision=before.revision + 1)
        return run if await self._store.save_retention_run(run, before.revision) else None


def _created(position: Position) -> Millis:
    assert isinstance(position.key, int)  # noqa: S101 - the runs are in the order of creation
    return position.key
