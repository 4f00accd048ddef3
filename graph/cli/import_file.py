"""Importing a file of v2 documents: line by line, several at once, each on its own."""

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
from recordings.use_cases.import_recording import ForeignError, Imported

MAX_LINE: Final = 4 << 20
"""Bytes of one document."""
_CHUNK: Final = 1 << 20
_AT_ONCE: Final = 8
_TRIES: Final = 2


class Importer:
    """Imports into one account; audio is looked for in one folder."""

    def __init__(self, services: Services, account: Account, folder: Path | None) -> None:
        self._services = services
        self._account = account
        self._folder = folder.resolve() if folder is not None else None
        self._locks = [asyncio.Lock() for _ in range(64)]
        self._counts: Counter[str] = Counter()

    async def run(self, file: Path) -> Mapping[str, int]:
        """Import all lines of a file; how many there were of each outcome."""
        with _only_import(self._services.settings.data), _progress(file) as advance:
            await self._services.importing.begin()
            lines = _numbered(file)
            workers = [asyncio.create_task(self._work(lines, advance)) for _ in range(_AT_ONCE)]
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
        except (BadDocumentError, ForeignError) as error:
            click.echo(f"line {number}: {error}", err=True)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a line, the others go on
            click.echo(f"line {number}: {type(error).__name__}: {error}", err=True)
        return "bad"

    async def _document(self, document: Mapping[str, Any]) -> str:
        recording = from_v2(document, self._account, self._services.clock.now())
        audio = self._audio(document)
        # The same id twice in a file: the second waits, and is there already.
        async with self._locks[hash(recording.id) % len(self._locks)]:
            for _ in range(_TRIES):
                wanted = audio is not None and await self._services.importing.missing(recording)
                if wanted and audio is not None:
                    await self._spool(recording, audio)
                outcome = await self._services.importing.take(recording, spooled=wanted)
                # A server that starts just now sets aside what has no row yet: then it is to be had once more.
                if not (wanted and await self._services.importing.missing(recording)):
                    break
            return outcome.value

    def _audio(self, document: Mapping[str, Any]) -> Path | None:
        name = attachment_name(document)
        if name is None or self._folder is None:
            return None
        path = (self._folder / name).resolve()
        if path.parent != self._folder:
            message = f"the attachment {name!r} leads out of the folder"
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
            # Closed already where all went well; a part of it must not be taken for all of it.
            await writer.close(sync=False)


def _numbered(file: Path) -> Iterator[tuple[int, bytes]]:
    with file.open("rb") as lines:
        number = 0
        while line := lines.readline(MAX_LINE):
            number += 1
            yield number, line
            # What is too long is one bad line, and not many.
            while line and not line.endswith(b"\n"):
                line = lines.readline(MAX_LINE)


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) >= MAX_LINE:
        message = f"longer than {MAX_LINE} bytes"
        raise BadDocumentError(message)
    try:
        document = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        message = f"not JSON: {error}"
        raise BadDocumentError(message) from error
    if not isinstance(document, dict):
        message = "not a JSON object"
        raise BadDocumentError(message)
    return document


def _no_number(text: str) -> None:
    message = f"{text} is no number in JSON"
    raise ValueError(message)


@contextmanager
def _only_import(data: Path) -> Iterator[None]:
    with (data / "import.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = "another import is running on the same data: wait for it"
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
