"""Import a file of v2 documents. Several lines are imported at the same time, each independently of the others."""

import asyncio
import fcntl
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import Progress

from adapters.rest_v2.recording.v2_document import BadDocumentError, attachment_name, from_v2
from graph.services import Services
from recordings.model.account import Account
from recordings.model.recording import Recording
from recordings.use_cases.import_recording import IdTakenError, Imported

MAX_LINE: Final = 4 << 20
"""Maximum size of one document, in bytes."""
_CHUNK: Final = 1 << 20
_CONCURRENCY: Final = 8
_TRIES: Final = 2


class Importer:
    """Imports documents into one account, with the audio files of one folder."""

    def __init__(self, services: Services, account: Account, folder: Path | None) -> None:
        self._services = services
        self._account = account
        self._folder = folder.resolve() if folder is not None else None
        self._locks = [asyncio.Lock() for _ in range(64)]
        self._counts: Counter[str] = Counter()

    async def run(self, file: Path) -> Mapping[str, int]:
        """Import all lines of a file. Return the number of lines by outcome."""
        with _lock_imports(self._services.settings.data), _progress(file) as advance:
            await self._services.importer.begin()
            lines = _numbered(file)
            workers = [asyncio.create_task(self._work(lines, advance)) for _ in range(_CONCURRENCY)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
        outcomes = {outcome.value: self._counts[outcome.value] for outcome in Imported}
        return {"lines": self._counts.total(), **outcomes, "bad": self._counts["bad"]}

    async def _work(self, lines: Iterator[tuple[int, bytes]], advance: Any) -> None:
        for number, line in lines:
            if line.strip():
                self._counts[await self._line(number, line)] += 1
            advance(len(line))

    async def _line(self, number: int, line: bytes) -> str:
        try:
            document = _parse(line)
            return await self._document(document)
        except (BadDocumentError, IdTakenError) as error:
            click.echo(f"line {number}: {error}", err=True)
        except Exception as error:  # noqa: BLE001 - an error in one line does not stop the others
            click.echo(f"line {number}: {type(error).__name__}: {error}", err=True)
        return "bad"

    async def _document(self, document: Mapping[str, Any]) -> str:
        recording = from_v2(document, self._account, self._services.clock.now())
        audio = self._audio(document)
        # If a file has the same id twice, the second line waits for the first.
        async with self._locks[hash(recording.id) % len(self._locks)]:
            for _ in range(_TRIES):
                needs_audio = audio is not None and await self._services.importer.missing(recording)
                if needs_audio and audio is not None:
                    await self._spool(recording, audio)
                outcome = await self._services.importer.take(recording, spooled=needs_audio)
                # A server that is starting moves spool files without a row to `aside`. The audio is then spooled again.
                if not (needs_audio and await self._services.importer.missing(recording)):
                    break
            return outcome.value

    def _audio(self, document: Mapping[str, Any]) -> Path | None:
        name = attachment_name(document)
        if name is None or self._folder is None:
            return None
        path = (self._folder / name).resolve()
        if path.parent != self._folder:
            message = f"the attachment {name!r} is outside the folder"
            raise BadDocumentError(message)
        return path if path.is_file() else None

    async def _spool(self, recording: Recording, audio: Path) -> None:
        writer = await self._services.spool.open_body(recording.id, audio.suffix)
        try:
            with audio.open("rb") as source:
                while chunk := await asyncio.to_thread(source.read, _CHUNK):
                    await writer.write(chunk)
            await writer.close()
        finally:
            # After an error, the incomplete file keeps the name `<name>.part`. A closed file does not change.
            await writer.close(sync=False)


def _numbered(file: Path) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_LINE):
            number += 1
            yield number, line
            # Skip the rest of a line that is too long, so that it counts as one line.
            while line and not line.endswith(b"\n"):
                line = lines.readline(MAX_LINE)


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) >= MAX_LINE:
        message = f"longer than {MAX_LINE} bytes"
        raise BadDocumentError(message)
    try:
        document = json.loads(line, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise BadDocumentError(message) from error
    if not isinstance(document, dict):
        message = "not a JSON object"
        raise BadDocumentError(message)
    return document


def _reject_constant(text: str) -> None:
    message = f"{text} is not a JSON number"
    raise ValueError(message)


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
def _progress(file: Path) -> Iterator[Any]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _done: None
        return
    with Progress(console=console) as progress:
        task = progress.add_task("importing", total=file.stat().st_size)
        yield lambda done: progress.advance(task, done)
