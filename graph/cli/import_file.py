"""Import a file of v2 documents. Several documents are imported at the same time, each independently of the others."""

import asyncio
import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import Progress

from adapters.archive import (
    Attachment,
    AttachmentError,
    Document,
    Entry,
    Message,
    Skipped,
    audio_of,
    close_inline,
    read_archive,
    without_inline,
)
from adapters.rest_v2.recording.document_values import BadDocumentError
from adapters.rest_v2.recording.v2_document import DeletedDocumentError, from_v2
from graph.cli.import_audio import AudioFolder, AudioSource, ProviderAudio, source_of
from graph.cli.import_report import BAD, DELETED, DESIGN, ImportReport
from graph.services import Services
from recordings.model.account import Account
from recordings.model.ids import MAX_ID
from recordings.model.recording import Recording, State
from recordings.rules.fault_words import describe_fault
from recordings.use_cases.import_recording import IdTakenError, Imported, Result, needs_audio

_CONCURRENCY: Final = 8
_TRIES: Final = 2


class Importer:
    """Imports documents into one account, with the audio files of one folder."""

    def __init__(self, services: Services, account: Account, folder: Path | None) -> None:
        self._services = services
        self._account = account
        self._folder = AudioFolder(folder)
        self._locks = [asyncio.Lock() for _ in range(64)]
        self._report = ImportReport()

    async def run(self, file: Path) -> Mapping[str, Any]:
        """Import all documents of a file. Return the summary."""
        data = self._services.settings.data
        with _lock_imports(data), _progress(file) as update:
            await self._services.importer.begin()
            entries = read_archive(file, data)
            workers = [asyncio.create_task(self._work(entries, update)) for _ in range(_CONCURRENCY)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
        return self._report.summary()

    async def _work(self, entries: Iterator[tuple[int, Entry]], update: Callable[[int], None]) -> None:
        for position, entry in entries:
            await self._entry(entry)
            update(position)

    async def _entry(self, entry: Entry) -> None:
        if isinstance(entry, Message):
            self._report.note(entry.line, entry.text)
        elif isinstance(entry, Skipped):
            self._report.add(entry.line, DELETED if entry.is_deleted else DESIGN)
        elif isinstance(entry, Document):
            try:
                await self._document(entry)
            finally:
                close_inline(entry.value)
        else:
            self._report.add(entry.line, BAD, entry.problem)

    async def _document(self, document: Document) -> None:
        try:
            recording = from_v2(without_inline(document.value), self._account, self._services.clock.now())
            attachment = audio_of(document.value, self._folder.has)
            result = await self._import(recording, attachment)
        except DeletedDocumentError:
            self._report.add(document.line, DELETED)
        except (BadDocumentError, AttachmentError, IdTakenError) as error:
            self._report.add(document.line, BAD, str(error), _id_of(document))
        except Exception as error:  # noqa: BLE001 - an error in one document does not stop the others
            self._report.add(document.line, BAD, describe_fault(error), _id_of(document))
        else:
            self._report.add(document.line, result.outcome, result.detail, recording.id)

    async def _import(self, recording: Recording, attachment: Attachment | None) -> Result:
        # If a file has the same id twice, the second document waits for the first.
        async with self._locks[hash(recording.id) % len(self._locks)]:
            found = await self._services.importer.find(recording)
            if not needs_audio(found):
                return await self._services.importer.take(recording)
            if attachment is None:
                return await self._services.importer.take(recording)
            source = source_of(attachment, self._folder, self._locations())
            if source is None:
                return await self._without_audio(recording, attachment)
            if isinstance(source, ProviderAudio):
                return await self._refer(recording, found, source)
            return await self._with_audio(recording, found, attachment, source)

    def _locations(self) -> list[str]:
        """Return the beginnings of the URLs of this service's own media stores."""
        return [*self._services.media.locations(), *([self._account.media] if self._account.media else [])]

    async def _without_audio(self, recording: Recording, attachment: Attachment) -> Result:
        """Import a recording whose audio is not there."""
        detail = attachment.provider_problem
        if detail is None and self._folder.path is not None:
            detail = f"there is no file {attachment.name!r} in the folder for --media"
        if detail is None or not attachment.is_declared:
            return await self._services.importer.take(recording)
        await self._services.importer.take(replace(recording, reason_detail=detail[:500]))
        return Result(Imported.MISSING, detail)

    async def _refer(self, recording: Recording, found: Recording | None, source: ProviderAudio) -> Result:
        """Import a recording whose audio stays at a storage provider."""
        reference, sha256 = source.reference, None
        is_known = found is not None and found.reference == reference
        if found is not None and is_known and found.state is State.LOST:
            if not await source.is_there(self._services.media):
                return Result(Imported.MISSING, found.reason_detail)
        elif found is not None and is_known:
            sha256 = await source.sha256(self._services.media)
            if sha256 in {None, found.source_sha256}:
                return await self._services.importer.take(recording)
        return await self._services.importer.take(recording, sha256=sha256, reference=reference)

    async def _with_audio(
        self, recording: Recording, found: Recording | None, attachment: Attachment, source: AudioSource
    ) -> Result:
        """Import a recording with audio that is put into the spool."""
        is_unusable = found is not None and found.state is not State.LOST
        if is_unusable and found is not None and await source.sha256() == found.source_sha256:
            return await self._services.importer.take(recording)
        for _ in range(_TRIES):
            async with aclosing(source.chunks()) as chunks:
                received = await self._services.spool.receive(recording.id, source.extension, chunks)
            difference = attachment.difference(received.length, received.md5)
            if difference is not None:
                await self._services.spool.remove(recording.id)
                detail = f"{source.name} is not the audio of this document: {difference}"
                await self._services.importer.take(replace(recording, reason_detail=detail[:500]))
                return Result(Imported.UNPLAYABLE, detail)
            result = await self._services.importer.take(recording, sha256=received.sha256)
            # A server that is starting moves spool files without a row to `aside`. The audio is then spooled again.
            now = await self._services.importer.find(recording)
            if now is None or now.state is not State.LOST:
                break
        return result


def _id_of(document: Document) -> str | None:
    """Return the id of a document for a message: a file may have all documents on one line."""
    identity = document.value.get("_id", document.value.get("id"))
    return identity[:MAX_ID] if isinstance(identity, str) and identity.isprintable() else None


@contextmanager
def _lock_imports(data: Path) -> Iterator[None]:
    with (data / "import.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = "another import uses the same data folder: wait until it ends"
            raise click.ClickException(message) from error
        yield


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done: None
        return
    with Progress(console=console) as progress:
        task = progress.add_task("importing", total=file.stat().st_size)
        yield lambda done: progress.update(task, completed=done)
