"""A dump has one instant of a store, while another process writes."""

import asyncio
import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

from bson import decode_file_iter

from recordings.model.events import Created
from recordings.ports.copied_store import CopiedStore
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.save_event import RecordingWriter
from tests.contract.metadata.conftest import Stores
from tests.contract.metadata.samples import NOW, recording

COUNT = 120
DUMPS = 3


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the recordings in a dump. Each has its event."""
    file = folder / "recordings.sqlite3"
    if file.exists():
        with closing(sqlite3.connect(file)) as connection:
            ids = [each for (each,) in connection.execute("SELECT id FROM recordings")]
            events = [each for (each,) in connection.execute("SELECT subject FROM events")]
    else:
        with gzip.open(folder / "recordings.bson.gz") as packed:
            documents = list(decode_file_iter(cast("BinaryIO", packed)))
        ids = [document["_id"] for document in documents]
        events = [document["_id"] for document in documents for _ in document["events"]]
    assert sorted(ids) == sorted(events)
    return sorted(int(each.rpartition("-")[2]) for each in ids)


async def write(store: MetadataStore) -> None:
    writer = RecordingWriter(store)
    for number in range(COUNT):
        await writer.create(recording(id=f"202611-{number:06}"), Created(at=NOW))


async def test_a_dump_has_no_gap(stores: Stores, store: MetadataStore, tmp_path: Path) -> None:
    assert isinstance(store, CopiedStore)
    other = await stores.open()
    writing = asyncio.create_task(write(other))
    found: list[list[int]] = []
    while not writing.done() or len(found) < DUMPS:
        folder = tmp_path / f"dump {len(found)}"
        await asyncio.to_thread(folder.mkdir)
        dump = await store.dump(str(folder))
        found.append(await asyncio.to_thread(numbers, folder))
        assert dump.files[0].rows in {0, len(found[-1])}
    await writing
    # Each recording is written after the one before, so a dump of one instant has the first ones.
    assert all(each == list(range(len(each))) for each in found)
    assert [len(each) for each in found] == sorted(len(each) for each in found)
