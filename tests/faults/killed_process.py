"""Moments at which the service can be killed: around everything that it does to a store, a disk or somebody's server.

`arm` runs in the process of the real service (or of a command) before anything else, and wraps its ports. Each moment
is written to the file `trace` of a folder, a line each. What the file `plan` there says is read at every moment: at one
that it names, the call goes no further, while everything else in the process goes on, until the process is killed.

A moment is `<what it is about> <port>.<method>#<the how many-th> <before|within|after>`.
"""

import asyncio
import inspect
import json
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Final

from recordings.model.instants import DAY
from recordings.model.recording import Recording, State

TRACE: Final = "trace"
PLAN: Final = "plan"
NOBODY: Final = "-"
"""What a moment is about that is about no recording."""


class Control:
    """The folder by which a test and the process that it kills speak."""

    def __init__(self, folder: Path) -> None:
        self._trace = folder / TRACE
        self._plan = folder / PLAN
        self._seen = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    # The test's side

    def hold(self, moments: Collection[str] = (), *, dies_at: int | None = None) -> None:
        """Let these moments never pass; or let the process kill itself at one by its place among all."""
        draft = self._plan.with_suffix(".draft")
        draft.write_text(json.dumps({"hold": sorted(moments), "dies_at": dies_at}))
        draft.rename(self._plan)

    def trace(self) -> list[str]:
        """All moments so far."""
        return self._trace.read_text().splitlines() if self._trace.exists() else []

    # The process's side

    def number(self, about: str, name: str) -> str:
        """A call's name, with its number."""
        self._counts[about, name] += 1
        return f"{about} {name}#{self._counts[about, name]}"

    def note(self, moment: str) -> bool:
        """Write a moment down; whether it is one that does not pass."""
        if not self._plan.exists():
            return False
        plan = json.loads(self._plan.read_text())
        with self._trace.open("a") as trace:
            trace.write(f"{moment}\n")
        self._seen += 1
        if plan["dies_at"] == self._seen - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return moment in plan["hold"]

    async def pass_by(self, moment: str) -> None:
        """Come by a moment, and perhaps no further."""
        if self.note(moment):
            await asyncio.Event().wait()


def arm(folder: str) -> None:
    """Wrap the ports of this process."""
    from adapters.audio import AudioWorkers, Renditions
    from adapters.delivery import UrlCourier
    from adapters.media import MediaRouter
    from adapters.metadata.mongodb import MongoStore
    from adapters.metadata.sqlite import SqliteStore
    from adapters.spool import FolderSpool

    control = Control(Path(folder))
    writes = ("insert", "save", "remove", "claim_due", "release_leases", "save_account")
    for port, owners, names in (
        ("store", (SqliteStore, MongoStore), writes),
        ("media", (MediaRouter,), ("put", "read", "delete")),
        ("spool", (FolderSpool,), ("audio", "remove", "set_aside", "forget")),
        ("audio_workers", (AudioWorkers,), ("render", "discard")),
        ("courier", (UrlCourier,), ("deliver",)),
        ("renditions", (Renditions,), ("forget",)),
    ):
        for owner in owners:
            for name in names:
                method = getattr(owner, name)
                wrap = _stream if inspect.isasyncgenfunction(_inner(owner, name)) else _call
                setattr(owner, name, wrap(control, f"{port}.{name}", method))
    _arm_within(control, folder)


def _inner(owner: type, name: str) -> Any:
    from adapters.media.folder_store import FolderMedia

    # The router gives on what its stores give.
    return getattr(FolderMedia if owner.__name__ == "MediaRouter" else owner, name)


_about: ContextVar[str] = ContextVar("about", default=NOBODY)


def _subject(given: Sequence[Any]) -> str:
    """The recording that a call is about: its first argument says so, or the call before it was."""
    first = given[0] if given else None
    if isinstance(first, Recording):
        first = first.id
    elif isinstance(first, str):
        # A key or a URL ends in the id, when it is one of a recording.
        first = first.rpartition("/")[2].partition(".")[0]
    if isinstance(first, str) and "-" in first:
        _about.set(first)
    return _about.get()


def _call(control: Control, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def call(self: Any, *given: Any, **named: Any) -> Any:
        if name == "store.claim_due":
            return await _claim(control, method, self, *given)
        about = NOBODY if name == "store.release_leases" else _subject(given)
        moment = control.number(about, f"{name}{_saved(given)}" if name == "store.save" else name)
        await control.pass_by(f"{moment} before")
        answer = await method(self, *given, **named)
        await control.pass_by(f"{moment} after")
        return answer

    return call


def _saved(given: Sequence[Any]) -> str:
    """What a recording is saved as: whoever begins it, it is begun once or twice."""
    recording = given[0]
    sent = f", {recording.delivery.state}" if recording.delivery and recording.state is State.STORED else ""
    return f"[{recording.state}{sent}]"


async def _claim(control: Control, method: Callable[..., Any], *given: Any) -> Any:
    # Of one that finds nothing there are many, and nobody knows before whom it will find.
    claimed = await method(*given)
    for recording in claimed:
        name = f"store.claim_due[{recording.state}]"
        await control.pass_by(f"{control.number(recording.id, name)} after")
    return claimed


def _stream(control: Control, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def stream(self: Any, *given: Any, **named: Any) -> AsyncIterator[Any]:
        moment = control.number(_subject(given), name)
        await control.pass_by(f"{moment} before")
        async for each in method(self, *given, **named):
            yield each
        await control.pass_by(f"{moment} after")

    return stream


def _arm_within(control: Control, folder: str) -> None:
    """The middle of what takes long: a file half rendered by a worker process, and one half copied."""
    from adapters.audio import worker_main as worker
    from adapters.audio.worker_process import WorkerProcess
    from adapters.media import folder_store as media

    async def render(self: WorkerProcess, work: str, name: str, *given: Any) -> Any:
        job = render_half if f"{name} audio_workers.render#1 within" in _held(Path(folder)) else worker.work
        limit = folder if job is render_half else self._limits.seconds
        return await self._run(job, work, name, *given, limit)

    def copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
        moment = f"{Path(source.name).stem} media.put#1 within"
        if moment in _held(Path(folder)):
            target.write(source.read(os.fstat(source.fileno()).st_size // 2))
            target.flush()
            control.note(moment)
            threading.Event().wait()
        shutil.copyfileobj(source, target, size)

    for owner, name, value in (
        (WorkerProcess, "render", render),
        (media, "shutil", SimpleNamespace(copyfileobj=copy)),
    ):
        setattr(owner, name, value)


def _held(folder: Path) -> Collection[str]:
    plan = folder / PLAN
    held: Collection[str] = json.loads(plan.read_text())["hold"] if plan.exists() else ()
    return held


def render_half(work: str, name: str, _audio: Any, _target: Any, folder: str) -> None:
    """In a worker process: a file that is begun, and then nothing more."""
    from adapters.audio.encoding import FORMATS
    from adapters.audio.render_job import file_of, part_of

    part_of(file_of(Path(work, name), FORMATS["mp3"])).write_bytes(b"half of it")
    Control(Path(folder)).note(f"{name} audio_workers.render#1 within")
    # Not `signal.pause`: the thread that waits for the parent's death has to go on.
    threading.Event().wait()


def later(days: str) -> None:
    """Let this process think that so many days have gone by."""
    from graph.server.system_clock import SystemClock

    now = SystemClock.now

    def then(self: SystemClock) -> int:
        return now(self) + int(days) * DAY

    SystemClock.now = then  # type: ignore[method-assign]
