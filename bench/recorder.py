"""How many calls one process of the embedded recorder takes at once, and at what price.

A call is what Twilio sends: two tracks of 8 kHz mu-law, a message of 20 ms each, 100 messages a second. Every call is
being recorded to the disk. The server runs alone on one core, the senders on another. Beside it, in the same run, a
bare WebSocket sink reads the same messages and drops them: what is left of the price is the recorder's own.

    python -m bench.recorder [--seconds 5] [--streams 50,100,200,400] [--best-of 1]

Lag is from when a message was due to be sent (not from when a busy sender sent it) to when the server has worked off
everything before it; the worst of one sample a second and call. CPU is the server's own time, so that other
processes on the machine lower what is left and not what is shown. The price of a message falls as the load grows, since
several are then read at once; "saturated" is where it ends, and does not depend on what else the machine does.
"""

import argparse
import asyncio
import base64
import json
import math
import os
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.recorders.dialects.media_streams import Event, Mark, MediaStream
from adapters.recorders.embedded import (
    EmbeddedRecorder,
    HttpProtocol,
    Limits,
    MediaSockets,
    Uploads,
    WebSocketProtocol,
    ingest_routes,
)
from adapters.recorders.embedded import stream_sockets as sockets
from adapters.recorders.embedded.live_call import LiveCall
from adapters.spool import FolderSpool
from recordings.model.account import Principal, Scope
from recordings.model.options import RecordingOptions
from recordings.ports.recorder import Take

ACCOUNT = "a" * 32
PATH = "/ingest/" + "b" * 32 + "/" + "c" * 64 + "/ws"
STREAM = "MZ" + "d" * 32
TICK = 0.02
MAX_CPU, MAX_LAG_MS, MIN_KEPT = 90.0, 200.0, 0.95
HERTZ = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LAGS: list[float] = []


# The servers


def note_lag(due: str) -> None:
    """A mark that was due at an instant of the machine's monotonic clock has been worked off."""
    LAGS.append(time.monotonic() - float(due))


class NotingStream(MediaStream):
    """The protocol as it is; marks, one a second, are looked at too."""

    def _decode_other(self, frame: Any) -> Event:
        event = super()._decode_other(frame)
        if isinstance(event, Mark):
            note_lag(event.name)
        return event


class RecordingAll(EmbeddedRecorder):
    """Records every call from its beginning."""

    def open_call(self, call: Any, close: Any) -> LiveCall:
        live = super().open_call(call, close)
        number = secrets.token_hex(16)
        wanted = Take(f"202611-{number}", call.account_id, call.call_id, RecordingOptions(time_limit=10_800))
        live.bench = asyncio.get_running_loop().create_task(self.start(wanted))  # type: ignore[attr-defined]
        return live


class Now:
    def now(self) -> int:
        return time.time_ns() // 1_000_000


def recorder_app(root: Path) -> Any:
    vars(sockets)["MediaStream"] = NotingStream
    inner: Any = None

    async def authenticate(_address: str, _secret: str) -> Principal:
        return Principal(ACCOUNT, frozenset({Scope.INGEST}))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inner
        if inner is None:
            spool = FolderSpool(root)
            recorder = RecordingAll(spool=spool, clock=Now(), limits=Limits(max_streams=100_000, max_lead=math.inf))
            uploads = Uploads(ingest=None, spool=spool)  # type: ignore[arg-type]
            routes = ingest_routes(
                authenticate=authenticate, uploads=uploads, sockets=MediaSockets(recorder, Now()), clock=Now()
            )
            inner = Starlette(routes=[Mount("/", routes=routes)])
        await inner(scope, receive, send)

    return app


async def sink_app(_scope: Any, receive: Any, send: Any) -> None:
    """Read and drop. A mark is the only short message that holds one."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message["text"]
        if len(text) < 150 and '"mark"' in text:
            note_lag(json.loads(text)["mark"]["name"])


def serve(what: str, root: Path, cores: set[int]) -> None:
    """A server on a free port, which it prints; then, for each line of input, the worst lag and how many messages."""
    os.sched_setaffinity(0, cores)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    config = uvicorn.Config(
        recorder_app(root) if what == "recorder" else sink_app,
        lifespan="off",
        log_level="error",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=65_536,
        ws_per_message_deflate=False,
        ws_ping_timeout=None,
    )

    async def answer() -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            print(round(max(LAGS, default=0) * 1_000, 1), len(LAGS) * 100, flush=True)
            LAGS.clear()
        os._exit(0)

    async def main() -> None:
        answering = asyncio.create_task(answer())
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve([listener])
        answering.cancel()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(main())


# The senders


def framed(message: dict[str, Any]) -> bytes:
    """A WebSocket text frame as a client sends it; a mask of zeros leaves the text as it is."""
    data = json.dumps(message, separators=(",", ":")).encode()
    head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else b"\x81\xfe" + struct.pack(">H", len(data))
    return head + b"\0\0\0\0" + data


def media(track: str, chunk: int) -> bytes:
    payload = base64.b64encode(secrets.token_bytes(160)).decode()
    body = {"track": track, "chunk": str(chunk), "timestamp": str(chunk * 20), "payload": payload}
    return framed({"event": "media", "sequenceNumber": str(2 * chunk), "media": body, "streamSid": STREAM})


def connect(port: int) -> socket.socket:
    """An open stream that has said its start."""
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [f"GET {PATH} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    made.sendall("\r\n".join(lines).encode())
    while b"\r\n\r\n" not in made.recv(4096):
        pass
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"streamSid": STREAM, "callSid": "CA" + secrets.token_hex(16), "tracks": ["inbound", "outbound"]}
    made.sendall(framed({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    made.sendall(framed({"event": "start", "start": start | {"mediaFormat": form}, "streamSid": STREAM}))
    return made


def send(port: int, streams: int, seconds: float, cores: set[int]) -> None:
    """Send calls in real time, evenly spread over each 20 ms; the two tracks of a call 10 ms apart."""
    os.sched_setaffinity(0, cores)
    lines = [connect(port) for _ in range(streams)]
    began = time.monotonic()
    for chunk in range(int(seconds / TICK)):
        frames = media("inbound", chunk), media("outbound", chunk)
        for half in (0, 1):
            due = began + chunk * TICK + half * TICK / 2
            for number, line in enumerate(lines):
                at = due + number * TICK / 2 / streams
                if (early := at - time.monotonic()) > 0.001:
                    time.sleep(early)
                line.sendall(frames[half])
                if half and (chunk + number) % 50 == 0:
                    line.sendall(framed({"event": "mark", "streamSid": STREAM, "mark": {"name": str(at)}}))


# The measuring


@dataclass(frozen=True)
class Measured:
    """One server under one load."""

    what: str
    streams: int
    cpu: float
    per_message: float
    lag_ms: float
    kept: float
    """What part of the messages due in that time was worked off."""
    rss_kib: float
    grown_kib: float

    @property
    def holds(self) -> bool:
        return self.cpu < MAX_CPU and self.lag_ms < MAX_LAG_MS and self.kept > MIN_KEPT


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HERTZ


def rss_kib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1024


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.recorder", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as made:
        try:
            yield made
        finally:
            made.kill()


def asked(server: subprocess.Popen[str]) -> tuple[float, int]:
    """The worst lag since the last time, in milliseconds, and the messages worked off (a mark stands for 100)."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    lag, messages = server.stdout.readline().split()
    return float(lag), int(messages)


def measure(what: str, streams: int, seconds: float, cores: list[int]) -> Measured:
    with (
        tempfile.TemporaryDirectory(prefix="bench-recorder-") as root,
        process("--serve", what, "--root", root, "--cores", str(cores[0])) as server,
    ):
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        asked(server)
        empty = rss_kib(server.pid)
        # Connecting is not what is measured.
        settle = 2 + streams / 400
        load = ["--send", port, "--streams", str(streams), "--cores", str(cores[-1])]
        with process(*load, "--seconds", str(settle + seconds + 1)):
            time.sleep(settle)
            asked(server)
            began, cpu = time.monotonic(), cpu_seconds(server.pid)
            time.sleep(seconds)
            wall, used = time.monotonic() - began, cpu_seconds(server.pid) - cpu
            (lag, messages), rss = asked(server), rss_kib(server.pid)
        if not messages:
            lag = math.inf
        kept = messages / (streams * 2 / TICK * wall)
        price = used * 1e6 / max(messages, 1)
        return Measured(what, streams, used / wall * 100, price, lag, kept, rss, (rss - empty) / streams)


def saturate(what: str, cores: list[int], streams: int = 50, chunks: int = 1_000) -> float:
    """Microseconds of CPU for a message when as many come as are taken: what is left when the core is full."""
    frames = b"".join(media(track, chunk) for chunk in range(chunks) for track in ("inbound", "outbound"))
    piece = len(frames) // chunks * 10
    with (
        tempfile.TemporaryDirectory(prefix="bench-recorder-") as root,
        process("--serve", what, "--root", root, "--cores", str(cores[0])) as server,
    ):
        assert server.stdout is not None
        port = int(server.stdout.readline())
        lines = [connect(port) for _ in range(streams)]
        time.sleep(1)
        cpu = cpu_seconds(server.pid)
        for start in range(0, len(frames), piece):
            for line in lines:
                line.sendall(frames[start : start + piece])
        for line in lines:
            line.sendall(framed({"event": "mark", "streamSid": STREAM, "mark": {"name": str(time.monotonic())}}))
        done = 0
        while done < streams * 100:
            time.sleep(0.02)
            done += asked(server)[1]
        return (cpu_seconds(server.pid) - cpu) * 1e6 / (streams * chunks * 2)


def show(rows: list[Measured]) -> None:
    table = Table(title="one process, one core; two tracks of 20 ms messages per stream")
    for name in ("server", "streams", "CPU %", "worst lag ms", "kept %", "us/msg", "RSS MiB", "KiB/str."):
        table.add_column(name, justify="right")
    for row in rows:
        values = (row.cpu, row.lag_ms, row.kept * 100, row.per_message, row.rss_kib / 1024, row.grown_kib)
        table.add_row(row.what, str(row.streams), *(f"{value:.1f}" for value in values))
    Console().print(table)


def largest(rows: list[Measured], what: str) -> int:
    return max((row.streams for row in rows if row.what == what and row.holds), default=0)


def bench(sizes: list[int], seconds: float, best_of: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    rows: list[Measured] = []
    for streams in sizes:
        for what in ("recorder", "sink"):
            # Of several runs the one least disturbed by whatever else the machine does.
            runs = [measure(what, streams, seconds, cores) for _ in range(best_of)]
            rows.append(min(runs, key=lambda run: run.lag_ms))
            print(f"{what} {streams}: {rows[-1].cpu:.0f} % CPU, {rows[-1].lag_ms:.0f} ms", flush=True)
    show(rows)
    for what in ("recorder", "sink"):
        held = largest(rows, what)
        print(f"{what}: {held} streams is the largest tried with CPU < {MAX_CPU:g} % and lag < {MAX_LAG_MS:g} ms")
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    ratios = ", ".join(f"{one.streams}: {one.per_message / two.per_message:.2f}" for one, two in pairs)
    print(f"CPU of the recorder for a message, over that of the sink: {ratios}")
    full = {what: min(saturate(what, cores) for _ in range(best_of)) for what in ("recorder", "sink")}
    shown = ", ".join(f"{what} {price:.1f} us/msg" for what, price in full.items())
    print(f"saturated: {shown}, ratio {full['recorder'] / full['sink']:.2f}")
    print(f"load average of the machine: {os.getloadavg()[0]:.1f} on {len(cores)} cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", default="50,100,200,300,400,500")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--best-of", type=int, default=1)
    parser.add_argument("--serve", choices=("recorder", "sink"), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--send", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.root, {given.cores})
    elif given.send:
        send(given.send, int(given.streams), given.seconds, {given.cores})
    else:
        bench([int(size) for size in given.streams.split(",")], given.seconds, given.best_of)


if __name__ == "__main__":
    main()
