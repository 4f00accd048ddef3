"""Back up, restore and migrate an installation, and kill each command in the middle.

    python -m tests.faults.operations --rows 100000

Each command is killed (SIGKILL) and then run again. After the kill, no server uses what the command has left. At the
end, the content of each store is compared with the first one. It exits with 1 at the first difference.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.stored_kinds import KINDS
from graph.migration.compare_rows import compare
from tests.e2e.server import command
from tests.servers.mongod import Mongod
from tests.support.filled_installation import fill, with_many

KILLED = -signal.SIGKILL
SECONDS = 3_600.0
# Seals and entries of the commands themselves are added to the audit trail.
COMPARED = [kind for kind in KINDS if kind.is_copied and kind.table not in {"audit_entries", "audit_seals"}]


def kill_at(call: str) -> None:
    """Let this process kill itself at a call: `module:Class.method:number`."""
    module, names, number = call.rsplit(":", 2)
    owner_name, method = names.split(".")
    owner = getattr(__import__(module, fromlist=[owner_name]), owner_name)
    original, left = getattr(owner, method), [int(number)]

    async def counted(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return await original(*args, **kwargs)

    setattr(owner, method, counted)


class Operations:
    """The installation of this check."""

    def __init__(self, folder: Path, uri: str, database: str = "operations") -> None:
        self.folder = folder
        self.data = folder / "data"
        self.uri = uri
        self.database = database

    def say(self, text: str) -> None:
        """Print the progress."""
        print(text, flush=True)

    @property
    def url(self) -> str:
        """The URL of the database for commands."""
        return self.uri.replace("/?", f"/{self.database}?")

    def run(self, *words: str | Path, data: Path, kill: str = "", expected: int = 0, mongodb: str = "") -> Any:
        prepare = ("tests.faults.operations:kill_at", kill) if kill else ()
        started = time.monotonic()
        ended = command(*words, data=data, seconds=SECONDS, prepare=prepare, RECORDINGS_MONGODB=mongodb)
        wanted = KILLED if kill else expected
        assert ended.returncode == wanted, (words, ended.returncode, ended.stderr[-2_000:])
        self.say(f"{words[0]:10} {'killed' if kill else 'done  '} {time.monotonic() - started:8.1f} s")
        return json.loads(ended.stdout.splitlines()[-1]) if ended.stdout else None

    def prepare(self, rows: int) -> None:
        """Fill SQLite. Most of the rows are copies, because each real change needs a write of its own."""

        async def work() -> None:
            store = SqliteStore(self.data)
            await store.open()
            await fill(store, self.data, min(rows, 200))
            await store.close()

        asyncio.run(work())
        with_many(self.data, rows)
        self.run("account", "list", data=self.data)

    async def same(self, first: Any, second: Any) -> Mapping[str, int]:
        """Compare two stores that are not open."""
        counts = {}
        for store in (first, second):
            await store.open()
        try:
            for kind in COMPARED:
                found = await compare(first, second, kind, 0)
                assert not found.differing, (kind.table, found.differing[:3])
                counts[str(kind.table)] = found.rows
        finally:
            for store in (first, second):
                await store.close()
        return counts

    def check(self, rows: int) -> None:
        """Run all commands, with a kill in the middle of each."""
        self.prepare(rows)
        middle = rows // 3
        backup, copy = self.folder / "backup", self.folder / "copy"
        put = "adapters.media.folder_store:FolderMedia.put"
        # A backup.
        self.run("backup", backup, "--with-key", data=self.data, kill=f"{put}:{middle}")
        self.run("restore", backup, data=copy, expected=1)
        shutil.rmtree(copy)
        made = self.run("backup", backup, "--with-key", data=self.data)
        assert made["recordings"] == rows, made
        assert 0 < made["copied"] < made["audio"], made
        assert self.run("restore", backup, "--check", data=copy)["audio"] == made["audio"]
        # A restore.
        self.run("restore", backup, data=copy, kill=f"{put}:{middle}")
        self.run("account", "list", data=copy, expected=1)
        assert 0 < self.run("restore", backup, data=copy)["copied"] < made["audio"]
        counts = asyncio.run(self.same(SqliteStore(self.data), SqliteStore(copy)))
        self.run("verify", data=copy, expected=1)
        self.say(f"restored, equal: {dict(counts)}")
        # A migration, and another one back.
        words = ("migrate", "--from", "sqlite", "--to", "mongodb")
        database = self.url
        add = "adapters.metadata.mongodb:MongoStore.add_plain_rows"
        self.run(*words, data=self.data, kill=f"{add}:{middle // 500 + 10}", mongodb=database)
        self.run("account", "list", data=self.data, expected=1)
        self.run("account", "list", data=self.data, expected=1, mongodb=database)
        self.run(*words, data=self.data, mongodb=database)
        asyncio.run(self.same_in_mongodb(copy))
        self.say("migrated to MongoDB, equal")
        self.back(copy, middle)

    async def same_in_mongodb(self, copy: Path) -> None:
        await self.same(SqliteStore(copy), MongoStore(self.uri, self.database))

    def back(self, copy: Path, middle: int) -> None:
        """Back up MongoDB, restore it, and migrate back."""
        database = self.url
        for name in ("recordings.sqlite3", "recordings.sqlite3.closed"):
            (self.data / name).unlink()
        made = self.run("backup", self.folder / "backup", data=self.data, mongodb=database)
        assert made["copied"] == 0, made
        restored = self.uri.replace("/?", f"/{self.database}_restored?")
        insert = "adapters.metadata.mongodb:MongoStore.set_closure"
        self.run("restore", self.folder / "backup", data=self.folder / "other", kill=f"{insert}:1", mongodb=restored)
        self.run("restore", self.folder / "backup", data=self.folder / "other", mongodb=restored)
        asyncio.run(self._same_databases())
        self.say("backed up and restored in MongoDB, equal")
        words = ("migrate", "--from", "mongodb", "--to", "sqlite")
        add = "adapters.metadata.sqlite:SqliteStore.add_plain_rows"
        self.run(*words, data=self.data, kill=f"{add}:{middle // 500 + 10}", mongodb=database)
        self.run(*words, data=self.data, mongodb=database)
        asyncio.run(self.same(SqliteStore(self.data), SqliteStore(copy)))
        self.say("migrated back to SQLite, equal")

    async def _same_databases(self) -> None:
        await self.same(MongoStore(self.uri, self.database), MongoStore(self.uri, f"{self.database}_restored"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="number of recordings")
    parser.add_argument("--mongodb", help="the URI of a replica set; by default, this starts one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recordings-operations-") as name:
        if given.mongodb:
            Operations(Path(name), given.mongodb).check(given.rows)
            return
        with Mongod(Path(name) / "mongodb") as mongod:
            Operations(Path(name), mongod.uri).check(given.rows)


if __name__ == "__main__":
    main()
