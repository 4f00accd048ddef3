"""`recordings move-media`: between a folder, S3 and the data folder, while plays go on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from adapters.media import MediaRouter
from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import GRANTABLE, Principal
from recordings.model.events import Purged, Trashed
from recordings.model.fields import RecordingRow
from recordings.model.recording import State
from recordings.ports.audio import MediaMissing
from recordings.use_cases.save_event import RecordingWriter
from tests.cli.conftest import CommandLine
from tests.cli.test_backup_command import Place
from tests.servers.seaweedfs import BUCKET
from tests.servers.shared_server import Address
from tests.support.filled_installation import ACCOUNT

CALLER = Principal(ACCOUNT, frozenset(GRANTABLE))


def rows(cli: CommandLine) -> dict[str, RecordingRow]:
    async def read(store: Any) -> list[RecordingRow]:
        return list(await store.scan("", 1_000))

    found = Place(cli).work(read)
    return {row["id"]: row for row in found if row["media"] is not None and row["media"]["place"] is None}


def urls(cli: CommandLine) -> set[str]:
    return {row["media"]["url"] for row in rows(cli).values() if row["media"] is not None}


def test_audio_goes_to_a_folder_and_back(cli: CommandLine, tmp_path: Path) -> None:
    ids = Place(cli).fill(20)
    before = rows(cli)
    (target := tmp_path / "new store").mkdir()
    made = json.loads(cli.run("move-media", "--to", target.as_uri()).stdout)
    assert (made["moved"], made["deleted"], made["busy"], made["failed"]) == (len(ids), len(ids), 0, [])
    assert all(url.startswith(target.as_uri()) for url in urls(cli))
    assert list((cli.data / "media").rglob("*.mp3")) == []
    again = json.loads(cli.run("move-media", "--to", target.as_uri()).stdout)
    assert (again["moved"], again["deleted"]) == (0, 0)
    after = rows(cli)
    # Nothing else has changed, and no client gets an event.
    for recording_id, row in before.items():
        changed = {name for name, value in row.items() if value != after[recording_id][name]}  # type: ignore[literal-required]
        assert changed == {"media", "revision"}
    cli.run("move-media", "--to", "local:")
    assert urls(cli) == {row["media"]["url"] for row in before.values() if row["media"] is not None}
    cli.run("doctor", "--verify", "1", expected=1)


def test_kept_copies_are_deleted_by_a_purge_or_by_the_next_run(cli: CommandLine, tmp_path: Path) -> None:
    first, *others = Place(cli).fill(10)
    (target := tmp_path / "new").mkdir()
    made = json.loads(cli.run("move-media", "--to", target.as_uri(), "--keep").stdout)
    assert (made["moved"], made["deleted"]) == (len(others) + 1, 0)
    assert "COPY" not in cli.run("doctor", expected=1).stdout

    async def purge(services: Services) -> None:
        writer, now = RecordingWriter(services.store), services.clock.now()
        recording = await services.store.load(first)
        assert recording is not None
        trashed = await writer.save_event(recording, Trashed(at=now, by="ada", purge_at=now))
        assert isinstance(await services.upkeep._finalizer.purge(trashed), Purged)

    serve(cli, purge)
    assert list(tmp_path.rglob(f"{first}.mp3")) == []
    made = json.loads(cli.run("move-media", "--to", target.as_uri(), expected=1).stdout)
    assert made["deleted"] == len(others)
    assert list((cli.data / "media").rglob("*.mp3")) == []


def serve(cli: CommandLine, act: Callable[[Services], Any], **settings: str) -> Any:
    async def run() -> Any:
        async with open_services(load({}, {"data": str(cli.data), **settings})) as services:
            return await act(services)

    return asyncio.run(run())


def test_s3_and_a_damaged_file(cli: CommandLine, tmp_path: Path, seaweedfs: Address) -> None:
    damaged, missing, *others = Place(cli).fill(10)
    media = cli.data / "media"
    next(media.rglob(f"{damaged}.mp3")).write_bytes(b"wrong")
    next(media.rglob(f"{missing}.mp3")).unlink()
    options = tmp_path / "options.json"
    options.touch(mode=0o600)
    names = {"endpoint_url": "s3", "key": "key", "secret": "secret"}
    options.write_text(json.dumps({"s3://": {option: seaweedfs[name] for option, name in names.items()}}))
    bucket = f"s3://{BUCKET}/{tmp_path.name}"
    made = json.loads(cli.run("move-media", "--to", bucket, "--media-options", options, expected=1).stdout)
    assert (made["moved"], made["failed_count"]) == (len(others), 2)
    assert {each["recording"] for each in made["failed"]} == {damaged, missing}
    assert sum(url.startswith(bucket) for url in urls(cli)) == len(others)
    # Only the audio in the bucket goes to the other folder.
    (target := tmp_path / "new").mkdir()
    words = ("move-media", "--to", target.as_uri(), "--from", bucket, "--media-options", options)
    assert json.loads(cli.run(*words).stdout)["moved"] == len(others)


async def test_a_play_continues_while_its_audio_is_moved(cli: CommandLine, tmp_path: Path) -> None:
    target = tmp_path / "new"
    await asyncio.to_thread(target.mkdir)
    ids = await asyncio.to_thread(Place(cli).fill, 5)
    async with open_services(load({}, {"data": str(cli.data)})) as services:
        playback = await services.recordings.plays.listen(CALLER, ids[0])
        media = playback.recording.media
        assert media is not None
        whole = b"".join([chunk async for chunk in services.media.read(media.url)])
        read = playback.audio(in_parts(services.media))
        async with aclosing(read(media.url, 3, None)) as chunks:  # type: ignore[type-var]
            heard = await anext(chunks)
            await asyncio.to_thread(cli.run, "move-media", "--to", target.as_uri())
            with pytest.raises(MediaMissing):
                await anext(services.media.read(media.url))
            async for chunk in chunks:
                heard += chunk
        assert heard == whole[3:]
        # A request that has read the former URL just before.
        late = [chunk async for chunk in playback.audio(services.media.read)(media.url, 0, 10)]
        assert b"".join(late) == whole[:10]
        found = await services.store.load(ids[0])
        assert found is not None
        assert found.state is State.STORED


def in_parts(media: MediaRouter) -> Callable[[str, int, int | None], AsyncIterator[bytes]]:
    """Read one byte with each request, as stores without streams do."""

    async def read(url: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        length = await media.length(url)
        position = start
        while length is None or position < min(length, length if end is None else end):
            yield b"".join([chunk async for chunk in media.read(url, position, position + 1)])
            position += 1

    return read


def test_wrong_targets_are_refused(cli: CommandLine, tmp_path: Path, mongodb_uri: str) -> None:
    Place(cli).fill(5)
    assert "is not a URL for audio" in cli.run("move-media", "--to", "folder", expected=1).stderr
    mark = tmp_path / "other"
    mark.mkdir()
    (mark / ".recordings-installation").write_text('{"installation": "another"}')
    assert "the mark of another installation" in cli.run("move-media", "--to", mark.as_uri(), expected=1).stderr
    assert all(url.startswith("local:") for url in urls(cli))
