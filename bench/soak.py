"""Run calls, uploads and pages against a real server for a long time, and look for what grows or is lost.

    python -m bench.soak --minutes 60
    python -m bench.soak --minutes 5 --streams 50

Each call has two tracks of 20 ms messages, and each frame has its number in its bytes. Calls end and others begin all
the time. Before a call ends, its files in the spool are read: they must have all frames from the start of the recording
to the last one. Another client sends a file of 480 KB every two seconds, and one reads pages of recordings.

Printed are the resources of the server and its audio workers at the start, in the middle and at the end. The command
fails if a frame was lost, if a request failed, if a recording was not stored, or if something grew from the middle to
the end by more than `MAY_GROW`. The start does not count, because caches fill.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import numpy as np

from bench.ingest import put, wav
from bench.processes import tree_of
from bench.stream_senders import STREAM, TICK, compile_sender, connect, payload, text_frame
from tests.e2e.server import Client, Server
from tests.e2e.tenants import Tenant, make_tenants

FRAME: Final = 160
GROUPS: Final = 5
"""The calls begin and end in this many groups, one after the other."""
UPLOAD_SECONDS, PAGE_SECONDS, SAMPLE_SECONDS = 2.0, 0.2, 5.0
ARRIVAL_SECONDS: Final = 20.0
"""How long the last frames of a stream may take until they are in the spool."""
STORED_SECONDS: Final = 300.0
"""How long the last recordings may take until they are stored."""
MAY_GROW: Final = {"RSS MB": (1.1, 10), "open files": (1.1, 30), "threads": (1.0, 4), "spool MB": (1.2, 20)}
"""The factor and the amount by which the end may be above the middle. Open files and the spool follow the calls."""
PAGE: Final = (
    "{ recordings(first: 100) { nodes { plainId state start durationMs callId from to spans { kind atMs } } } }"
)
_OTHER_STATES: Final = "REQUESTED, ARMED, RECORDING, FINALIZING, DISCARDED, FAILED, LOST"
OPEN: Final = f"{{ recordings(first: 1, filter: {{state: {{in: [{_OTHER_STATES}]}}}}) {{ totalCount }} }}"


@dataclass
class Totals:
    """What has happened so far."""

    calls: int = 0
    frames: int = 0
    lost: int = 0
    uploads: int = 0
    pages: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Soak:
    """One run."""

    server: Server
    tenant: Tenant
    sender: Path
    ends_at: float
    totals: Totals = field(default_factory=Totals)
    numbers: "count[int]" = field(default_factory=count)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at

    def add(self, **amounts: int) -> None:
        with self.lock:
            for name, amount in amounts.items():
                setattr(self.totals, name, getattr(self.totals, name) + amount)

    def client(self) -> Client:
        return Client(self.server.url, self.tenant.token)


def check_track(path: Path, chunks: int) -> tuple[int, int]:
    """Return how many frames a track has, and how many are missing up to the last one that was sent.

    If the server was busy when a recording began, its audio begins within a frame.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    if len(data) < FRAME:
        return 0, chunks
    is_digit = (data >= ord("0")) & (data <= ord("9"))
    begins = np.flatnonzero(np.lib.stride_tricks.sliding_window_view(is_digit, 6).all(axis=1))
    if not len(begins):
        return 0, chunks
    offset = np.bincount(begins % FRAME).argmax()
    digits = data[begins[begins % FRAME == offset][:, None] + np.arange(6)].astype(np.int64) - ord("0")
    numbers = digits @ 10 ** np.arange(5, -1, -1)
    found = len(np.unique(numbers))
    return found, chunks - int(numbers[0]) - found


def check_last(path: Path, chunks: int) -> tuple[int, int]:
    """Return the result of `check_track` when the last frames have arrived, which takes longer on a busy machine."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while True:
        frames, lost = check_track(path, chunks)
        if not lost or time.monotonic() > deadline:
            return frames, lost
        time.sleep(0.1)


def run_calls(soak: Soak, streams: int, seconds: float) -> None:
    """Run one group of calls after the other, until the time is over."""
    chunks, client = int(seconds / TICK), soak.client()
    while not soak.is_over():
        names = [f"soak-{next(soak.numbers)}" for _ in range(streams)]
        path = f"{soak.tenant.addresses[0]}/ws"
        lines = [connect(soak.server.port, path, name) for name in names]
        files = [str(line.fileno()) for line in lines]
        command = [str(soak.sender), str(chunks), STREAM, payload(), *files]
        with subprocess.Popen(command, pass_fds=[line.fileno() for line in lines]) as sending:
            ids = [client.start(name)["plainId"] for name in names]
            assert sending.poll() is None, "the calls had ended before all recordings began"
            assert sending.wait() == 0, "the server closed a stream"
        for recording_id in ids:
            for name in ("left", "right"):
                path = soak.server.data / "spool" / recording_id / f"{name}.mulaw"
                frames, lost = check_last(path, chunks)
                soak.add(frames=frames, lost=lost)
        hang_up(lines)
        soak.add(calls=streams)


def hang_up(lines: Sequence[socket.socket]) -> None:
    for line in lines:
        line.sendall(text_frame({"event": "stop", "streamSid": STREAM}))
        line.close()


def upload(soak: Soak) -> None:
    """Send one file."""
    number = next(soak.numbers)
    put(soak.server.port, soak.tenant.addresses[1], "wav", f"upload-{number}", wav(number))
    soak.add(uploads=1)


def reader(soak: Soak) -> Callable[[], None]:
    """Return a function that reads a page."""
    client = soak.client()

    def read() -> None:
        client.graphql(PAGE)
        soak.add(pages=1)

    return read


def repeat(soak: Soak, action: Callable[[], None], pause: float) -> None:
    while not soak.is_over():
        action()
        time.sleep(pause)


def resources(soak: Soak) -> dict[str, float]:
    """Return the resources of the server and its audio workers."""
    assert soak.server.process is not None
    rss, files, threads = 0, 0, 0
    for pid in tree_of(soak.server.process.pid):
        try:
            status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            files += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
        except (FileNotFoundError, ProcessLookupError):
            continue
        rss += int(status["VmRSS"].split()[0])
        threads += int(status["Threads"])
    spool = size_of(soak.server.data / "spool") / 1e6
    return {"RSS MB": rss / 1e3, "open files": files, "threads": threads, "spool MB": spool}


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder. Files may disappear at any time."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(parent, name).stat().st_size
    return size


def wait_until_stored(soak: Soak) -> int:
    """Return how many recordings are still not stored after a while."""
    client, deadline = soak.client(), time.monotonic() + STORED_SECONDS
    while True:
        left: int = client.graphql(OPEN)["recordings"]["totalCount"]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(2)


def report(samples: Sequence[dict[str, float]]) -> list[str]:
    """Print the resources, and return what grew."""
    width = max(1, len(samples) // 6)
    middle = (len(samples) - width) // 2
    parts = [samples[begin : begin + width] for begin in (0, middle, len(samples) - width)]
    print(f"{'':>12} {'start':>9} {'middle':>9} {'end':>9}")
    grown = []
    for name, (factor, amount) in MAY_GROW.items():
        first, half, last = (median(sample[name] for sample in part) for part in parts)
        print(f"{name:>12} {first:9.1f} {half:9.1f} {last:9.1f}")
        if last > half * factor + amount:
            grown.append(f"{name} grew from {half:.1f} to {last:.1f}")
    return grown


def run(soak: Soak, streams: int, call_seconds: float) -> int:
    """Run everything. Return the exit code."""
    works: list[Callable[[], None]] = [
        lambda: repeat(soak, lambda: upload(soak), UPLOAD_SECONDS),
        lambda: repeat(soak, reader(soak), PAGE_SECONDS),
        *[lambda: run_calls(soak, streams // GROUPS, call_seconds)] * GROUPS,
    ]

    def work(each: Callable[[], None]) -> None:
        try:
            each()
        except (AssertionError, OSError, httpx.HTTPError) as error:
            soak.totals.faults.append(f"{type(error).__name__}: {error}")
            soak.ends_at = 0

    threads = [threading.Thread(target=work, args=(each,)) for each in works]
    for thread in threads:
        thread.start()
        time.sleep(call_seconds / GROUPS)
    samples = []
    while not soak.is_over():
        samples.append(resources(soak))
        time.sleep(SAMPLE_SECONDS)
    for thread in threads:
        thread.join()
    left, totals = wait_until_stored(soak), soak.totals
    faults = [*totals.faults, *report(samples)]
    print(f"{totals.calls} calls with {totals.frames} frames, {totals.uploads} uploads, {totals.pages} pages")
    print(f"lost frames: {totals.lost}; recordings that are not stored: {left}")
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults or totals.lost or left else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--streams", type=int, default=150)
    parser.add_argument("--call-seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        sender = compile_sender(folder)
        with Server(folder / "data") as server:
            tenant = make_tenants(server.data)["A"]
            ends_at = time.monotonic() + options.minutes * 60
            code = run(Soak(server, tenant, sender, ends_at), options.streams, options.call_seconds)
    sys.exit(code)


if __name__ == "__main__":
    main()
