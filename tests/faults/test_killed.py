"""`kill -9` at every step of finalizing, delivering and deleting, then a restart.

Afterwards the doctor finds nothing missing and nothing orphaned, nothing says `STORED` whose bytes are not there, and a
receiver that was sent something twice was sent it under one delivery id.
"""

import asyncio
import hashlib
import multiprocessing
import signal
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.metadata.sqlite import SqliteStore
from adapters.spool import FolderSpool
from recordings.access import Account
from recordings.doctor import Doctor
from recordings.events import Trashed
from recordings.instants import DAY, HOUR
from recordings.lifecycle import apply
from recordings.options import RecordingOptions
from recordings.ports import Codec
from recordings.recording import DeliveryState, Recording, State
from recordings.upkeep import LEASE
from tests.adapters.delivery.receiver import Receiver, receiving
from tests.contract.metadata.samples import recording as sample
from tests.faults.killed import NODE, Plan, run
from tests.servers.seaweedfs import BUCKET
from tests.support.clock import StillClock

ACCOUNT = "a" * 32
NOW = round(time.time() * 1_000)
PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture(scope="module", autouse=True)
def quick_processes() -> None:
    """Processes that are forked from one that has everything imported and no thread."""
    PROCESSES.set_forkserver_preload(["tests.faults.killed"])


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


async def live(plan: Plan) -> int:
    """Run a node to its end, natural or not; the exit code."""
    process = PROCESSES.Process(target=run, args=(plan,))
    process.start()
    await asyncio.to_thread(process.join)
    code = process.exitcode
    process.close()
    assert code in {0, -signal.SIGKILL}
    return code


class Life:
    """One recording in an installation of its own."""

    def __init__(self, plan: Plan, url: str) -> None:
        self.plan = plan
        self.recording = sample(
            state=State.RECORDING, node=NODE, account_id=ACCOUNT, due_at=NOW + HOUR,
            options=RecordingOptions(format="wav", url=url),
        )  # fmt: skip

    async def begin(self) -> None:
        self.plan.folder.mkdir()
        writer = await FolderSpool(self.plan.folder).open_tracks(self.recording.id, Codec.S16, 8_000, ("left",))
        writer.write_at(0, 0, bytes(range(256)) * 200)
        await writer.close()
        store = SqliteStore(self.plan.folder)
        await store.open()
        await store.add_account(Account(id=ACCOUNT, name="x", created=0))
        await store.insert(self.recording)
        await store.close()

    async def delete(self) -> None:
        store = SqliteStore(self.plan.folder)
        await store.open()
        stored = await store.load(self.recording.id)
        assert stored is not None
        assert await store.save(apply(stored, Trashed(at=NOW, by="me", purge_at=NOW + 1)), stored.revision)
        await store.close()

    async def dies_at(self, place: int) -> bool:
        """Live until that call, then start again after the lease; whether there was such a call."""
        killed = await live(replace(self.plan, dies_at=place, now=NOW + 2)) != 0
        await live(replace(self.plan, now=NOW + LEASE + 10))
        return killed

    async def check(self, state: State) -> Recording:
        """What came of it, with the doctor's blessing, three days later."""
        store, media = SqliteStore(self.plan.folder), self.plan.open_media()
        await store.open()
        doctor = Doctor(store=store, media=media, spool=FolderSpool(self.plan.folder), clock=StillClock(NOW + 3 * DAY))
        assert [finding async for finding in doctor.examine(verify=1.0)] == []
        found = await store.load(self.recording.id)
        assert found is not None
        assert (found.state, found.lease) == (state, None)
        kept = [each.url async for each in media.objects()]
        assert kept == ([found.media.url] if found.media else [])
        if found.media:
            data = b"".join([chunk async for chunk in media.read(found.media.url)])
            assert hashlib.sha256(data).hexdigest() == found.media.sha256
        await media.close()
        await store.close()
        assert not [path for name in ("spool", "aside", "work") for path in (self.plan.folder / name).rglob("*.*")]
        return found


@pytest.fixture(params=["local", "s3"])
def lives(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Iterator[Life]:
    """New lives without end. On S3 a place in eleven stands for all: what differs is the store alone."""

    def begin() -> Iterator[Life]:
        for number in range(1_000):
            plan = Plan(tmp_path / str(number), NOW)
            if request.param == "s3":
                server = request.getfixturevalue("seaweedfs")
                options = {"endpoint_url": server["s3"], "key": server["key"], "secret": server["secret"]}
                plan = replace(plan, media=f"s3://{BUCKET}/killed/{uuid.uuid4().hex}", options=options)
            yield Life(plan, f"{receiver.url}/{number}")

    return begin()


@pytest.fixture
def step(request: pytest.FixtureRequest) -> int:
    return 11 if request.node.callspec.params["lives"] == "s3" else 1


async def test_finalizing_and_delivering(lives: Iterator[Life], step: int, receiver: Receiver) -> None:
    place, killed = 0, True
    while killed:
        life = next(lives)
        await life.begin()
        killed = await life.dies_at(place)
        found = await life.check(State.STORED)
        assert found.delivery is not None
        assert found.delivery.state is DeliveryState.DELIVERED
        place += step
    assert place > 15
    names: dict[str, list[str]] = defaultdict(list)
    for heard in receiver.heard:
        assert heard.body.startswith(b"RIFF")
        names[heard.target.partition("/call_recording")[0]].append(heard.headers["Recording-Delivery-Id"])
    assert len(names) == len(range(0, place, step))
    assert all(len(set(ids)) == 1 for ids in names.values())
    # Dying between the receiver's answer and our writing it down is what the id is for.
    assert step > 1 or max(map(len, names.values())) == 2


async def test_deleting(lives: Iterator[Life], step: int) -> None:
    place, killed = 0, True
    while killed:
        life = next(lives)
        await life.begin()
        await live(life.plan)
        await life.delete()
        killed = await life.dies_at(place)
        await life.check(State.PURGED)
        place += step
    assert place > 3
