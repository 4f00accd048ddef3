"""Copy the whole database, and close it to servers while it is incomplete.

A dump is the snapshot of one instant: all reads share a snapshot session. Each kind becomes a file in the form of
`mongodump --gzip`. The figures are left out, because the servers count them again.
"""

import gzip
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from bson import decode_file_iter
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError, OperationFailure

from adapters.metadata.audio_list import AudioList
from adapters.metadata.mongodb.driver import Connection, Document
from adapters.metadata.mongodb.indexes import META, MIGRATIONS, RECORDINGS
from adapters.metadata.row_digest import RowDigest
from adapters.metadata.stored_kinds import COLLECTIONS, Care
from recordings.ports.copied_store import Closure, CopyError, Dump, DumpedFile

_CLOSED: Final = "closed"
_COPIED_META: Final = ("installation", "schema")
_SUFFIX: Final = ".bson.gz"
_BATCH: Final = 500
_DUPLICATE: Final = 11_000
_SNAPSHOT_GONE: Final = frozenset({239, 246})
_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)
_COPIED: Final = tuple(name for name, kind in COLLECTIONS.items() if kind.care is Care.COPIED)


class DatabaseCopy:
    """The `CopiedStore` part of the MongoDB store. Its subclass sets `_connection`."""

    _connection: Connection

    async def closure(self) -> Closure | None:
        """Return why the store must not be used."""
        found = await self._connection.database[META].find_one({"_id": _CLOSED})
        return None if found is None else Closure(found["reason"], found["task"], found["done"])

    async def set_closure(self, closure: Closure | None) -> None:
        """Close the store, change its closure, or open it again with `None`."""
        meta = self._connection.database[META]
        if closure is None:
            await meta.delete_one({"_id": _CLOSED})
            return
        document = {"reason": closure.reason, "task": closure.task, "done": dict(closure.done)}
        await meta.replace_one({"_id": _CLOSED}, document, upsert=True)

    async def is_empty(self) -> bool:
        """Return true if no collection of an installation has a document."""
        database = self._connection.database
        for name in _COPIED:
            selector = {"_id": "installation"} if name == META else {}
            if await database[name].find_one(selector, {"_id": 1}) is not None:
                return False
        return True

    async def dump(self, folder: str) -> Dump:
        """Write all documents of one instant into files."""
        database = self._connection.database
        existing = await database.list_collection_names(filter={"type": "collection"})
        schema = await database[META].find_one({"_id": "schema"})
        files: list[DumpedFile] = []
        try:
            async with await self._connection.snapshot_session() as session:
                with AudioList(Path(folder)) as audio:
                    for name in _COPIED:
                        found = self._documents(name, session)
                        files.append(await _write(name, found, Path(folder), audio))
        except OperationFailure as error:
            if error.code not in _SNAPSHOT_GONE:
                raise
            raise CopyError(
                "MongoDB has no longer the snapshot that the copy reads: set the server's parameter "
                "minSnapshotHistoryWindowInSeconds to more seconds than the copy takes (default: 300), and try again"
            ) from error
        left_out = sorted(name for name in existing if name not in COLLECTIONS and not name.startswith("system."))
        return Dump(int(schema["version"]) if schema else 0, (*files, audio.as_file()), left_out)

    async def load_dump(self, folder: str, dump: Dump) -> None:
        """Insert the documents of a dump, and compare them with it. The indexes are made by `open`."""
        if dump.schema > len(MIGRATIONS) + 1:
            raise CopyError(f"the dump has schema {dump.schema}, this release supports up to {len(MIGRATIONS) + 1}")
        for file in dump.files:
            if file.name.endswith(_SUFFIX):
                await self._load(Path(folder) / file.name, file)

    async def _load(self, path: Path, file: DumpedFile) -> None:
        name = file.name.removesuffix(_SUFFIX)
        if name not in COLLECTIONS:
            raise CopyError(f"the dump has the unknown collection {name!r}: install a later release")
        for batch in _batches(path):
            try:
                await self._connection.database[name].insert_many(batch, ordered=False)
            except BulkWriteError as error:
                # An interrupted load has inserted them already.
                if any(failed["code"] != _DUPLICATE for failed in error.details.get("writeErrors", ())):
                    raise
        digest = RowDigest()
        async for document in self._documents(name, None):
            digest.add(bytes(document.raw))
        if (digest.rows, digest.hexdigest()) != (file.rows, file.digest):
            raise CopyError(f"the collection {name!r} has {digest.rows} documents that are not those of the dump")

    async def _documents(self, name: str, session: Any) -> AsyncIterator[RawBSONDocument]:
        """Return the documents of a collection as they are stored."""
        selector: Document = {"_id": {"$in": list(_COPIED_META)}} if name == META else {}
        collection = self._connection.database[name].with_options(codec_options=_RAW)
        async for document in collection.find(selector, session=session, batch_size=_BATCH):
            yield document


async def _write(name: str, documents: AsyncIterator[RawBSONDocument], folder: Path, audio: AudioList) -> DumpedFile:
    digest = RowDigest()
    with gzip.open(folder / f"{name}{_SUFFIX}", "wb", compresslevel=1) as file:
        async for document in documents:
            file.write(document.raw)
            digest.add(bytes(document.raw))
            if name == RECORDINGS and (media := document["media"]) is not None:
                audio.add(document["_id"], media)
    return DumpedFile(f"{name}{_SUFFIX}", digest.rows, digest.hexdigest())


def _batches(path: Path) -> Iterator[Sequence[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    with gzip.open(path, "rb") as file:
        for document in decode_file_iter(cast("BinaryIO", file), _RAW):
            batch.append(document)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch
