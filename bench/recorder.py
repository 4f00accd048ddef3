"""Measure the CPU time of a message of a live stream, and how many calls one process of the recorder handles at once.

A call is a Twilio media stream: two tracks of 8 kHz mu-law in messages of 20 ms, so 100 messages a second. Every call
is recorded to the disk. The server runs alone on one CPU core, the sender on another. `cc` compiles the sender
(`sender.c`). Three servers run in turns:

- `recorder`: the recorder.
- `sink`: a server on the same WebSocket protocol that drops all messages. The difference is the recorder itself.
- `uvicorn`: the same on uvicorn's own protocol, as most services in Python have it.

    python -m bench.recorder [--seconds 4] [--streams 50,150,300,1000] [--rounds 3]

Lag is the time from the moment when a message should be sent (not when a busy sender sent it) to the moment when the
server has processed everything up to it. Each call has one sample a second; the 99th percentile is printed. CPU is the
server's own time: other processes on the machine reduce the free time but do not change this value. The cost of a
message falls as the load grows, because one read then returns several messages. "Saturated" is the cost at full load,
which does not depend on other processes.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.stream_senders import STREAM, TICK, compile_sender, connect, media, text_frame
from bench.stream_servers import SERVERS

MAX_LAG_MS, MIN_PROCESSED = 200.0, 0.95
PAGE = os.sysconf("SC_PAGE_SIZE")


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
        return self.lag_ms < MAX_LAG_MS and self.processed > MIN_PROCESSED


@dataclass(frozen=True)
class Report:
    """The p99 lag and the messages since the last report, and the CPU seconds of the server so far."""

    lag_ms: float
    messages: int
    cpu: float


def rss_kib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1024


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


@contextmanager
def server_of(what: str, cores: Sequence[int]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server. Yield its process and its port."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-recorder-") as root,
        process("bench.stream_servers", what, "--root", root, "--core", str(cores[0])) as server,
    ):
        assert server.stdout is not None
        yield server, int(server.stdout.readline())


def read_report(server: subprocess.Popen[str]) -> Report:
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    lag, messages, cpu = server.stdout.readline().split()
    return Report(float(lag), int(messages), float(cpu))


def measure(what: str, streams: int, seconds: float, cores: Sequence[int], sender: Path) -> Measurement:
    with server_of(what, cores) as (server, port):
        read_report(server)
        empty = rss_kib(server.pid)
        # The time to connect is not measured.
        settle = 2 + streams / 400
        load = [str(port), "--streams", str(streams), "--core", str(cores[-1]), "--sender", str(sender)]
        with process("bench.stream_senders", *load, "--seconds", str(settle + seconds + 1)):
            time.sleep(settle)
            before, start = read_report(server), time.monotonic()
            time.sleep(seconds)
            after, wall, rss = read_report(server), time.monotonic() - start, rss_kib(server.pid)
        used = after.cpu - before.cpu
        processed = after.messages / (streams * 2 / TICK * wall)
        lag = after.lag_ms if after.messages else math.inf
        cost = used * 1e6 / max(after.messages, 1)
        return Measurement(what, streams, used / wall * 100, cost, lag, processed, rss, (rss - empty) / streams)


def saturate(what: str, cores: Sequence[int], streams: int = 50, chunks: int = 1_000) -> float:
    """Return the CPU microseconds for a message when the senders send as fast as the server reads."""
    frames = b"".join(media(track, chunk) for chunk in range(chunks) for track in ("inbound", "outbound"))
    piece = len(frames) // chunks * 10
    with server_of(what, cores) as (server, port):
        lines = [connect(port) for _ in range(streams)]
        time.sleep(1)
        cpu = read_report(server).cpu
        for start in range(0, len(frames), piece):
            for line in lines:
                line.sendall(frames[start : start + piece])
        for line in lines:
            line.sendall(text_frame({"event": "mark", "streamSid": STREAM, "mark": {"name": str(time.monotonic())}}))
        done, report = 0, read_report(server)
        while (done := done + report.messages) < streams * 100:
            time.sleep(0.02)
            report = read_report(server)
        return (report.cpu - cpu) * 1e6 / (streams * chunks * 2)


def show(rows: Sequence[Measurement]) -> None:
    table = Table(title="one process, one core; two tracks of 20 ms messages per stream; medians")
    for name in ("server", "streams", "CPU %", "p99 lag ms", "done %", "us/msg", "RSS MiB", "KiB/str."):
        table.add_column(name, justify="right")
    for row in rows:
        values = (row.cpu, row.lag_ms, row.processed * 100, row.per_message, row.rss_kib / 1024, row.grown_kib)
        table.add_row(row.what, str(row.streams), *(f"{value:.1f}" for value in values))
    Console().print(table)


def spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def show_ratios(load: str, costs: dict[str, list[float]]) -> None:
    """Print the costs at one load, and the ratio of the recorder to each sink, round by round."""
    figures = ", ".join(f"{what} {median(found):.1f} us" for what, found in costs.items())
    ratios = [
        f"/ {what} {spread([one / two for one, two in zip(costs['recorder'], found, strict=True)])}"
        for what, found in costs.items()
        if what != "recorder"
    ]
    print(f"{load}: {figures}; recorder {', '.join(ratios)}", flush=True)


def bench(sizes: Sequence[int], seconds: float, rounds: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    medians: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="bench-sender-") as folder:
        sender = compile_sender(Path(folder))
        for streams in sizes:
            runs = {what: [] for what in SERVERS}  # type: dict[str, list[Measurement]]
            for _ in range(rounds):
                for what in SERVERS:
                    runs[what].append(measure(what, streams, seconds, cores, sender))
            show_ratios(
                f"{streams} streams", {what: [run.per_message for run in found] for what, found in runs.items()}
            )
            medians += (sorted(found, key=lambda run: run.per_message)[rounds // 2] for found in runs.values())
    full = {what: [] for what in SERVERS}  # type: dict[str, list[float]]
    for _ in range(rounds):
        for what in SERVERS:
            full[what].append(saturate(what, cores))
    show_ratios("saturated", full)
    show(medians)
    for what in SERVERS:
        streams = max((row.streams for row in medians if row.what == what and row.is_sustainable), default=0)
        print(f"{what}: {streams} streams is the largest measured load with a p99 lag < {MAX_LAG_MS:g} ms")
    print(f"load average of the machine: {os.getloadavg()[0]:.1f} on {len(cores)} cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--streams", default="50,150,300,1000")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    bench([int(size) for size in options.streams.split(",")], options.seconds, options.rounds)


if __name__ == "__main__":
    main()
