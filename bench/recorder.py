"""Measure how many calls one process of the embedded recorder handles at once, and the CPU time of a message.

A call is a Twilio media stream: two tracks of 8 kHz mu-law in messages of 20 ms, so 100 messages a second. Every call
is recorded to the disk. The server runs alone on one CPU core, the sender on another. `cc` compiles the sender
(`sender.c`). In the same run, a bare WebSocket server ("sink") reads the same messages and drops them. The difference
is the cost of the recorder itself.

    python -m bench.recorder [--seconds 5] [--streams 50,100,200,400] [--best-of 1]

Lag is the time from the moment when a message should be sent (not when a busy sender sent it) to the moment when the
server has processed everything up to it. Each call has one sample a second; the 99th percentile is printed. CPU is the
server's own time: other processes on the machine reduce the free time but do not change this value. The cost of a
message falls as the load grows, because one read then returns several messages. "Saturated" is the cost at full load,
which does not depend on other processes.
"""

import argparse
import asyncio
import base64
import json
import logging
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

import structlog
import uvicorn
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.recorders.dialects.stream_events import Event, Mark
from adapters.recorders.dialects.stream_format import StreamFormat
from adapters.recorders.dialects.twilio import TwilioStream
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
from bench.processes import cpu_seconds
from recordings.model.account import Principal, Scope
from recordings.model.options import RecordingOptions
from recordings.ports.recorder import Take

ACCOUNT = "a" * 32
PATH = "/ingest/" + "b" * 32 + "/" + "c" * 64 + "/ws"
STREAM = "MZ" + "d" * 32
TICK = 0.02
MAX_CPU, MAX_LAG_MS, MIN_PROCESSED = 90.0, 200.0, 0.95
PAGE = os.sysconf("SC_PAGE_SIZE")
LAGS: list[float] = []


# The servers


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


async def sink_app(_scope: Any, receive: Any, send: Any) -> None:
    """Read messages and drop them, but note the lag of marks. Only marks are both short and contain "mark"."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message["text"]
        if len(text) < 150 and '"mark"' in text:
            note_lag(json.loads(text)["mark"]["name"])


def serve(what: str, root: Path, cores: set[int]) -> None:
    """Run a server on a free port and print the port. For each line of input, print the p99 lag and the messages."""
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

    async def report() -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            lag = sorted(LAGS)[len(LAGS) * 99 // 100] if LAGS else 0
            print(round(lag * 1_000, 1), len(LAGS) * 100, flush=True)
            LAGS.clear()
        os._exit(0)

    async def main() -> None:
        reporting = asyncio.create_task(report())
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve([listener])
        reporting.cancel()

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(main())


# The senders


def text_frame(message: dict[str, Any]) -> bytes:
    """Return a client's WebSocket text frame. Its masking key is zero, which leaves the text unchanged."""
    data = json.dumps(message, separators=(",", ":")).encode()
    head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else b"\x81\xfe" + struct.pack(">H", len(data))
    return head + b"\0\0\0\0" + data


def media(track: str, chunk: int) -> bytes:
    payload = base64.b64encode(secrets.token_bytes(160)).decode()
    body = {"track": track, "chunk": str(chunk), "timestamp": str(chunk * 20), "payload": payload}
    return text_frame({"event": "media", "sequenceNumber": str(2 * chunk), "media": body, "streamSid": STREAM})


def connect(port: int) -> socket.socket:
    """Open a stream and send its start message."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [f"GET {PATH} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    while b"\r\n\r\n" not in connection.recv(4096):
        pass
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"streamSid": STREAM, "callSid": "CA" + secrets.token_hex(16), "tracks": ["inbound", "outbound"]}
    connection.sendall(text_frame({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    connection.sendall(text_frame({"event": "start", "start": start | {"mediaFormat": form}, "streamSid": STREAM}))
    return connection


def compile_sender(folder: Path) -> Path:
    """Compile sender.c. It needs a C compiler, `cc`."""
    program = folder / "sender"
    subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("sender.c")], check=True)
    return program


def send(program: Path, port: int, streams: int, seconds: float, cores: set[int]) -> None:
    """Send calls in real time, spread evenly over each 20 ms. The two tracks of a call are 10 ms apart."""
    os.sched_setaffinity(0, cores)
    files = [connect(port).detach() for _ in range(streams)]
    for file in files:
        os.set_inheritable(file, True)
    payload = base64.b64encode(secrets.token_bytes(160)).decode()
    arguments = [int(seconds / TICK), STREAM, payload, *files]
    os.execv(program, [str(program), *map(str, arguments)])  # noqa: S606


# The measurements


@dataclass(frozen=True)
class Measurement:
    """The measurements of one server at one load."""

    what: str
    streams: int
    cpu: float
    per_message: float
    lag_ms: float
    processed: float
    """The share of the messages due in that time that the server processed."""
    rss_kib: float
    grown_kib: float

    @property
    def is_sustainable(self) -> bool:
        return self.cpu < MAX_CPU and self.lag_ms < MAX_LAG_MS and self.processed > MIN_PROCESSED


def rss_kib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1024


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "bench.recorder", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def read_report(server: subprocess.Popen[str]) -> tuple[float, int]:
    """Return the p99 lag (ms) and the number of processed messages since the last report. A mark counts as 100."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    lag, messages = server.stdout.readline().split()
    return float(lag), int(messages)


def measure(what: str, streams: int, seconds: float, cores: list[int]) -> Measurement:
    with (
        tempfile.TemporaryDirectory(prefix="bench-recorder-") as root,
        process("--serve", what, "--root", root, "--cores", str(cores[0])) as server,
    ):
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        read_report(server)
        empty = rss_kib(server.pid)
        # The time to connect is not measured.
        settle = 2 + streams / 400
        load = ["--send", port, "--streams", str(streams), "--cores", str(cores[-1])]
        sender = str(compile_sender(Path(root)))
        with process(*load, "--sender", sender, "--seconds", str(settle + seconds + 1)):
            time.sleep(settle)
            read_report(server)
            start, cpu = time.monotonic(), cpu_seconds(server.pid)
            time.sleep(seconds)
            wall, used = time.monotonic() - start, cpu_seconds(server.pid) - cpu
            (lag, messages), rss = read_report(server), rss_kib(server.pid)
        if not messages:
            lag = math.inf
        processed = messages / (streams * 2 / TICK * wall)
        cost = used * 1e6 / max(messages, 1)
        return Measurement(what, streams, used / wall * 100, cost, lag, processed, rss, (rss - empty) / streams)


def saturate(what: str, cores: list[int], streams: int = 50, chunks: int = 1_000) -> float:
    """Return the CPU microseconds for a message when the senders send as fast as the server reads."""
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
            line.sendall(text_frame({"event": "mark", "streamSid": STREAM, "mark": {"name": str(time.monotonic())}}))
        done = 0
        while done < streams * 100:
            time.sleep(0.02)
            done += read_report(server)[1]
        return (cpu_seconds(server.pid) - cpu) * 1e6 / (streams * chunks * 2)


def show(rows: list[Measurement]) -> None:
    table = Table(title="one process, one core; two tracks of 20 ms messages per stream")
    for name in ("server", "streams", "CPU %", "p99 lag ms", "done %", "us/msg", "RSS MiB", "KiB/str."):
        table.add_column(name, justify="right")
    for row in rows:
        values = (row.cpu, row.lag_ms, row.processed * 100, row.per_message, row.rss_kib / 1024, row.grown_kib)
        table.add_row(row.what, str(row.streams), *(f"{value:.1f}" for value in values))
    Console().print(table)


def largest(rows: list[Measurement], what: str) -> int:
    return max((row.streams for row in rows if row.what == what and row.is_sustainable), default=0)


def bench(sizes: list[int], seconds: float, best_of: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    rows: list[Measurement] = []
    for streams in sizes:
        for what in ("recorder", "sink"):
            # The run with the smallest lag is the run that other processes disturbed least.
            runs = [measure(what, streams, seconds, cores) for _ in range(best_of)]
            rows.append(min(runs, key=lambda run: run.lag_ms))
            print(f"{what} {streams}: {rows[-1].cpu:.0f} % CPU, {rows[-1].lag_ms:.0f} ms", flush=True)
    show(rows)
    for what in ("recorder", "sink"):
        streams = largest(rows, what)
        print(f"{what}: {streams} streams is the largest load with CPU < {MAX_CPU:g} % and p99 lag < {MAX_LAG_MS:g} ms")
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    ratios = ", ".join(f"{one.streams}: {one.per_message / two.per_message:.2f}" for one, two in pairs)
    print(f"CPU for a message, recorder / sink: {ratios}")
    full = {what: min(saturate(what, cores) for _ in range(best_of)) for what in ("recorder", "sink")}
    costs = ", ".join(f"{what} {cost:.1f} us/msg" for what, cost in full.items())
    print(f"saturated: {costs}, ratio {full['recorder'] / full['sink']:.2f}")
    print(f"load average of the machine: {os.getloadavg()[0]:.1f} on {len(cores)} cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", default="50,100,200,300,400,500")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--best-of", type=int, default=1)
    parser.add_argument("--serve", choices=("recorder", "sink"), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--send", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--sender", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.root, {options.cores})
    elif options.send:
        send(options.sender, options.send, int(options.streams), options.seconds, {options.cores})
    else:
        bench([int(size) for size in options.streams.split(",")], options.seconds, options.best_of)


if __name__ == "__main__":
    main()
