"""Servers of media streams for the benchmarks: the recorder, and sinks that drop all messages.

    python -m bench.stream_servers recorder|sink|uvicorn --root FOLDER --core 0

The sink is the barest app on the recorder's WebSocket protocol (`WebSocketProtocol`). The uvicorn sink is the same on
the protocol of uvicorn itself, where each message passes a queue and wakes a task.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from adapters.recorders.dialects.stream_events import Event, Mark
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.dialects.twilio import TwilioStream
from adapters.recorders.embedded import (
    DIRECT_MESSAGES,
    EmbeddedRecorder,
    HttpProtocol,
    Limits,
    MediaSockets,
    Uploads,
    WebSocketProtocol,
    ingest_routes,
)
from adapters.recorders.embedded import stream_sockets as sockets
from adapters.recorders.embedded.gathered_reads import GatheredReads
from adapters.recorders.embedded.live_call import LiveCall
from adapters.spool import FolderSpool
from recordings.model.account import Principal, Scope
from recordings.model.options import RecordingOptions
from recordings.ports.recorder import Take

ACCOUNT = "a" * 32
PATH = "/ingest/" + "b" * 32 + "/" + "c" * 64 + "/ws"
READS = GatheredReads()
LAGS: list[float] = []


def note_lag(due: str) -> None:
    """Note the lag of a processed mark. `due` is the time at which it should be sent, by the monotonic clock."""
    LAGS.append(time.monotonic() - float(due))


class LagMeasuringStream(TwilioStream):
    """The normal decoder. It also notes the lag of each mark, one a second."""

    def _event(self, text: str | bytes) -> Event:
        event = super()._event(text)
        if isinstance(event, Mark):
            note_lag(event.name)
        return event


class RecordEveryCall(EmbeddedRecorder):
    """Records every call from its start."""

    def open_call(self, call: Any, close: Any, format: StreamFormat | None = None) -> LiveCall:
        live = super().open_call(call, close, format)
        number = secrets.token_hex(16)
        take = Take(f"202611-{number}", call.account_id, call.call_id, RecordingOptions(time_limit=10_800))
        live.bench = asyncio.get_running_loop().create_task(self.start(take))  # type: ignore[attr-defined]
        return live


class SystemTime:
    def now(self) -> int:
        return time.time_ns() // 1_000_000


def recorder_app(root: Path) -> Any:
    # An info line for each stream would be printed to stdout, which carries the measurements.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    vars(sockets)["AnyStream"] = lambda _: LagMeasuringStream()
    inner: Any = None

    async def authenticate(_address: str, _secret: str) -> Principal:
        return Principal(ACCOUNT, frozenset({Scope.INGEST}))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inner
        if inner is None:
            spool = FolderSpool(root)
            limits = Limits(max_streams=100_000, max_lead=math.inf)
            recorder = RecordEveryCall(spool=spool, clock=SystemTime(), limits=limits)
            uploads = Uploads(ingest=None, spool=spool)  # type: ignore[arg-type]
            routes = ingest_routes(
                authenticate=authenticate,
                uploads=uploads,
                sockets=MediaSockets(recorder, SystemTime()),
                clock=SystemTime(),
            )
            inner = Starlette(routes=[Mount("/", routes=routes)])
        await inner(scope, receive, send)

    return app


def drop(message: bytes) -> None:
    """Drop a message, but note the lag of a mark. Only marks are both short and contain "mark"."""
    if len(message) < 150 and b'"mark"' in message:
        note_lag(json.loads(message)["mark"]["name"])


def drop_all(_opcode: int, messages: Sequence[bytes]) -> int:
    for message in messages:
        drop(message)
    return len(messages)


async def sink_app(scope: Any, receive: Any, send: Any) -> None:
    """Drop all messages, which come without a task, as in the recorder."""
    await receive()
    await send({"type": "websocket.accept"})
    scope["extensions"][DIRECT_MESSAGES].on_messages = drop_all
    scope["extensions"][DIRECT_MESSAGES].gathered_reads = READS
    while (message := await receive())["type"] == "websocket.receive":
        drop(message["text"].encode())


async def uvicorn_app(_scope: Any, receive: Any, send: Any) -> None:
    """Drop all messages, which come from the queue of uvicorn."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        drop(message["text"].encode())


SERVERS = {
    "recorder": (recorder_app, WebSocketProtocol),
    "sink": (lambda _: sink_app, WebSocketProtocol),
    "uvicorn": (lambda _: uvicorn_app, WebSocketsSansIOProtocol),
}


def serve(what: str, root: Path, core: int) -> None:
    """Run a server on a free port and print the port.

    For each line of input, print the p99 lag (ms), the number of messages, and the CPU seconds so far.
    """
    os.sched_setaffinity(0, {core})
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    app, protocol = SERVERS[what]
    config = uvicorn.Config(
        app(root),
        lifespan="off",
        log_level="error",
        http=HttpProtocol,
        ws=protocol,
        ws_max_size=65_536,
        ws_per_message_deflate=False,
        ws_ping_timeout=None,
    )

    async def report() -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            lag = sorted(LAGS)[len(LAGS) * 99 // 100] if LAGS else 0
            print(round(lag * 1_000, 1), len(LAGS) * 100, time.process_time(), flush=True)
            LAGS.clear()
        os._exit(0)

    async def main() -> None:
        reporting = asyncio.create_task(report())
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve([listener])
        reporting.cancel()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(main())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=SERVERS)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--core", type=int, required=True)
    options = parser.parse_args()
    serve(options.what, options.root, options.core)


if __name__ == "__main__":
    main()
