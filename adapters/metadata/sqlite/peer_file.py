"""The workers of one server and their live calls, in a SQLite file of their own.

Everything in it is about running processes, so no write waits for the disk, and the file is new at each start of the
server. All workers are on one machine, so its clock decides which of them are alive.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from adapters.metadata.row_fields import decode, encode
from adapters.metadata.sqlite.database import MAX_BATCH, commit_together, connect, create
from adapters.metadata.sqlite.database_threads import Call as Statement
from adapters.metadata.sqlite.database_threads import ConnectionThreads, StoreClosedError
from recordings.model.call import Call, Network, position_of_call
from recordings.model.instants import Millis
from recordings.model.item_list import take_page
from recordings.model.query import PageRequest
from recordings.model.recording import Direction
from recordings.ports.peers import Peer, RegisteredServer
from recordings.ports.recording_store import StoreUnavailableError

MAX_CHANGES: Final = 10_000
"""How many changes of calls are kept for the watching workers."""
_WATCH_SECONDS: Final = 0.05
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS peer (node TEXT PRIMARY KEY, url TEXT NOT NULL, version TEXT NOT NULL,
    clock_difference INTEGER NOT NULL, keys TEXT NOT NULL, lease INTEGER NOT NULL) STRICT""",
    """CREATE TABLE IF NOT EXISTS live_call (account_id TEXT NOT NULL, call_id TEXT NOT NULL, node TEXT NOT NULL,
    owner_id TEXT, call TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (account_id, call_id)) STRICT""",
    "CREATE INDEX IF NOT EXISTS live_call_node ON live_call (node)",
    "CREATE TABLE IF NOT EXISTS switch (name TEXT PRIMARY KEY, node TEXT NOT NULL, until INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS change (seq INTEGER PRIMARY KEY AUTOINCREMENT, account_id TEXT NOT NULL) STRICT",
    *(
        f"""CREATE TRIGGER IF NOT EXISTS call_{event} AFTER {event} ON live_call BEGIN
    INSERT INTO change (account_id) VALUES ({row}.account_id);
    DELETE FROM change WHERE seq <= last_insert_rowid() - {MAX_CHANGES}; END"""  # noqa: S608 - constants
        for event, row in (("insert", "new"), ("update", "new"), ("delete", "old"))
    ),
)
_SERVER: Final = "SELECT node, url, version, clock_difference, keys, lease FROM peer"
_ADD: Final = """INSERT INTO live_call (account_id, call_id, node, owner_id, call, until) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET node = excluded.node, owner_id = excluded.owner_id, call = excluded.call,
until = excluded.until WHERE node IN (excluded.node, ?) RETURNING node"""
_REACHABLE: Final = """SELECT live_call.node, call FROM live_call JOIN peer USING (node)
WHERE account_id = ? AND peer.url <> '' AND lease > ? AND until > ?"""


class PeerFile:
    """A `PeerStore` for the processes of one machine. Call `open` before use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: ConnectionThreads | None = None

    async def open(self) -> None:
        """Create the file if it does not exist. Other workers may do the same at the same time."""
        self._thread = ConnectionThreads("sqlite-peers", [await asyncio.to_thread(self._connect)], _run, MAX_BATCH)

    def _connect(self) -> sqlite3.Connection:
        create(self._path)
        with ExitStack() as opened:
            connection = opened.enter_context(closing(connect(self._path, "rw")))
            for statement in ("PRAGMA synchronous = OFF", *_SCHEMA):
                connection.execute(statement)
            opened.pop_all()
        return connection

    async def close(self) -> None:
        """Finish all queued calls and close the file."""
        if self._thread is not None:
            await self._thread.close()

    async def _execute(self, statement: Statement) -> Any:
        if self._thread is None:
            raise StoreClosedError("the file of the workers is not open")
        try:
            return await self._thread.run(statement)
        except (TimeoutError, sqlite3.Error) as error:
            raise StoreUnavailableError(f"the file of the workers does not answer: {error}") from error

    async def register(self, peer: Peer, lease: Millis) -> Millis:
        """Register a worker, or renew its lease. Return the machine's time."""
        now = _now()
        row = (peer.node, peer.url, peer.version, peer.clock_difference, encode(list(peer.keys)), now + lease)
        await self._execute(lambda file: file.execute("REPLACE INTO peer VALUES (?, ?, ?, ?, ?, ?)", row))
        return now

    async def end_lease(self, node: str) -> None:
        """End the lease of a worker, and remove its calls."""

        def end(file: sqlite3.Connection) -> None:
            file.execute("UPDATE peer SET lease = ? WHERE node = ?", (_now(), node))
            file.execute("DELETE FROM live_call WHERE node = ?", (node,))

        await self._execute(end)

    async def forget(self, node: str) -> None:
        """Remove a worker and its calls."""
        await self.end_lease(node)
        await self._execute(lambda file: file.execute("DELETE FROM peer WHERE node = ?", (node,)))

    async def peer(self, node: str) -> Peer | None:
        """Return the live worker with this node name."""
        return next((found.peer for found in await self.servers([node]) if found.is_alive), None)

    async def servers(self, nodes: Collection[str] | None = None) -> Sequence[RegisteredServer]:
        """Return the registered workers, by node name."""
        rows = await self._execute(lambda file: file.execute(f"{_SERVER} ORDER BY node").fetchall())
        now = _now()
        return [
            RegisteredServer(Peer(node, url, version, difference, tuple(decode(keys))), lease - now)
            for node, url, version, difference, keys, lease in rows
            if nodes is None or node in nodes
        ]

    async def hold_switch(self, switch: str, node: str, lease: Millis) -> str:
        """Lease a switch to a worker, unless another one has it. Return the holder's node."""

        def hold(file: sqlite3.Connection) -> str:
            now = _now()
            file.execute(
                """INSERT INTO switch VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET node = excluded.node,
                until = excluded.until WHERE node = excluded.node OR until <= ?""",
                (switch, node, now + lease, now),
            )
            return str(file.execute("SELECT node FROM switch WHERE name = ?", (switch,)).fetchone()[0])

        return str(await self._execute(hold))

    async def release_switches(self, node: str) -> None:
        """End the leases of a worker on switches."""
        await self._execute(lambda file: file.execute("UPDATE switch SET until = 0 WHERE node = ?", (node,)))

    async def call_counts(self) -> Mapping[str, int]:
        """Return the number of live calls of each worker."""
        counts = "SELECT node, count(*) FROM live_call GROUP BY node"
        return dict(await self._execute(lambda file: file.execute(counts).fetchall()))

    async def claim_call(self, node: str, call: Call, keep: Millis, instead_of: str | None = None) -> str | None:
        """Add a live call of a worker, unless another one has it. Return that worker's node, else `None`."""

        def claim(file: sqlite3.Connection) -> str | None:
            if _add(file, node, call, keep, instead_of):
                return None
            names = (call.account_id, call.call_id)
            owner = "SELECT node FROM live_call WHERE account_id = ? AND call_id = ?"
            return str(file.execute(owner, names).fetchone()[0])

        found: str | None = await self._execute(claim)
        return found

    async def add_calls(self, node: str, calls: Collection[Call], keep: Millis) -> Collection[tuple[str, str]]:
        """Add live calls of a worker. Return those that another one has."""
        if not calls:
            return []

        def add(file: sqlite3.Connection) -> list[tuple[str, str]]:
            return [(call.account_id, call.call_id) for call in calls if not _add(file, node, call, keep)]

        refused: list[tuple[str, str]] = await self._execute(add)
        return refused

    async def remove_calls(self, node: str, calls: Collection[tuple[str, str]]) -> None:
        """Remove ended calls of a worker."""
        rows = [(*names, node) for names in calls]
        remove = "DELETE FROM live_call WHERE account_id = ? AND call_id = ? AND node = ?"
        if rows:
            await self._execute(lambda file: file.executemany(remove, rows))

    async def held_call(self, account_id: str, call_id: str) -> Call | None:
        """Return the live call with this id."""
        return next(iter(await self._calls(account_id, " AND call_id = ?", call_id)), None)

    async def held_calls(
        self, account_id: str, request: PageRequest, *, owner_id: str | None = None, other_than: str = ""
    ) -> Sequence[Call]:
        """Return a page of the live calls of an account, newest first."""
        found = await self._held(account_id, owner_id, other_than)
        return take_page(found, request, position_of_call, descending=True)

    async def count_held_calls(self, account_id: str, *, owner_id: str | None = None, other_than: str = "") -> int:
        """Return the number of these calls."""
        return len(await self._held(account_id, owner_id, other_than))

    async def watch_calls(self) -> AsyncGenerator[Collection[str]]:
        """Yield the ids of accounts whose live calls changed."""
        last = "SELECT coalesce(max(seq), 0) FROM change"
        seq = int((await self._execute(lambda file: file.execute(last).fetchone()))[0])
        yield ()
        while True:
            rows = await self._execute(_changes_after(seq))
            seq = rows[-1][0] if rows else seq
            yield {account_id for _, account_id in rows}
            await asyncio.sleep(_WATCH_SECONDS)

    async def _held(self, account_id: str, owner_id: str | None, other_than: str) -> list[Call]:
        return await self._calls(
            account_id, " AND live_call.node <> ? AND coalesce(owner_id = ?, ?)", other_than, owner_id, owner_id is None
        )

    async def _calls(self, account_id: str, condition: str, *values: Any) -> list[Call]:
        now = _now()
        found = (account_id, now, now, *values)
        rows = await self._execute(lambda file: file.execute(_REACHABLE + condition, found).fetchall())
        return [_call(*row) for row in rows]


def _run(connection: sqlite3.Connection, calls: Sequence[Statement]) -> Any:
    return commit_together(connection, calls)


def _now() -> Millis:
    return time.time_ns() // 1_000_000


def _changes_after(seq: int) -> Statement:
    changes = "SELECT seq, account_id FROM change WHERE seq > ? ORDER BY seq"
    return lambda file: file.execute(changes, (seq,)).fetchall()


def _add(file: sqlite3.Connection, node: str, call: Call, keep: Millis, instead_of: str | None = None) -> bool:
    row = (call.account_id, call.call_id, node, call.owner_id, encode(asdict(call)), _now() + keep, instead_of)
    return bool(file.execute(_ADD, row).fetchall())


def _call(node: str, text: str) -> Call:
    values = decode(text)
    enums = {"direction": Direction, "from_network": Network, "to_network": Network}
    typed = {name: kind(values[name]) for name, kind in enums.items() if values.get(name) is not None}
    return replace(Call(**values | typed), node=node)
