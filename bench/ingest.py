"""Compare uploads to a real server with bare writes of the same bytes to the same disk.

    python -m bench.ingest
    python -m bench.ingest --kind mp3

A PUT has 480 KB: 30 seconds of WAV, which is stored unchanged, or two minutes of MP3. Sixteen senders run at once. A
bare write is a file of the same bytes with an fsync, also sixteen at once. Rounds of both alternate.

"acknowledged" is the number of PUTs a second until the last response. "CPU to STORED" is the time of the server and its
audio workers until the last recording is stored, for each PUT. The senders share the machine with the server, so the
ratio is a lower bound where there are few cores.
"""

import argparse
import io
import os
import random
import socket
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from adapters.audio.encoding import encode
from adapters.audio.output_format import MP3
from adapters.audio.pcm import frame_of
from adapters.metadata.sqlite.sqlite_store import FILE
from bench.processes import cpu_of_tree
from tests.e2e.server import Server
from tests.e2e.tenants import make_tenants

SENDERS: Final = 16
SIZE: Final = 480_000
STORED: Final = "SELECT count(*) FROM recordings WHERE state = 'STORED'"


def wav(number: int, size: int = SIZE) -> bytes:
    """Return noise. Every file has other bytes, because equal files are stored once."""
    samples = random.Random(number).randbytes(size)
    head = (
        b"RIFF"
        + (size + 36).to_bytes(4, "little")
        + b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    )
    return head + b"data" + size.to_bytes(4, "little") + samples


def mp3(number: int) -> bytes:
    """Return two minutes of noise at 32 kbit/s."""
    file = io.BytesIO()
    samples = random.Random(number).randbytes(2 * 8_000 * 10) * 12
    encode([frame_of(samples, "mono", 8_000)], file, MP3, 8_000, 1)
    return file.getvalue()


KINDS: Final[dict[str, Callable[[int], bytes]]] = {"wav": wav, "mp3": mp3}


def at_once(works: Sequence[Callable[[], None]]) -> float:
    """Run sixteen at a time. Return the seconds until the last one ends."""
    waiting, lock = list(works), threading.Lock()

    def run() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                work = waiting.pop()
            work()

    threads = [threading.Thread(target=run) for _ in range(SENDERS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def put(port: int, address: str, kind: str, call_id: str, body: bytes) -> None:
    """Send a file on a connection of its own, as switches do."""
    path = f"{address}/{call_id}.{kind}?call_id={call_id}"
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode())
        connection.sendall(body)
        status = connection.makefile("rb").readline()
    assert b" 201 " in status, status


def write(path: Path, body: bytes) -> None:
    """Write a file and sync it."""
    with path.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def wait_until_stored(database: Path, count: int) -> None:
    """Wait until so many recordings are stored."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as opened:
        while opened.execute(STORED).fetchone()[0] < count:
            time.sleep(0.05)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=list(KINDS), default="wav")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=64, help="files in a round")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, bare = Path(folder, "data"), Path(folder, "bare")
        bare.mkdir()
        with Server(data) as server:
            measure(server, bare, arguments.kind, arguments.rounds, arguments.files)


def measure(server: Server, bare: Path, kind: str, rounds: int, files: int) -> None:
    """Print the figures of each round, and of all."""
    address = make_tenants(server.data)["A"].addresses[0]
    assert server.process is not None
    ratios, cpu = [], []
    for number in range(rounds + 1):
        bodies = [KINDS[kind](number * files + each) for each in range(files)]
        before = cpu_of_tree(server.process.pid)
        names = [f"{number}-{each}" for each in range(files)]
        send = partial(put, server.port, address, kind)
        puts = at_once([partial(send, name, body) for name, body in zip(names, bodies, strict=True)])
        acknowledged = cpu_of_tree(server.process.pid)
        wait_until_stored(server.data / FILE, (number + 1) * files)
        after = cpu_of_tree(server.process.pid)
        writes = at_once([partial(write, bare / name, body) for name, body in zip(names, bodies, strict=True)])
        if not number:
            continue  # The first round starts the workers.
        ratios.append(writes / puts)
        cpu.append((after - before) / files * 1e3)
        print(
            f"acknowledged {files / puts:6.0f}/s   bare writes {files / writes:6.0f}/s   ratio {writes / puts:.3f}   "
            f"CPU {(acknowledged - before) / files * 1e3:5.1f} ms until the last response, {cpu[-1]:5.1f} ms to STORED"
        )
    print(
        f"median ratio {statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f}), "
        f"CPU to STORED {statistics.median(cpu):.1f} ms ({min(cpu):.1f}-{max(cpu):.1f})"
    )


if __name__ == "__main__":
    main()
