"""One recording that cannot be moved, read or saved does not stop the work on the others, nor the next start."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from adapters.media import AccessRefusedError, open_media_store
from adapters.metadata.sqlite.sqlite_store import FILE
from graph.server.recorder_events import RecorderEvents
from recordings.model.events import Ended, Event, Trashed
from recordings.model.recording import EndCause, Reason, Recording, State
from recordings.ports.recorder import TakeEvent
from recordings.use_cases.save_event import RecordingWriter
from tests.contract.metadata.samples import recording as sample
from tests.faults.real_node import NODE, Node, state_of
from tests.support.disk import DISK, MEMORY

MANIFEST = "take.json"


async def finish(node: Node) -> None:
    """Recover and run the due steps. A recording that fails stays due, so the number of rounds is limited."""
    upkeep = node.upkeep()
    await upkeep.recover()
    for _ in range(6):
        for recording in await upkeep.claim(8):
            await upkeep.step(recording)


@contextmanager
def another_device(than: Path) -> Iterator[Path]:
    devices = {root.stat().st_dev: root for root in (MEMORY, DISK)}
    devices.pop(than.stat().st_dev, None)
    if not devices:
        pytest.skip("there is one device")
    with tempfile.TemporaryDirectory(dir=devices.popitem()[1]) as folder:
        yield Path(folder)


async def test_a_take_is_copied_to_aside_on_another_device(node: Node) -> None:
    damaged, healthy = await node.record(source_key="kazoo/1"), await node.record()
    sizes = {path.name: path.stat().st_size for path in (node.folder / "spool" / damaged.id).iterdir()}
    with another_device(node.folder) as other:
        (node.folder / "aside").symlink_to(other)
        await node.spool.set_aside(damaged.id)
        assert {path.name: path.stat().st_size for path in (other / damaged.id).iterdir()} == sizes
        assert {path.stat().st_mode & 0o077 for path in other.rglob("*")} == {0}
        await finish(node)
        assert (await state_of(node, healthy)).state is State.STORED
        assert (await state_of(node, damaged)).state is State.FAILED
        assert not node.files()["spool"]


async def test_a_copy_to_another_device_that_died_is_finished(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    take = await node.record()
    with another_device(node.folder) as other:
        (node.folder / "aside").symlink_to(other)
        with monkeypatch.context() as patched, suppress(PermissionError):
            patched.setattr("adapters.spool.folder_spool.shutil.rmtree", refuse)
            await node.spool.set_aside(take.id)
        await node.spool.set_aside(take.id)
        assert [path.name for path in other.iterdir()] == [take.id]
        assert not await node.spool.ids()


def refuse(path: Path, **_options: Any) -> None:
    if Path(path).exists():
        raise PermissionError(13, "Permission denied", str(path))


def file_instead_of_aside(folder: Path) -> None:
    (folder / "aside").write_text("")


def dangling_aside(folder: Path) -> None:
    (folder / "aside").symlink_to(folder / "nowhere" / "aside")


@pytest.mark.parametrize("break_aside", [file_instead_of_aside, dangling_aside])
async def test_takes_that_cannot_be_set_aside_stop_nothing(node: Node, break_aside: Callable[[Path], None]) -> None:
    stuck = [await node.record(source_key=f"kazoo/{number}") for number in range(3)]
    healthy = [await node.record() for _ in range(3)]
    break_aside(node.folder)
    for _ in range(2):
        await finish(node)
    assert {(await state_of(node, each)).state for each in healthy} == {State.STORED}
    assert {(await state_of(node, each)).reason for each in stuck} == {Reason.INCOMPLETE}
    assert {name for name, _error in node.reporter.faults} <= {"clear", "check"}
    assert {path.name for path in (node.folder / "spool").iterdir()} == {each.id for each in stuck}


async def test_a_take_that_could_not_be_set_aside_is_set_aside_later(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = await node.record(source_key="kazoo/1")
    file_instead_of_aside(node.folder)
    upkeep = node.upkeep()
    await upkeep.recover()
    (node.folder / "aside").unlink()
    monkeypatch.setattr("recordings.use_cases.unclear_writes.Retry.is_due", True)
    await upkeep.claim(8)
    assert [path.name for path in (node.folder / "aside").iterdir()] == [take.id]


DAMAGED = {
    "empty": b"",
    "half": b'{"codec": "s16", "sample_r',
    "zeros": b"\0" * 64,
    "list": b"[]",
    "null": b"null",
    "text": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "no tracks": b'{"codec": "s16", "sample_rate": 8000, "tracks": []}',
    "tracks text": b'{"codec": "s16", "sample_rate": 8000, "tracks": "left.s16"}',
    "codec": b'{"codec": "opus9", "sample_rate": 8000, "tracks": ["left.s16"]}',
    "rate": b'{"codec": "s16", "sample_rate": "fast", "tracks": ["left.s16"]}',
    "zero rate": b'{"codec": "s16", "sample_rate": 0, "tracks": ["left.s16"]}',
    "path": b'{"codec": "s16", "sample_rate": 8000, "tracks": ["../../secret.key"]}',
    "missing": None,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
async def test_a_damaged_manifest_ends_as_failed_and_its_bytes_are_kept(node: Node, content: bytes | None) -> None:
    damaged, healthy = await node.record(), await node.record()
    manifest = node.folder / "spool" / damaged.id / MANIFEST
    manifest.unlink()
    if content is not None:
        manifest.write_bytes(content)
    await finish(node)
    found = await state_of(node, damaged)
    assert (found.state, found.reason) == (State.FAILED, Reason.FINALIZER_FAILED)
    assert MANIFEST in (found.reason_detail or "")
    assert {"left.s16", "right.s16"} <= {path.name for path in (node.folder / "aside" / damaged.id).iterdir()}
    assert (await state_of(node, healthy)).state is State.STORED
    now = node.clock.now()
    await RecordingWriter(node.store).save_event(found, Trashed(at=now, by="me", purge_at=now))
    await finish(node)
    assert (await state_of(node, damaged)).state is State.PURGED
    assert not node.files()["aside"]


async def test_a_folder_as_manifest_is_damaged(node: Node) -> None:
    damaged = await node.record()
    manifest = node.folder / "spool" / damaged.id / MANIFEST
    manifest.unlink()
    manifest.mkdir()
    await finish(node)
    assert (await state_of(node, damaged)).state is State.FAILED


async def test_entries_of_others_in_the_spool_are_named_and_left_alone(node: Node) -> None:
    healthy = await node.record()
    spool = node.folder / "spool"
    (spool / "lost+found").mkdir()
    (spool / "lost+found" / "#123").write_text("x")
    (spool / ".#take.json").write_text("editor")
    (spool / "notes.txt~").write_text("editor")
    (spool / "link").symlink_to("/nowhere")
    (node.folder / "aside").mkdir()
    (node.folder / "aside" / ".DS_Store").write_text("x")
    (node.folder / "media" / "lost+found").mkdir(parents=True)
    await finish(node)
    assert (await state_of(node, healthy)).state is State.STORED
    named = {Path(name).name for name in node.reporter.unknown}
    assert named == {"lost+found", ".#take.json", "notes.txt~", "link", ".DS_Store"}
    assert {path.name for path in spool.iterdir()} == {"lost+found", ".#take.json", "notes.txt~", "link"}


async def test_a_take_without_a_recording_is_still_set_aside(node: Node) -> None:
    await (await node.spool.open_body("unknown", "mp3")).close()
    await finish(node)
    assert [path.name for path in (node.folder / "aside").iterdir()] == ["unknown"]


async def test_adoption_continues_after_a_recording_that_fails(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = [await node.record(state=State.LOST, reason=Reason.RECORDER_GONE) for _ in range(3)]
    load = node.store.load

    async def fail_for_one(recording_id: str) -> Recording | None:
        if recording_id == min(each.id for each in lost):
            raise ValueError
        return await load(recording_id)

    monkeypatch.setattr(node.store, "load", fail_for_one)
    assert len(await node.upkeep().adopt()) == 2


async def test_a_damaged_row_does_not_stop_claims_and_recovery(node: Node) -> None:
    damaged, healthy = await node.record(), await node.record()
    broken = sample(state=State.FINALIZING, node=NODE, due_at=0, account_id="a" * 32)
    await node.store.insert(broken)
    with closing(sqlite3.connect(node.folder / FILE)) as connection, connection:
        connection.execute("UPDATE recordings SET options = '{' WHERE id IN (?, ?)", (damaged.id, broken.id))
    await finish(node)
    assert (await state_of(node, healthy)).state is State.STORED


class Recorder:
    """A recorder with given events."""

    def __init__(self, *events: TakeEvent) -> None:
        self._events = events

    async def events(self) -> AsyncIterator[TakeEvent]:
        for event in self._events:
            yield event

    async def stop(self, _recording_id: str) -> None:
        raise ConnectionError


class Listener:
    """Fails for a recording until it is repaired, and keeps the order of the saved events."""

    def __init__(self) -> None:
        self.saved: list[tuple[str, int]] = []
        self.repaired = asyncio.Event()

    async def on_event(self, recording_id: str, event: Event) -> None:
        if recording_id == "stuck" and not self.repaired.is_set():
            raise ValueError(recording_id)
        self.saved.append((recording_id, event.at))


async def test_an_event_that_cannot_be_saved_does_not_delay_other_recordings() -> None:
    events = [
        TakeEvent(name, Ended(at=at, cause=EndCause.HANGUP))
        for at, name in enumerate(("stuck", "a", "stuck", "b", "a"))
    ]
    recorder: Any = Recorder(*events)
    listener: Any = Listener()
    applying = RecorderEvents(recorder, listener, lambda _: None)
    running = asyncio.create_task(applying.run())
    async with asyncio.timeout(20):
        while len(listener.saved) < 3:  # noqa: ASYNC110 - polls
            await asyncio.sleep(0.01)
    assert sorted(listener.saved) == [("a", 1), ("a", 4), ("b", 3)]
    assert applying.failing_seconds > 0
    listener.repaired.set()
    await running
    assert listener.saved[3:] == [("stuck", 0), ("stuck", 2)]
    assert not applying.failing_seconds


@contextmanager
def without_root() -> Iterator[None]:
    """Run as a user without rights."""
    if os.geteuid():
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A media store with an unreadable folder, and a file whose name is not UTF-8."""
    for folder in ("a", "b", "c"):
        (tmp_path / "media" / folder).mkdir(parents=True)
        (tmp_path / "media" / folder / "x.mp3").write_text("x")
    (tmp_path / "media" / "b").chmod(0)
    (tmp_path / "media" / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    for parent in (*tmp_path.parents, tmp_path):
        parent.chmod(parent.stat().st_mode | 0o055)
    return tmp_path / "media"


async def test_an_unreadable_folder_is_named_and_the_others_are_listed(folders: Path) -> None:
    media = open_media_store(f"file://{folders}", folders)
    listing = media.objects_at(media.default_location)
    assert listing is not None
    found: list[str] = []
    with without_root():
        with pytest.raises(AccessRefusedError, match=r"1 folders cannot be read: .*/b"):
            await collect(listing, found)
        assert [url.rpartition("/media/")[2] for url in found] == ["caf%E9.txt", "a/x.mp3", "c/x.mp3"]
        (length,) = await media.lengths([f"file://{folders}/b/x.mp3"])
        assert isinstance(length, AccessRefusedError)


async def collect(listing: AsyncIterator[Any], found: list[str]) -> None:
    async for item in listing:
        found.append(item.url)  # noqa: PERF401 - the items before an error must be kept
