"""`kill -9` of commands that change many recordings, at each of their writes. Then the same command runs again."""

import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from adapters.media import FolderMedia
from adapters.metadata.sqlite import SqliteStore
from adapters.spool import FolderSpool
from recordings.model.account import Account
from recordings.model.instants import DAY
from recordings.model.recording import Media, Reason, Recording, State
from recordings.model.retention import Retention
from recordings.use_cases.account_settings import AccountSettings
from recordings.use_cases.finalizer import media_key
from tests.contract.metadata.samples import recording as sample
from tests.e2e.server import command
from tests.e2e.sound import wav
from tests.faults.killed_process import Control
from tests.support.fake_clock import FakeClock
from tests.support.memory_audit import MemoryAudit
from tests.support.old_installation import set_created

ACCOUNT = "ab" * 16
DATA = b"audio " * 100
KILLED = -9


class DataFolder:
    """A data folder and the commands that run on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self._folder = folder / "control"
        self._folder.mkdir()
        self._control = Control(self._folder)
        self.store = SqliteStore(self.data)
        self.media = FolderMedia(self.data / "media", "local:")
        self.spool = FolderSpool(self.data)

    def run(self, *words: str, kill_at: int | None = None) -> int:
        """Run a command and return its exit code. It is killed at the step with the index `kill_at`, if given."""
        self._control.hold(kill_at=kill_at)
        ended = command(*words, data=self.data, prepare=("tests.faults.killed_process:arm", str(self._folder)))
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode

    def kill_at_each_step(self, *words: str) -> Iterator[int]:
        """Kill a command at each of its steps and run it again.

        It yields the index of a step before the kill at this step, so that the test can prepare its data.
        """
        for step in count():
            yield step
            code = self.run(*words, kill_at=step)
            if code != KILLED:
                assert code == 0
                assert step > 5
                return
            assert self.run(*words) == 0

    async def add(self, **fields: Any) -> Recording:
        """Add a recording with its audio."""
        plain = sample(account_id=ACCOUNT, state=State.STORED, **fields)
        source = self.data / "source"
        source.write_bytes(DATA)
        url = await self.media.put(media_key(plain, "mp3"), str(source), "audio/mpeg")
        media = Media(url, "audio/mpeg", len(DATA), 1_000, 8_000, 1, hashlib.sha256(DATA).hexdigest(), plain.start)
        stored = sample(
            id=plain.id, account_id=ACCOUNT, state=State.STORED, call_id=plain.call_id, media=media, **fields
        )
        await self.store.insert(stored)
        return stored

    async def load(self, recording: Recording) -> Recording:
        found = await self.store.load(recording.id)
        assert found is not None
        return found


@pytest.fixture
async def data_folder(tmp_path: Path) -> AsyncIterator[DataFolder]:
    made = DataFolder(tmp_path)
    await made.store.open()
    assert await made.store.add_account(Account(id=ACCOUNT, name="x", created=0))
    yield made
    await made.store.close()


async def test_retention_set_after_a_kill_gives_every_recording_its_date(data_folder: DataFolder) -> None:
    kept = [await data_folder.add(label=label) for label in (None, "a", "b")]
    keeping = AccountSettings(data_folder.store, FakeClock(), MemoryAudit())
    for step in data_folder.kill_at_each_step("retention", "set", "--account", ACCOUNT, "--days", "30000", "--wait"):
        if step:
            assert await keeping.rules(ACCOUNT) == (Retention(30_000),)
            assert {(await data_folder.load(each)).delete_at for each in kept} == {
                each.start + 30_000 * DAY for each in kept
            }
            await keeping.clear_rule(ACCOUNT, None)
        assert {(await data_folder.load(each)).delete_at for each in kept} == {None}


async def test_doctor_repair_after_a_kill_leaves_nothing_to_repair(data_folder: DataFolder) -> None:
    whole = await data_folder.add()
    set_created(data_folder.data)
    lost: list[Recording] = []
    for step in data_folder.kill_at_each_step("doctor", "--repair", "--repair-orphans", "1"):
        if step:
            assert data_folder.run("doctor", "--verify", "1") == 0
            found = await data_folder.load(lost[-1])
            assert (found.state, found.reason) == (State.LOST, Reason.AUDIO_MISSING)
            assert [each.url async for each in data_folder.media.objects()] == [whole.media and whole.media.url]
            assert await data_folder.spool.ids() == []
        # A recording without its audio, audio without a recording, and an unneeded file in the spool.
        lost.append(missing := await data_folder.add())
        assert missing.media is not None
        orphan = data_folder.data / "media" / media_key(sample(account_id=ACCOUNT), "mp3")
        orphan.parent.mkdir(parents=True, exist_ok=True)
        (data_folder.data / "media" / missing.media.url.removeprefix("local:")).rename(orphan)
        os.utime(orphan, (0, 0))
        await (await data_folder.spool.open_body(whole.id, "mp3")).close()
    found = await data_folder.load(lost[-1])
    assert found.state is State.LOST
    assert data_folder.run("doctor") == 0


async def test_an_import_after_a_kill_has_the_audio_of_every_recording(data_folder: DataFolder, tmp_path: Path) -> None:
    file, folder = tmp_path / "export.jsonl", tmp_path / "audio"
    folder.mkdir()
    ids: list[str] = []
    for step in data_folder.kill_at_each_step("import", str(file), "--account", ACCOUNT, "--media", str(folder)):
        if step:
            # No server runs here that could finish the import.
            found = await data_folder.store.load(ids[-1])
            assert found is not None, step
            assert (found.state, found.lease) == (State.STORED, None), step
            assert found.media is not None
            assert await data_folder.media.length(found.media.url) == found.media.length
        ids.append(f"202403-{step:032x}")
        (folder / f"{step}.wav").write_bytes(wav(seconds=1))
        document = {
            "_id": ids[-1], "pvt_type": "call_recording", "start": 63_877_497_832, "call_id": "c",
            "_attachments": {f"{step}.wav": {}},
        }  # fmt: skip
        file.write_text(json.dumps(document) + "\n")
    # A kill may leave unneeded files of recordings that are already stored.
    assert data_folder.run("doctor", "--repair") == 0
    assert data_folder.run("doctor", "--verify", "1") == 0
    assert await data_folder.spool.ids() == []
