"""The port of a metadata store whose content is copied as a whole: by a backup, a restore or a migration."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


class CopyError(Exception):
    """The metadata cannot be copied. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Closure:
    """Why a metadata store must not be used now. Servers and commands refuse to open it.

    `reason` is for the operator. `task` names the restore or the migration that made the closure. Only the same task
    continues it, and `done` has its progress.
    """

    reason: str
    task: str
    done: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DumpedFile:
    """A file of a dump: its name, the number of its rows, and the digest of its rows if they have no order."""

    name: str
    rows: int
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Dump:
    """The files of a dump. `schema` is the version of the store's form. `left_out` are collections of others."""

    schema: int
    files: Sequence[DumpedFile]
    left_out: Sequence[str] = ()


@runtime_checkable
class CopiedStore(Protocol):
    """A metadata store that can be dumped and loaded. `closure` and `is_empty` can be called before `open`."""

    async def closure(self) -> Closure | None:
        """Return why the store must not be used; `None` if it may be used."""

    async def set_closure(self, closure: Closure | None) -> None:
        """Close the store, change its closure, or open it again with `None`."""

    async def is_empty(self) -> bool:
        """Return true if the store does not exist, or has no content of an installation."""

    async def dump(self, folder: str) -> Dump:
        """Write all content of one instant into files in a folder, while servers use the store.

        The file `AUDIO_LIST` has one line for each recording with audio in a media store of the installation.

        Raises:
            CopyError: there is no copy of one instant, or the store is damaged.
        """

    async def load_dump(self, folder: str, dump: Dump) -> None:
        """Load the files of a dump into an empty store before `open`, and check them. A second call continues.

        Raises:
            CopyError: the loaded content differs from the dump.
        """


@dataclass(frozen=True, slots=True)
class RowPage:
    """Rows of one kind as plain values, in a form that is the same for all stores.

    `after` is the position behind them; `None` if no rows follow.
    """

    rows: Sequence[Mapping[str, Any]]
    after: str | None


@runtime_checkable
class MigratedStore(CopiedStore, Protocol):
    """A store whose content can be moved to a store of another technology, kind by kind."""

    def without_writes(self) -> AbstractAsyncContextManager[None]:
        """Prevent writes of other processes, as far as the store can. Raise `CopyError` if a server is running."""

    async def plain_rows(self, kind: str, after: str | None, limit: int) -> RowPage:
        """Return the rows of a kind behind a position. A kind has the name of its table in SQLite."""

    async def add_plain_rows(self, kind: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows. Rows that exist stay as they are."""

    async def finish_plain_rows(self) -> None:
        """Make the rows that depend on the added ones, such as the marks of the figures."""


AUDIO_LIST = "audio.ndjson.gz"
"""A file of a dump: JSON lines with `recording`, `url`, `length`, `sha256` and `content_type`, compressed with gzip."""
