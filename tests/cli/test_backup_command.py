"""`recordings backup` and `recordings restore`, on both metadata stores."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from pymongo import MongoClient

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.sqlite import SqliteStore
from adapters.metadata.sqlite.database import connect
from adapters.metadata.stored_kinds import COLLECTIONS, TABLES, Care
from recordings.ports.copied_store import Closure
from tests.cli.conftest import CommandLine
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address
from tests.support.filled_installation import add_recordings, fill

KINDS = ("sqlite", "mongodb")
Rows = dict[str, list[Any]]


@dataclass
class Place:
    """One installation: its data folder, and its database if it is in MongoDB."""

    cli: CommandLine
    uri: str | None = None
    database: str = ""
    client: MongoClient[dict[str, Any]] | None = None

    def store(self) -> Any:
        return SqliteStore(self.cli.data) if self.uri is None else MongoStore(self.uri, self.database)

    def work(self, act: Callable[[Any], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            store = self.store()
            await store.open()
            try:
                return await act(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def fill(self, count: int = 20) -> list[str]:
        self.cli.data.mkdir(exist_ok=True)
        found: list[str] = self.work(lambda store: fill(store, self.cli.data, count))
        return found

    def add(self, count: int, first: int) -> None:
        self.work(lambda store: add_recordings(store, self.cli.data, count, first=first))

    def run(self, *words: str | Path, expected: int = 0) -> Result:
        variables = {} if self.uri is None else {"RECORDINGS_MONGODB": self.uri.replace("/?", f"/{self.database}?")}
        return self.cli.run(*words, expected=expected, **variables)

    def report(self, *words: str | Path, expected: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, expected=expected).stdout)
        return found

    def rows(self) -> Rows:
        """Return all that is copied. Commands leave entries in the audit trail, so only those of the test count."""
        if self.client is not None:
            names = [name for name, kind in COLLECTIONS.items() if kind.care is Care.COPIED]
            rows = {name: list(self.client[self.database][name].find()) for name in names}
            rows["meta"] = [each for each in rows["meta"] if each["_id"] in {"installation", "schema"}]
        else:
            with closing(connect(self.cli.data / "recordings.sqlite3", "ro")) as connection:
                rows = {
                    name: connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - constants
                    for name, kind in TABLES.items()
                    if kind.care is Care.COPIED
                }
        rows["audit_entries"] = [each for each in rows["audit_entries"] if "PLAY" in str(each)]
        return {name: sorted(found, key=str) for name, found in rows.items()}

    def audio(self) -> dict[str, bytes]:
        root = self.cli.data / "media"
        files = (path for path in root.rglob("*") if path.is_file() and "audit" not in path.parts)
        return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
def places(cli: CommandLine, tmp_path: Path) -> tuple[Place, Place]:
    """A place with SQLite to back up, and an empty one to restore into."""
    return Place(cli), Place(CommandLine(tmp_path / "other"))


@pytest.fixture(params=KINDS)
def pair(request: pytest.FixtureRequest, cli: CommandLine, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """A place to back up, and an empty one to restore into."""
    other = CommandLine(tmp_path / "other")
    if request.param == "sqlite":
        yield Place(cli), Place(other)
        return
    uri, name, client = (request.getfixturevalue(f"mongodb_{each}") for each in ("uri", "database", "client"))
    yield Place(cli, uri, name, client), Place(other, uri, f"{name}_r", client)
    client.drop_database(f"{name}_r")


def copy_key(source: Place, target: Place) -> None:
    shutil.copy(source.cli.data / "secret.key", target.cli.data / "secret.key")


def test_a_restored_installation_is_the_same(pair: tuple[Place, Place], tmp_path: Path) -> None:
    source, target = pair
    with_audio = source.fill()
    made = source.run("backup", tmp_path / "backup")
    assert "the backup does not contain the key file" in made.stderr
    report = json.loads(made.stdout)
    assert (report["recordings"], report["audio"], report["without_audio"]) == (20, len(with_audio), [])
    assert not list((tmp_path / "backup").rglob("secret.key"))
    assert target.report("restore", tmp_path / "backup", "--check")["backup"] == report["backup"]
    if target.client is not None:
        peers = target.client[target.database]["peers"]
        peers.insert_one({"_id": "n1", "url": "", "lease": datetime(2100, 1, 1, tzinfo=UTC)})
        assert "a server runs on this database" in target.run("restore", tmp_path / "backup", expected=1).stderr
        peers.delete_one({"_id": "n1"})
    restored = target.run("restore", tmp_path / "backup")
    assert "copy the key file with the key" in restored.stderr
    assert target.rows() == source.rows()
    assert target.audio() == source.audio()
    refused = target.run("account", "list", expected=1)
    assert "the key file" in refused.stderr
    copy_key(source, target)
    assert len(target.run("account", "list").stdout.splitlines()) == 2


def test_the_next_backup_copies_only_new_audio(places: tuple[Place, Place], tmp_path: Path) -> None:
    source, target = places
    source.fill(10)
    first = source.report("backup", tmp_path / "backup", "--with-key")
    source.add(5, first=10)
    second = source.report("backup", tmp_path / "backup", "--with-key", "--verify")
    assert (second["recordings"], second["copied"]) == (15, second["audio"] - first["audio"])
    assert target.report("restore", tmp_path / "backup", "--backup", first["backup"])["recordings"] == 10
    assert target.run("restore", tmp_path / "backup", expected=1).stderr.count("is not empty") == 1
    target.run("account", "list")
    assert (target.cli.data / "secret.key").stat().st_mode & 0o777 == 0o600


def test_audio_that_is_missing_or_damaged_is_named(places: tuple[Place, Place], tmp_path: Path) -> None:
    source, target = places
    gone, wrong, *_ = source.fill(10)
    media = source.cli.data / "media"
    next(media.rglob(f"{gone}.mp3")).unlink()
    next(media.rglob(f"{wrong}.mp3")).write_bytes(b"other")
    report = source.report("backup", tmp_path / "backup", expected=1)
    assert sorted(report["without_audio"]) == sorted([gone, wrong])
    restored = target.report("restore", tmp_path / "backup", expected=1)
    assert restored["without_audio_count"] == 2 - (wrong not in restored["without_audio"])
    assert len(target.audio()) == report["audio"]


def test_a_damaged_or_incomplete_backup_is_refused(places: tuple[Place, Place], tmp_path: Path) -> None:
    source, target = places
    source.fill(5)
    place = tmp_path / "backup"
    place.mkdir()
    assert "there is no complete backup" in target.run("restore", place, expected=1).stderr
    source.run("backup", place)
    part = next(path for path in place.rglob("recordings.*") if path.is_file())
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "the backup is damaged" in target.run("restore", place, "--check", expected=1).stderr
    assert "the backup is damaged" in target.run("restore", place, expected=1).stderr
    part.unlink()
    assert "the backup is incomplete" in target.run("restore", place, expected=1).stderr
    # No command and no server uses the target now.
    refused = target.run("account", "create", "x", expected=1)
    assert "run the same `recordings restore` again" in refused.stderr
    part.write_bytes(whole)
    audio = next(path for path in (place / "audio").rglob("*") if path.is_file())
    audio.write_bytes(b"wrong")
    assert target.report("restore", place, "--check", expected=1)["without_audio_count"] == 1
    assert target.report("restore", place, expected=1)["without_audio_count"] == 1
    copy_key(source, target)
    assert "MISSING_AUDIO" in target.run("doctor", expected=1).stdout


def test_another_task_is_not_continued(places: tuple[Place, Place], tmp_path: Path) -> None:
    source, target = places
    source.fill(5)
    source.run("backup", tmp_path / "backup")
    asyncio.run(_close(target))
    assert "a migration runs" in target.run("restore", tmp_path / "backup", expected=1).stderr
    assert "a migration runs" in target.run("account", "create", "x", expected=1).stderr


async def _close(place: Place) -> None:
    store = place.store()
    await store.set_closure(Closure("a migration runs", "migration"))
    await store.close()


def test_a_backup_of_the_other_kind_is_refused(
    cli: CommandLine, tmp_path: Path, mongodb_uri: str, mongodb_database: str
) -> None:
    Place(cli).fill(5)
    cli.run("backup", tmp_path / "backup")
    target = Place(CommandLine(tmp_path / "other"), mongodb_uri, mongodb_database)
    assert "the backup has metadata of sqlite" in target.run("restore", tmp_path / "backup", expected=1).stderr


def test_audio_goes_back_to_its_own_store(cli: CommandLine, tmp_path: Path) -> None:
    elsewhere = tmp_path / "audio store"
    source, target = Place(cli), Place(CommandLine(tmp_path / "other"))
    source.fill(5)
    source.run("backup", tmp_path / "backup")
    shutil.move(source.cli.data / "media", elsewhere)
    with closing(connect(source.cli.data / "recordings.sqlite3", "rw")) as connection:
        old, new = "local:", f"{elsewhere.as_uri()}/"
        connection.execute("UPDATE recordings SET media = replace(media, ?, ?) WHERE media LIKE '%local:%'", (old, new))
    report = source.report("backup", tmp_path / "backup")
    assert report["copied"] == 0
    gone = next(path for path in elsewhere.rglob("*.mp3"))
    gone.unlink()
    assert target.report("restore", tmp_path / "backup")["copied"] == 1
    assert gone.exists()


def test_a_backup_in_s3_is_restored_from_there(places: tuple[Place, Place], tmp_path: Path, seaweedfs: Address) -> None:
    source, target = places
    source.fill(10)
    options = tmp_path / "options.json"
    options.touch(mode=0o600)
    names = {"endpoint_url": "s3", "key": "key", "secret": "secret"}
    options.write_text(json.dumps({"s3://": {option: seaweedfs[name] for option, name in names.items()}}))
    place, more = f"s3://{BUCKET}/{tmp_path.name}", ("--media-options", options)
    made = source.report("backup", place, *more)
    assert source.report("backup", place, *more)["copied"] == 0
    assert target.report("restore", place, "--check", *more)["audio"] == made["audio"]
    assert target.report("restore", place, *more)["copied"] == made["audio"]
    assert (target.rows(), target.audio()) == (source.rows(), source.audio())
