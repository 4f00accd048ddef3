"""Shared helpers of the recorder tests: timers that the test moves, a server on a free port, and sounds."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import uvicorn
from starlette.applications import Starlette
from streamdouble import g711  # type: ignore[import-untyped]

from adapters.metadata.sqlite import SqliteStore
from adapters.recorders.dialects.stream_events import Audio
from adapters.recorders.embedded import (
    AudioSocketCalls,
    AudioSocketServer,
    EmbeddedRecorder,
    HttpProtocol,
    Limits,
    MediaSockets,
    StreamSignatures,
    Uploads,
    WebSocketProtocol,
    ingest_routes,
)
from adapters.recorders.embedded.stream_signature import TokensOf, no_tokens
from adapters.spool import FolderSpool
from recordings.model.account import Account, Principal, Scope
from recordings.model.call import Call
from recordings.model.instants import Millis
from recordings.model.options import RecordingOptions
from recordings.model.query import PageRequest, Query
from recordings.model.recording import Recording
from recordings.ports.recorder import Take, TakeEvent
from recordings.use_cases.ingest import Ingest
from tests.support.fake_clock import FakeClock
from tests.support.memory_audit import MemoryAudit

ACCOUNT = "a" * 32
OTHER = "b" * 32
ADDRESS, SECRET = "c" * 32, "d" * 64
SENDER = Principal(ACCOUNT, frozenset({Scope.INGEST}), name="ingest-test")
FRAME = 160
T = TypeVar("T")


class Side(IntEnum):
    """The tracks of Twilio, on a leg that the caller opened."""

    INBOUND = 0
    OUTBOUND = 1


def tone(frames: int, hertz: float = 440) -> bytes:
    """Return a tone as mu-law, with this many frames of 20 ms."""
    instants = np.arange(frames * FRAME) / 8_000
    return bytes(g711.encode(np.round(np.sin(2 * np.pi * hertz * instants) * 12_000).astype(np.int16)))


def loudness(mulaw: bytes) -> float:
    """Return the root mean square of the samples, 0 to 32767."""
    return float(np.sqrt(np.mean(np.square(g711.decode(mulaw).astype(float))))) if mulaw else 0.0


def audio(timestamp_ms: int, payload: bytes = b"\x10" * FRAME, side: Side = Side.INBOUND) -> Audio:
    return Audio(side, timestamp_ms, payload)


def live_call(call_id: str = "call-1", account_id: str = ACCOUNT) -> Call:
    return Call(account_id=account_id, call_id=call_id, started=0)


def take(number: int = 1, call_id: str = "call-1", **options: Any) -> Take:
    return Take(f"202611-{number:032x}", ACCOUNT, call_id, RecordingOptions(**options))


@dataclass
class HandTimers:
    """Timers that fire when the test moves the time."""

    now: float = 1_000.0
    due: list[tuple[float, "HandTimer"]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> "HandTimer":
        timer = HandTimer(callback, args)
        self.due.append((self.now + delay, timer))
        return timer

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while ready := [entry for entry in self.due if entry[0] <= end]:
            entry = min(ready, key=lambda each: each[0])
            self.due.remove(entry)
            self.now = max(self.now, entry[0])
            if not entry[1].cancelled:
                entry[1].callback(*entry[1].args)
        self.now = end


@dataclass(eq=False)
class HandTimer:
    callback: Callable[..., Any]
    args: tuple[Any, ...]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class Accounts:
    """A fake identity service with one ingest address."""

    def __init__(self) -> None:
        self.revoked = False
        self.failing: list[Exception] = []

    async def __call__(self, address: str, secret: str) -> Principal | None:
        if self.failing:
            raise self.failing.pop()
        return SENDER if (address, secret) == (ADDRESS, SECRET) and not self.revoked else None


class Notes:
    """A wake-up call that remembers its calls."""

    def __init__(self) -> None:
        self.audit = MemoryAudit()
        self.woken = 0

    def __call__(self) -> None:
        self.woken += 1


async def eventually(look: Callable[[], Awaitable[T | None]]) -> T:
    """Call `look` until it returns a true value, and return that. Fails after 10 seconds."""
    async with asyncio.timeout(10):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.002)


@dataclass
class World:
    """A real server, spool and store with the real use cases."""

    port: int
    root: Path
    spool: FolderSpool
    store: SqliteStore
    recorder: EmbeddedRecorder
    accounts: Accounts
    clock: FakeClock
    notes: Notes
    server: uvicorn.Server
    audiosocket: tuple[str, int]
    said: list[TakeEvent]
    to_undo: list[Recording]
    """The uploads that the use cases could not end."""

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}/ingest/{ADDRESS}/{SECRET}"

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ingest/{ADDRESS}/{SECRET}/ws"

    async def all(self) -> list[Recording]:
        """Return all recordings of the account, oldest first."""
        page = await self.store.page(Query(account_id=ACCOUNT), PageRequest(limit=100))
        return [found for row in reversed(page.rows) if (found := await self.store.load(row["id"]))]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition is true. Fails after 10 seconds."""

        async def look() -> Any:
            return condition()

        await eventually(look)

    async def until_all(self, condition: Callable[[list[Recording]], Any]) -> list[Recording]:
        """Wait until a condition is true for all recordings, and return them."""

        async def look() -> list[Recording] | None:
            found = await self.all()
            return found if condition(found) else None

        return await eventually(look)

    def track(self, recording_id: str, name: str = "left") -> bytes:
        return (self.root / "spool" / recording_id / f"{name}.mulaw").read_bytes()


@asynccontextmanager
async def world(
    root: Path,
    limits: Limits | None = None,
    twilio_tokens: TokensOf = no_tokens,
    public_url: str | None = None,
    **changes: Any,
) -> AsyncIterator[World]:
    """Serve the ingest routes on a free port of the loopback interface."""
    limits = replace(limits or Limits(), **changes)
    clock, notes, accounts = FakeClock(), Notes(), Accounts()
    store, spool = SqliteStore(root), FolderSpool(root)
    await store.open()
    await store.add_account(Account(ACCOUNT, "one", 0))
    recorder = EmbeddedRecorder(spool=spool, clock=clock, limits=limits)
    to_undo: list[Recording] = []
    parts: Any = {"store": store, "spool": spool, "clock": clock, "audit": notes.audit, "wake": notes}
    receiving = Ingest(node="node-1", undo_later=to_undo.append, **parts)
    sockets, calls = MediaSockets(recorder, clock), AudioSocketCalls()
    routes = ingest_routes(
        authenticate=accounts,
        uploads=Uploads(ingest=receiving, spool=spool, limits=limits),
        sockets=sockets,
        clock=clock,
        audiosocket=calls,
        signatures=StreamSignatures(clock, twilio_tokens, public_url),
    )
    said: list[TakeEvent] = []
    audiosocket, listener = AudioSocketServer(sockets.host, calls), socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    await audiosocket.start(listener)
    async with served(Starlette(routes=routes)) as (server, port), listening(recorder, said):
        yield World(port, root, spool, store, recorder, accounts, clock, notes, server, address, said, to_undo)
    await audiosocket.stop()
    await store.close()


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """Run a real server in this event loop."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=65_536,
        ws_ping_timeout=None,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve([listener]))

    async def started() -> bool:
        return server.started

    try:
        await eventually(started)
        yield server, listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def listening(recorder: EmbeddedRecorder, said: list[TakeEvent]) -> AsyncIterator[None]:
    """Collect the recorder's events in `said`; close the recorder at the end."""

    async def collect() -> None:
        async for event in recorder.events():
            if isinstance(event, TakeEvent):
                said.append(event)  # noqa: PERF401 - each event is visible as soon as it arrives

    collecting = asyncio.create_task(collect())
    try:
        yield
    finally:
        await recorder.close()
        await collecting


def causes(said: list[TakeEvent]) -> list[tuple[str, str]]:
    """Return the events in short form: (type, cause)."""
    return [(type(each.event).__name__, getattr(each.event, "cause", "")) for each in said]


def ends(said: list[TakeEvent]) -> list[tuple[str, str]]:
    """Return the `Ended` events in short form."""
    return [each for each in causes(said) if each[0] == "Ended"]


def instants(said: list[TakeEvent]) -> list[Millis]:
    return [each.event.at for each in said]
