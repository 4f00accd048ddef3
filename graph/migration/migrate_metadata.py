"""Move the metadata of an installation from SQLite to MongoDB, or from MongoDB to SQLite.

Both stores are closed during the migration, so no server and no command uses a store that is incomplete or that gets
no more changes. The target keeps the progress, so an interrupted migration continues. At the end all rows of both
stores are compared, and only then the target is opened.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, Protocol, cast

from adapters.metadata.stored_kinds import KINDS, StoredKind
from graph.migration.compare_rows import PAGE, compare
from graph.open_parts import metadata_store, open_store
from graph.server.system_clock import SystemClock
from graph.settings import Settings
from recordings.model.instants import MINUTE
from recordings.ports.copied_store import Closure, CopyError, MigratedStore
from recordings.ports.recording_store import MetadataStore

Progress = Callable[[str, int, int | None], None]
STORES: Final = ("sqlite", "mongodb")
_COPIED: Final = "copied"
_MARGIN: Final = 10 * MINUTE
_MAX_NAMED: Final = 5


class Migration:
    """One migration.

    Args:
        settings: the installation, with its data folder and the URL of MongoDB. The caller has locked the data folder.
        source: `sqlite` or `mongodb`. The other one is the target.
        progress: is called with the kind of row, the number done, and the total if it is known.
    """

    def __init__(self, settings: Settings, source: str, progress: Progress) -> None:
        self._settings = settings
        self._names = source, next(name for name in STORES if name != source)
        self._progress = progress
        self._clock = SystemClock()

    async def run(self) -> Mapping[str, int]:
        """Copy and compare everything. Return the number of rows of each kind.

        Raises:
            CopyError: a server is running, the target is not empty, or the stores differ.
            CannotOpenError: a store cannot be opened.
        """
        source, target = map(self._store, self._names)
        try:
            task = await self._task(source)
            async with source.without_writes(), self._opened(source, target, task):
                await self._close_source(source, task)
                for kind in _copied():
                    await self._copy(source, target, kind)
                await target.finish_plain_rows()
                rows = {str(kind.table): await self._compare(source, target, kind) for kind in _copied()}
                at = self._names[1]
                moved = f"the metadata were migrated to {at}: start the servers and commands there"
                await source.set_closure(Closure(moved, task))
                await target.set_closure(None)
        finally:
            await source.close()
            await target.close()
        return rows

    async def abandon(self) -> None:
        """Open the source of an interrupted migration again. The target stays closed until it is deleted.

        Raises:
            CopyError: no migration is in progress.
        """
        source, target = map(self._store, self._names)
        try:
            closure, other = await source.closure(), await target.closure()
            if closure is None or other is None or closure.task != other.task:
                raise CopyError("no migration between these stores is in progress")
            gone = f"the migration was abandoned, and the metadata in {self._names[1]} are incomplete: delete them"
            await target.set_closure(Closure(gone, "abandoned"))
            await source.set_closure(None)
        finally:
            await source.close()
            await target.close()

    def _store(self, name: str) -> "MigratedMetadata":
        settings = replace(self._settings, mongodb=None) if name == "sqlite" else self._settings
        return cast("MigratedMetadata", metadata_store(settings))

    async def _task(self, source: "MigratedMetadata") -> str:
        """Return the name of this migration. It is the same after an interruption."""
        if await source.is_empty():
            raise CopyError(f"there is no installation in {self._names[0]}")
        closure = await source.closure()
        if closure is not None and not closure.task.startswith("migration "):
            raise CopyError(closure.reason)
        await open_store(source, self._settings.data, task=None if closure is None else closure.task)
        installation = await source.installation()
        return f"migration of {installation.id} from {self._names[0]} to {self._names[1]}"

    @asynccontextmanager
    async def _opened(self, source: "MigratedMetadata", target: "MigratedMetadata", task: str) -> AsyncIterator[None]:
        """Close the target, or continue, and open it for this migration."""
        closures = await source.closure(), await target.closure()
        for closure in closures:
            if closure is not None and closure.task != task:
                raise CopyError(closure.reason)
        async with target.without_writes() if self._names[1] == "mongodb" else _nothing():
            if closures[1] is None:
                if not await target.is_empty():
                    raise CopyError(f"{self._names[1]} is not empty: a migration needs an empty target")
                await target.set_closure(Closure(self._unfinished(), task))
            await open_store(target, self._settings.data, task=task)
            yield

    async def _close_source(self, source: "MigratedMetadata", task: str) -> None:
        if await source.closure() is None:
            await source.set_closure(Closure(self._unfinished(), task))

    def _unfinished(self) -> str:
        return (
            f"the migration from {self._names[0]} to {self._names[1]} is not complete: run the same `recordings "
            "migrate` again, or add --abandon to use the source again"
        )

    async def _copy(self, source: "MigratedMetadata", target: "MigratedMetadata", kind: StoredKind) -> None:
        name = str(kind.table)
        closure = await target.closure()
        assert closure is not None  # noqa: S101 - `_opened` has set it
        after, number = closure.done.get(name), 0
        while after != _COPIED:
            page = await source.plain_rows(name, after, PAGE)
            if page.rows:
                await target.add_plain_rows(name, page.rows)
            number += len(page.rows)
            self._progress(name, number, None)
            after = page.after or _COPIED
            closure = replace(closure, done={**closure.done, name: after})
            await target.set_closure(closure)

    async def _compare(self, source: "MigratedMetadata", target: "MigratedMetadata", kind: StoredKind) -> int:
        found = await compare(source, target, kind, self._clock.now() + _MARGIN)
        if found.differing:
            named = ", ".join(found.differing[:_MAX_NAMED])
            raise CopyError(
                f"the {kind.table} differ after the copy, for example {named}: a process changed the source in the "
                "meantime. Run `recordings migrate` with --abandon, delete the target, and start again"
            )
        self._progress(f"{kind.table} compared", found.rows, found.rows)
        return found.rows


class MigratedMetadata(MigratedStore, MetadataStore, Protocol):
    """A metadata store that can be migrated. Both kinds can."""


def _copied() -> list[StoredKind]:
    return [kind for kind in KINDS if kind.is_copied]


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
