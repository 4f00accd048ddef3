"""`kill -9` of the commands that change much, at everything that they write, and then the same command again."""

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
from tests.support.old_installation import set_created

ACCOUNT = "ab" * 16
DATA = b"audio " * 100
KILLED = -9


class Office:
    """A data folder, and commands on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.data.mkdir()
        self._folder = folder / "control"
        self._folder.mkdir()
        self._control = Control(self._folder)
        self.store = SqliteStore(self.data)
        self.media = FolderMedia(self.data / "media", "local:")
        self.spool = FolderSpool(self.data)

    def run(self, *words: str, dies_at: int | None = None) -> int:
        """The exit code of a command that dies at a moment by its place, or at none."""
        self._control.hold(dies_at=dies_at)
        ended = command(*words, data=self.data, prepare=("tests.faults.killed_process:arm", str(self._folder)))
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode

    def deaths(self, *words: str) -> Iterator[int]:
        """Once for each moment: before it the test prepares, after it the command was killed there and run again."""
        for place in count():
            yield place
            code = self.run(*words, dies_at=place)
            if code != KILLED:
                assert code == 0
                assert place > 5
                return
            assert self.run(*words) == 0

    async def keep(self, **given: Any) -> Recording:
        """A recording with its audio."""
        plain = sample(account_id=ACCOUNT, state=State.STORED, **given)
        source = self.data / "source"
        source.write_bytes(DATA)
        url = await self.media.put(media_key(plain, "mp3"), str(source), "audio/mpeg")
        media = Media(url, "audio/mpeg", len(DATA), 1_000, 8_000, 1, hashlib.sha256(DATA).hexdigest(), plain.start)
        stored = sample(
            id=plain.id, account_id=ACCOUNT, state=State.STORED, call_id=plain.call_id, media=media, **given
        )
        await self.store.insert(stored)
        return stored

    async def found(self, recording: Recording) -> Recording:
        found = await self.store.load(recording.id)
        assert found is not None
        return found


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    made = Office(tmp_path)
    await made.store.open()
    assert await made.store.add_account(Account(id=ACCOUNT, name="x", created=0))
    yield made
    await made.store.close()


async def test_retention_set_again_gives_every_recording_its_date(office: Office) -> None:
    kept = [await office.keep(label=label) for label in (None, "a", "b")]
    keeping = AccountSettings(office.store, FakeClock())
    for place in office.deaths("retention", "set", "--account", ACCOUNT, "--days", "30000"):
        if place:
            assert await keeping.rules(ACCOUNT) == (Retention(30_000),)
            assert {(await office.found(each)).delete_at for each in kept} == {
                each.start + 30_000 * DAY for each in kept
            }
            await keeping.clear_rule(ACCOUNT, None)
        assert {(await office.found(each)).delete_at for each in kept} == {None}


async def test_the_doctors_repairs_again_leave_nothing_to_repair(office: Office) -> None:
    whole = await office.keep()
    set_created(office.data)
    lost: list[Recording] = []
    for place in office.deaths("doctor", "--repair", "--repair-orphans", "1"):
        if place:
            assert office.run("doctor", "--verify", "1") == 0
            found = await office.found(lost[-1])
            assert (found.state, found.reason) == (State.LOST, Reason.AUDIO_MISSING)
            assert [each.url async for each in office.media.objects()] == [whole.media and whole.media.url]
            assert await office.spool.ids() == []
        # One whose audio is gone, audio that nobody has, and something in the spool that nobody needs.
        lost.append(missing := await office.keep())
        assert missing.media is not None
        orphan = office.data / "media" / media_key(sample(account_id=ACCOUNT), "mp3")
        orphan.parent.mkdir(parents=True, exist_ok=True)
        (office.data / "media" / missing.media.url.removeprefix("local:")).rename(orphan)
        os.utime(orphan, (0, 0))
        await (await office.spool.open_body(whole.id, "mp3")).close()
    found = await office.found(lost[-1])
    assert found.state is State.LOST
    assert office.run("doctor") == 0


async def test_an_import_again_has_the_audio_of_every_recording(office: Office, tmp_path: Path) -> None:
    file, folder = tmp_path / "export.jsonl", tmp_path / "audio"
    folder.mkdir()
    ids: list[str] = []
    for place in office.deaths("import", str(file), "--account", ACCOUNT, "--media", str(folder)):
        if place:
            # No server is there to finish it.
            found = await office.store.load(ids[-1])
            assert found is not None, place
            assert (found.state, found.lease) == (State.STORED, None), place
            assert found.media is not None
            assert await office.media.length(found.media.url) == found.media.length
        ids.append(f"202403-{place:032x}")
        (folder / f"{place}.wav").write_bytes(wav(seconds=1))
        document = {
            "_id": ids[-1], "pvt_type": "call_recording", "start": 63_877_497_832, "call_id": "c",
            "_attachments": {f"{place}.wav": {}},
        }  # fmt: skip
        file.write_text(json.dumps(document) + "\n")
    # What a death left behind of a recording that was stored already is no loss.
    assert office.run("doctor", "--repair") == 0
    assert office.run("doctor", "--verify", "1") == 0
    assert await office.spool.ids() == []
