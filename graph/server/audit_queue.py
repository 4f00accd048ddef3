"""The writer of the audit trail: it links entries into chains, and writes all waiting entries together.

A chain belongs to one account and one writer, so no two servers compete for its end. A command on the same machine is a
writer of its own. If a chain moved nevertheless, its end is read again.

While the trail cannot be written, `strict` refuses every entry. Otherwise entries wait in memory, up to `MAX_WAITING`,
and an entry `GAP` says afterwards how many were late and how many were lost.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from graph.server.log_setup import logger, scrub
from recordings.model.audit_entry import (
    SYSTEM,
    AuditAction,
    AuditEntry,
    AuditObject,
    AuditOutcome,
    ChainName,
    Link,
    Origin,
    StoredEntry,
)
from recordings.model.ids import new_id
from recordings.model.instants import Millis
from recordings.ports.audit import AuditUnavailableError
from recordings.ports.audit_store import AuditStore, ChainMoved
from recordings.ports.clock import Clock
from recordings.rules.audit_chain import link

MAX_BATCH: Final = 500
MAX_WAITING: Final = 10_000
"""How many entries wait in memory while the trail cannot be written."""
RETRY_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 5.0
_MAX_TRIES: Final = 8
_MAX_ENDS: Final = 4_096
_UNAVAILABLE: Final = "the audit trail cannot be written: try again later"
_log: Final = logger("audit")


@dataclass(slots=True)
class _Gap:
    """A time in which the trail could not be written."""

    since: Millis
    late: int = 0
    lost: int = 0


@dataclass(slots=True)
class _Waiting:
    entry: AuditEntry
    written: "asyncio.Future[bool] | None"


class AuditQueue:
    """Writes entries to the store, in the chains of one writer."""

    def __init__(self, store: AuditStore, clock: Clock, writer: str, *, strict: bool) -> None:
        self._store = store
        self._clock = clock
        self._writer = writer
        self._strict = strict
        self._waiting: deque[_Waiting] = deque()
        self._ends: OrderedDict[str, Link] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._gap: _Gap | None = None
        self.written = 0
        """How many entries were written."""

    async def add(self, entry: AuditEntry) -> bool:
        """Write an entry. On return it is stored, or it waits because the installation is not strict.

        Returns:
            False if the trail had an entry with this id already.

        Raises:
            AuditUnavailableError: it cannot be written, and the installation is strict.
        """
        if self._gap is not None and self._retry is not None:
            # The last try failed less than a second ago.
            if self._strict:
                raise AuditUnavailableError(_UNAVAILABLE)
            self._gap.late += 1
            self._keep(_Waiting(entry, None))
            return True
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(entry, written))
        self._start()
        return await written

    def add_later(self, entry: AuditEntry) -> None:
        """Write an entry soon."""
        self._keep(_Waiting(entry, None))
        self._start()

    async def flush(self) -> None:
        """Wait until the entries that wait now are written, or cannot be written."""
        self._start()
        if self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Write everything that waits, for a few seconds at most."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
        except TimeoutError:
            pass
        if self._retry is not None:
            self._retry.cancel()
        if self._waiting:
            _log.error("audit entries lost", entries=len(self._waiting))

    def _start(self) -> None:
        if self._waiting and self._retry is None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._write_all(), name="audit trail")

    def _again(self) -> None:
        self._retry = None
        self._start()

    def _keep(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._begin_gap().lost += 1

    def _begin_gap(self) -> _Gap:
        if self._gap is None:
            self._gap = _Gap(self._clock.now())
        return self._gap

    async def _write_all(self) -> None:
        while self._waiting or self._gap is not None:
            if not self._waiting:
                self._end_gap()
            batch = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            try:
                new = await self._write([each.entry for each in batch], is_retry=self._gap is not None)
            except Exception as error:  # noqa: BLE001 - whatever it is, the trail cannot be written
                self._fail(batch, error)
                return
            self.written += len(batch)
            for each in batch:
                if each.written is not None and not each.written.done():
                    each.written.set_result(each.entry.id in new)
                    new.discard(each.entry.id)

    def _fail(self, batch: Sequence[_Waiting], error: Exception) -> None:
        if self._gap is None:
            _log.error("audit trail unavailable", error=scrub(str(error)) or type(error).__name__, strict=self._strict)
        gap = self._begin_gap()
        self._ends.clear()
        kept = []
        for each in batch:
            waits = each.written is not None and not each.written.done()
            if waits and self._strict:
                each.written.set_exception(AuditUnavailableError(_UNAVAILABLE))  # type: ignore[union-attr]
                continue
            if waits:
                each.written.set_result(True)  # type: ignore[union-attr]
                gap.late += 1
            kept.append(_Waiting(each.entry, None))
        self._waiting.extendleft(reversed(kept))
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            gap.lost += 1
        self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._again)

    def _end_gap(self) -> None:
        gap, self._gap = self._begin_gap(), None
        _log.warning("audit trail available again", since=gap.since, late=gap.late, lost=gap.lost)
        self._waiting.append(
            _Waiting(
                AuditEntry(
                    id=new_id(),
                    at=self._clock.now(),
                    account_id="",
                    actor=SYSTEM,
                    origin=Origin(),
                    action=AuditAction.GAP,
                    object=AuditObject("trail", self._writer),
                    outcome=AuditOutcome.FAILED,
                    details={"since": gap.since, "late": gap.late, "lost": gap.lost, "strict": self._strict},
                ),
                None,
            )
        )

    async def _write(self, entries: Sequence[AuditEntry], *, is_retry: bool) -> set[str]:
        """Write entries, and return the ids of those that the trail did not have."""
        entries = list({each.id: each for each in entries}.values())
        for number in range(_MAX_TRIES):
            if number or is_retry:
                # The store may have written some of them before the failure.
                known = {each.id for each in await self._store.entries_by_id([each.id for each in entries])}
                entries = [each for each in entries if each.id not in known]
                self._ends.clear()
            linked = await self._link(entries)
            try:
                if linked:
                    await self._store.append_entries(linked)
            except ChainMoved:
                continue
            except BaseException:
                self._ends.clear()
                raise
            return {each.id for each in entries}
        message = "the chains keep moving"
        raise AuditUnavailableError(message)

    async def _link(self, entries: Sequence[AuditEntry]) -> list[StoredEntry]:
        linked = []
        for entry in entries:
            end = self._ends.get(entry.account_id)
            if end is None:
                end = await self._store.chain_end(ChainName(entry.account_id, self._writer))
            stored = link(entry, self._writer, end)
            self._ends[entry.account_id] = stored.link
            self._ends.move_to_end(entry.account_id)
            linked.append(stored)
        while len(self._ends) > _MAX_ENDS:
            self._ends.popitem(last=False)
        return linked
