"""Compare the playback of stored audio by a real server with nginx (local files) and with the S3 store itself.

    python -m bench.media                   100 MiB, 5 rounds of 5 requests (about a minute)
    python -m bench.media --mib 16 --rounds 3
    python -m bench.media --store local

Each request is a whole GET on a new connection. The product gets a signed URL of `/media`: it checks the signature and
the access, and writes the audit trail. nginx sends the same file with sendfile. SeaweedFS gets a signed URL of the same
object. The sides take turns, in another order each round.

If there are two cores, nginx and the product use one; the client and SeaweedFS use the other. CPU and memory are those
of the named process: the rows of the product do not include the cost of SeaweedFS. A ratio is a median of the rounds,
with the lowest and the highest one. With one core, or on a busy machine, the ratios of S3 prove nothing.
"""

import argparse
import json
import os
import random
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from botocore.session import get_session

from bench.ingest import wav
from bench.processes import cpu_seconds, peak_mib, pin
from tests.e2e.server import Server
from tests.e2e.tenants import make_tenants, upload
from tests.servers import nginx, seaweedfs

OURS: Final = "this service"
SERVERS, CLIENT = 0, 1
"""Numbers of cores."""


@dataclass
class Side:
    """One way to get the audio: its URL, its process and its measurements."""

    name: str
    url: str
    pid: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, size: int, requests: int) -> None:
        """Run one round."""
        cpu_before, start = cpu_seconds(self.pid), time.perf_counter()
        for _ in range(requests):
            received = fetch(self.url)
            assert received == size, (received, size)
        self.seconds.append(time.perf_counter() - start)
        self.cpu.append(cpu_seconds(self.pid) - cpu_before)


def fetch(url: str) -> int:
    """Download a URL as fast as possible and drop the data. Return the length of the body in bytes."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    buffer = bytearray(1 << 20)
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


@contextmanager
def served(folder: Path, mib: int, **variables: str) -> Iterator[tuple[Side, int]]:
    """Run a server with one recording. Yield its side, and the length of the audio."""
    with Server(folder / "data", **variables) as server:
        tenant = make_tenants(server.data)["A"]
        status, body = upload(server.port, tenant.addresses[0], "call", wav(1, mib << 20))
        assert status == 201, body
        media = server.client(tenant.token).wait_for(json.loads(body)["id"], "STORED")["media"]
        assert server.process is not None
        pin(server.process.pid, SERVERS)
        yield Side(OURS, media["url"], server.process.pid), media["length"]


def local(folder: Path, stack: ExitStack, mib: int) -> tuple[Sequence[Side], int]:
    """Start nginx, and a server with the audio in its data folder."""
    ours, length = stack.enter_context(served(folder, mib))
    (folder / "nginx").mkdir()
    process, address = nginx.start(folder / "nginx")
    stack.callback(process.stop)
    pin(process.pid, SERVERS)
    stored = max((folder / "data" / "media").rglob("*.wav"), key=lambda path: path.stat().st_size)
    os.link(stored, Path(address["root"], "x.wav"))
    return [Side("nginx (sendfile)", f"{address['http']}/x.wav", process.pid), ours], length


def s3(folder: Path, stack: ExitStack, mib: int) -> tuple[Sequence[Side], int]:
    """Start SeaweedFS, and a server with the audio in it."""
    (folder / "seaweedfs").mkdir()
    process, address = seaweedfs.start(folder / "seaweedfs")
    stack.callback(process.stop)
    pin(process.pid, CLIENT)
    variables = {
        "RECORDINGS_MEDIA": f"s3://{seaweedfs.BUCKET}/bench",
        "FSSPEC_S3_ENDPOINT_URL": address["s3"],
        "FSSPEC_S3_KEY": address["key"],
        "FSSPEC_S3_SECRET": address["secret"],
    }
    ours, length = stack.enter_context(served(folder, mib, **variables))
    return [Side("SeaweedFS itself", signed_url(address["s3"]), process.pid), ours], length


def signed_url(endpoint: str) -> str:
    """Return a signed URL of the only stored object."""
    access = {"endpoint_url": endpoint, "aws_access_key_id": seaweedfs.KEY, "aws_secret_access_key": seaweedfs.SECRET}
    client = get_session().create_client("s3", region_name="us-east-1", **access)
    found = client.list_objects_v2(Bucket=seaweedfs.BUCKET, Prefix="bench/")["Contents"]
    key = max(found, key=lambda each: int(each["Size"]))["Key"]
    url: str = client.generate_presigned_url("get_object", Params={"Bucket": seaweedfs.BUCKET, "Key": key})
    return url


def compare(sides: Sequence[Side], length: int, rounds: int, requests: int) -> None:
    """Measure both sides in turns, and print a table."""
    order = random.Random(1)
    # The first round only warms up. The service remembers the digest of a file that is older than two seconds.
    time.sleep(2)
    for side in sides:
        side.measure(length, 1)
    before = [peak_mib(side.pid) for side in sides]
    for side in sides:
        side.seconds, side.cpu = [], []
    for _ in range(rounds):
        for side in order.sample(sides, len(sides)):
            side.measure(length, requests)
    gigabytes = length * requests / 1e9
    print(f"{'':20}{'MB/s':>8}{'CPU s/GB':>10}{'peak MiB, first and last':>26}")
    for side, peak in zip(sides, before, strict=True):
        speed, cpu = 1_000 * gigabytes / statistics.median(side.seconds), statistics.median(side.cpu) / gigabytes
        print(f"{side.name:20}{speed:8.0f}{cpu:10.2f}{peak:18.0f}{peak_mib(side.pid):8.0f}")
    peer, ours = sides
    print(f"{ours.name} / {peer.name}: speed {spread(peer.seconds, ours.seconds)}, CPU {spread(ours.cpu, peer.cpu)}\n")


def spread(above: Sequence[float], below: Sequence[float]) -> str:
    """Return the median of the ratios of all rounds, with the lowest and the highest."""
    ratios = [first / max(second, 1e-9) for first, second in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5, help="requests of each side in a round")
    parser.add_argument("--store", choices=["local", "s3", "both"], default="both")
    options = parser.parse_args()
    for name, start in (("local", local), ("s3", s3)):
        if options.store in {name, "both"}:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-media-")))
                sides, length = start(folder, stack, options.mib)
                pin(0, CLIENT)
                compare(sides, length, options.rounds, options.requests)


if __name__ == "__main__":
    main()
