"""Compare this service's playback of stored audio with specialised servers.

    python -m bench.media                   100 MiB, 7 rounds (about a minute)
    python -m bench.media --mib 16 --rounds 2

Local folder: this service, nginx and Starlette's FileResponse. S3: this service in front of SeaweedFS, and SeaweedFS
itself. The rounds alternate, and the results are medians. If there are two CPU cores, all servers use one, SeaweedFS
included, and the client uses the other. CPU and memory are those of the named process: this service's rows do not
include the cost of SeaweedFS.
"""

import argparse
import asyncio
import hashlib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from adapters.http.audio_response import play
from adapters.media import open_media_store
from adapters.media.s3_store import S3Media
from bench.processes import cpu_seconds, pin
from recordings.model.options import RecordingOptions
from recordings.model.recording import Media, Recording, State
from tests.servers import nginx, seaweedfs
from tests.servers.free_ports import free_port
from tests.servers.server_process import answers
from tests.servers.shared_server import Address

KEY = "account/202611/202611-a.mp3"


@dataclass
class Line:
    """One way to play the audio: its URL, its process and its measurements."""

    name: str
    url: str
    pid: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self) -> int:
        """Run one round. Return the length of the body in bytes."""
        cpu_before, start = cpu_seconds(self.pid), time.perf_counter()
        size = fetch(self.url)
        self.seconds.append(time.perf_counter() - start)
        self.cpu.append(cpu_seconds(self.pid) - cpu_before)
        return size


def peak_mib(pid: int) -> float:
    """Return the peak memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1_024


def fetch(url: str) -> int:
    """Download a URL as fast as possible and drop the data. Return the length of the body in bytes."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    buffer, received = bytearray(1 << 20), 0
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65_536)
        assert head.startswith(b"HTTP/1.1 200"), head[:200]
        received = len(head.partition(b"\r\n\r\n")[2])
        while count := connection.recv_into(buffer):
            received += count
    return received


def serve(port: int, folder: Path, url: str, endpoint: str) -> None:
    """Run the server under test, with three ways to play one recording, until it is terminated."""
    options = {"endpoint_url": endpoint, "key": seaweedfs.KEY, "secret": seaweedfs.SECRET}
    store = open_media_store(f"s3://{seaweedfs.BUCKET}/bench", folder, options)
    path = folder / "media" / KEY
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()

    def recording(media_url: str) -> Recording:
        media = Media(media_url, "audio/mpeg", path.stat().st_size, 1, 8_000, 1, digest, 0)
        return Recording(
            id="202611-a", account_id="account", state=State.STORED, start=0, created=0, modified=0, call_id="c",
            from_="a", to="b", options=RecordingOptions(), media=media,
        )  # fmt: skip

    local, remote = recording(f"local:{KEY}"), recording(url)

    async def play_local(request: Request) -> Response:
        return await play(request, local, store.read)

    async def play_s3(request: Request) -> Response:
        return await play(request, remote, store.read)

    async def play_file(_request: Request) -> Response:
        return FileResponse(path)

    handlers = {"/local": play_local, "/s3": play_s3, "/file": play_file}
    application = Starlette(routes=[Route(path, handler) for path, handler in handlers.items()])
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="error", access_log=False)


@contextmanager
def serving(folder: Path, url: str, endpoint: str) -> Iterator[tuple[int, int]]:
    """Run this service's server in its own process. Yield its port and process id."""
    port = free_port()
    command = [sys.executable, "-m", "bench.media", "--serve", str(port), str(folder), url, endpoint]
    process = subprocess.Popen(command)
    try:
        while not answers(port, "/none"):
            time.sleep(0.05)
        pin(process.pid, 0)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


async def upload(folder: Path, server: Address) -> tuple[str, str]:
    """Store the audio in S3. Return its URL in the store, and a presigned HTTP URL."""
    options = {"endpoint_url": server["s3"], "key": server["key"], "secret": server["secret"]}
    store = S3Media(f"s3://{seaweedfs.BUCKET}/bench", options)
    url = await store.put(KEY, str(folder / "media" / KEY), "audio/mpeg")
    signed = await store.presign(url, 3_600, content_type="audio/mpeg", disposition="inline")
    await store.close()
    return url, signed


def compare(mib: int, rounds: int) -> None:
    """Measure and print a table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-media-")))
        path = folder / "media" / KEY
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(1 << 20))
        started = []
        for name, module in (("nginx", nginx), ("seaweedfs", seaweedfs)):
            (folder / name).mkdir()
            process, answer = module.start(folder / name)
            stack.callback(process.stop)
            pin(process.pid, 0)
            started.append((process.pid, answer))
        (web, web_answer), (store, store_answer) = started
        os.link(path, Path(web_answer["root"], "k.mp3"))
        url, signed = asyncio.run(upload(folder, store_answer))
        port, ours = stack.enter_context(serving(folder, url, store_answer["s3"]))
        pin(0, 1)
        lines = [
            Line("nginx (sendfile)", f"{web_answer['http']}/k.mp3", web),
            Line("this service, folder", f"http://127.0.0.1:{port}/local", ours),
            Line("Starlette FileResponse", f"http://127.0.0.1:{port}/file", ours),
            Line("SeaweedFS itself", signed, store),
            Line("this service, SeaweedFS", f"http://127.0.0.1:{port}/s3", ours),
        ]
        for round_number in range(rounds + 1):
            for line in lines:
                assert line.measure() == mib << 20
                if not round_number:
                    # The first round only warms up.
                    line.seconds.clear()
                    line.cpu.clear()
        show(lines, mib)


def show(lines: list[Line], mib: int) -> None:
    """Print the table. The speed is relative to the first row with the same storage."""
    print(f"{'':26}{'MB/s':>8}{'CPU s/GB':>10}{'peak MiB':>10}{'speed':>8}")
    for number, line in enumerate(lines):
        peer = lines[0 if number < 3 else 3]
        gigabytes = (mib << 20) / 1e9
        seconds, cpu = statistics.median(line.seconds), statistics.median(line.cpu)
        ratio = statistics.median(peer.seconds) / seconds
        speed = 1_000 * gigabytes / seconds
        print(f"{line.name:26}{speed:8.0f}{cpu / gigabytes:10.2f}{peak_mib(line.pid):10.0f}{ratio:7.2f}x")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        port, folder, url, endpoint = options.serve
        serve(int(port), Path(folder), url, endpoint)
    else:
        compare(options.mib, options.rounds)


if __name__ == "__main__":
    main()
