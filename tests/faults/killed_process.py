"""Steps at which the service can be killed: before and after each call of a store, a disk or another server.

`arm` runs first in the process of the real service (or of a command) and wraps its ports. Each step is written as a
line to the file `trace` in a folder. At each step the file `plan` in this folder is read. If the plan names the step,
the call waits until the process is killed, while the rest of the process continues.

A line is `<recording id> <port>.<method>#<number of the call> <before|within|after>`.
"""

import asyncio
import inspect
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any, Final

from recordings.model.instants import DAY
from recordings.model.recording import Recording, State

TRACE: Final = "trace"
PLAN: Final = "plan"
NO_RECORDING: Final = "-"
"""Stands for the recording id in a step without a recording."""


class Control:
    """The folder through which a test and the process that it kills communicate."""

    def __init__(self, folder: Path) -> None:
        self._trace = folder / TRACE
        self._plan = folder / PLAN
        self._seen = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    # Used by the test

    def hold(
        self, steps: Collection[str] = (), *, kill_at: int | None = None, kill_before_next: str | None = None
    ) -> None:
        """Make the process wait without end at these steps, or kill itself.

        It kills itself at the step with the index `kill_at`, or at the next step of the kind `kill_before_next`.
        """
        draft = self._plan.with_suffix(".draft")
        plan = {"hold": sorted(steps), "kill_at": kill_at, "kill_before_next": kill_before_next}
        draft.write_text(json.dumps(plan))
        draft.rename(self._plan)

    def trace(self) -> list[str]:
        """Return all steps so far."""
        return self._trace.read_text().splitlines() if self._trace.exists() else []

    # Used by the process

    def number(self, recording_id: str, name: str) -> str:
        """Return a step without its last word: the recording, the name of the call and its number."""
        self._counts[recording_id, name] += 1
        return f"{recording_id} {name}#{self._counts[recording_id, name]}"

    def note(self, step: str) -> bool:
        """Write a step to the trace. Return true if the process must wait at this step."""
        if not self._plan.exists():
            return False
        plan = json.loads(self._plan.read_text())
        with self._trace.open("a") as trace:
            trace.write(f"{step}\n")
        self._seen += 1
        if plan["kill_at"] == self._seen - 1 or plan["kill_before_next"] == kind_of(step):
            os.kill(os.getpid(), signal.SIGKILL)
        return step in plan["hold"]

    async def reach(self, step: str) -> None:
        """Write a step to the trace, and wait without end if the plan says so."""
        if self.note(step):
            await asyncio.Event().wait()


def kind_of(step: str) -> str:
    """Return a step without its recording and its number, such as `store.insert after`."""
    name, _, when = step.partition(" ")[2].rpartition(" ")
    return f"{name.partition('#')[0]} {when}"


def arm_all(folder: str) -> None:
    """Wrap the ports of this process, also those of live calls and of other servers."""
    from adapters.media import MediaRouter
    from adapters.metadata.mongodb import MongoStore
    from adapters.metadata.sqlite import SqliteStore
    from adapters.peers import PeerClient
    from adapters.spool import FolderSpool

    arm(folder)
    control = Control(Path(folder))
    for port, owner, names in (
        ("store", MongoStore, ("register", "claim_call", "add_calls", "remove_calls", "note_location")),
        ("store", SqliteStore, ("note_location",)),
        ("peers", PeerClient, ("send",)),
        ("media", MediaRouter, ("mark",)),
        ("spool", FolderSpool, ("open_tracks", "open_body")),
    ):
        for name in names:
            setattr(owner, name, _call(control, f"{port}.{name}", getattr(owner, name)))


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
        ("media", (MediaRouter,), ("keep", "read", "delete")),
        ("spool", (FolderSpool,), ("receive", "audio", "remove", "set_aside", "forget")),
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

    # The router returns the result of its stores.
    return getattr(FolderMedia if owner.__name__ == "MediaRouter" else owner, name)


_current_id: ContextVar[str] = ContextVar("current_id", default=NO_RECORDING)


def _recording_id(arguments: Sequence[Any]) -> str:
    """Return the recording of a call, from its first argument. Otherwise it is that of the last call in this task."""
    first = arguments[0] if arguments else None
    if isinstance(first, Recording):
        first = first.id
    elif isinstance(first, str):
        # The key or the URL of a recording's audio ends with its id.
        first = first.rpartition("/")[2].partition(".")[0]
    if isinstance(first, str) and "-" in first:
        _current_id.set(first)
    return _current_id.get()


def _call(control: Control, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if name == "store.claim_due":
            return await _claim(control, method, self, *arguments)
        recording_id = NO_RECORDING if name == "store.release_leases" else _recording_id(arguments)
        step = control.number(recording_id, f"{name}{_saved_state(arguments)}" if name == "store.save" else name)
        await control.reach(f"{step} before")
        result = await method(self, *arguments, **named)
        await control.reach(f"{step} after")
        return result

    return call


def _saved_state(arguments: Sequence[Any]) -> str:
    """Return the state in which a recording is saved. It makes the step's name independent of earlier saves."""
    recording = arguments[0]
    delivery = f", {recording.delivery.state}" if recording.delivery and recording.state is State.STORED else ""
    return f"[{recording.state}{delivery}]"


async def _claim(control: Control, method: Callable[..., Any], *arguments: Any) -> Any:
    # No step before the call: most claims find nothing, and the claimed recording is known only afterwards.
    claimed = await method(*arguments)
    for recording in claimed:
        name = f"store.claim_due[{recording.state}]"
        await control.reach(f"{control.number(recording.id, name)} after")
    return claimed


def _stream(control: Control, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def stream(self: Any, *arguments: Any, **named: Any) -> AsyncIterator[Any]:
        step = control.number(_recording_id(arguments), name)
        await control.reach(f"{step} before")
        async for each in method(self, *arguments, **named):
            yield each
        await control.reach(f"{step} after")

    return stream


def _arm_within(control: Control, folder: str) -> None:
    """Add the steps in the middle of long calls: a file half rendered by a worker process, and one just linked."""
    from adapters.audio import worker_main as worker
    from adapters.audio.worker_process import WorkerProcess

    make_link = os.link

    async def render(self: WorkerProcess, work: str, name: str, *arguments: Any) -> Any:
        job = render_half if f"{name} audio_workers.render#1 within" in _held(Path(folder)) else worker.work
        limit = folder if job is render_half else self._limits.seconds
        return await self._run(job, work, name, *arguments, limit)

    def link(source: Path, target: Path) -> None:
        make_link(source, target)
        step = f"{Path(target).stem} media.keep#1 within"
        if step in _held(Path(folder)):
            control.note(step)
            threading.Event().wait()

    for owner, name, value in (
        (WorkerProcess, "render", render),
        (os, "link", link),
    ):
        setattr(owner, name, value)


def _held(folder: Path) -> Collection[str]:
    plan = folder / PLAN
    held: Collection[str] = json.loads(plan.read_text())["hold"] if plan.exists() else ()
    return held


def render_half(work: str, name: str, _audio: Any, _target: Any, _budget: float | None, folder: str) -> None:
    """Write a partial file in a worker process, and then wait without end."""
    from adapters.audio.output_format import FORMATS, file_of, part_of

    part_of(file_of(Path(work, name), FORMATS["mp3"])).write_bytes(b"half of it")
    Control(Path(folder)).note(f"{name} audio_workers.render#1 within")
    # Not `signal.pause`, because the thread that waits for the end of the parent must run.
    threading.Event().wait()


def later(days: str) -> None:
    """Set the clock of this process forward by a number of days."""
    from graph.server.system_clock import SystemClock

    now = SystemClock.now

    def later_now(self: SystemClock) -> int:
        return now(self) + int(days) * DAY

    SystemClock.now = later_now  # type: ignore[method-assign]
