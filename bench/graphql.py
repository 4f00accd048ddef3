"""Compare this service's GraphQL server (`ours`) with other servers on the same recordings in the same mongod.

    python -m bench.graphql                         100 000 recordings, 15 rounds (about 6 minutes)
    python -m bench.graphql --quick                 a small run, to check that it works
    python -m bench.graphql --peers ours plain      only some servers

All servers run at once, and their rounds alternate. The results are medians of the rounds. CPU is the CPU time of the
server's process tree for each request. Requests per second are measured with eight connections that send without a
pause. If there are two CPU cores, the servers and the client share the second one. The Node servers are installed from
the lock file of bench/node into a cache folder.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
from pymongo import MongoClient

from bench.peers import ACCOUNT, ANALYTICS, DATABASE, FIELDS, MEDIA, PEERS, sdl
from bench.processes import cpu_seconds, pin
from bench.tables import Mongo
from recordings.model.account import Account
from tests.servers.free_ports import free_port
from tests.servers.mongod import Mongod

NODE: Final = ("mercurius-jit", "yoga")
HERE: Final = Path(__file__).parent / "node"
CLIENTS: Final = 8
"""Number of connections. With only one, a server sleeps between requests, and cold CPU caches distort the result."""
NODE_FIELDS: Final = " ".join(FIELDS.values())
LISTED: Final = "query {name} {{ recordings(first: 100) {{ edges {{ cursor node {{ {fields} }} }} {info} }} }}"
INFO: Final = "pageInfo { hasNextPage endCursor }"
PAGE: Final = LISTED.format(name="Page", fields=NODE_FIELDS, info=INFO)
POINT: Final = f"query Point($id: ID!) {{ recording(id: $id) {{ {NODE_FIELDS} }} }}"
STORED: Final = f"media {{ {' '.join(MEDIA.values())} }}"
ANALYSIS: Final = LISTED.format(name="Analytics", fields=f"{' '.join(ANALYTICS.values())} {STORED}", info=INFO)


@dataclass
class Server:
    """A server under test and its measurements, by query."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    cpu: dict[str, list[float]] = field(default_factory=dict)
    rate: dict[str, list[float]] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and all of its children so far."""
        return sum(exact_cpu_seconds(pid) for pid in tree(self.process.pid))


def exact_cpu_seconds(pid: int) -> float:
    # schedstat counts nanoseconds of each thread, stat only hundredths of a second.
    threads = Path(f"/proc/{pid}/task").iterdir()
    try:
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        return cpu_seconds(pid)


def tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from tree(int(child))


def node_modules() -> Path:
    """Install the Node servers once for each version of the lock file. Return their folder."""
    lock_hash = sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "recordings-bench" / lock_hash
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True)
        (folder / "done").touch()
    shutil.copy(HERE / "server.mjs", folder)
    return folder


@contextmanager
def serving(name: str, uri: str) -> Iterator[Server]:
    """Run a server; it accepts requests when the block starts."""
    port = free_port()
    if name in NODE:
        folder = node_modules()
        process = subprocess.Popen(
            ["node", "server.mjs", name, uri, str(port)], cwd=folder, stdin=subprocess.PIPE,
            env={**os.environ, "NODE_ENV": "production"},
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps({"sdl": sdl(), "fields": ANALYTICS, "media": MEDIA}).encode())
        process.stdin.close()
    else:
        process = subprocess.Popen([sys.executable, "-m", "bench.peers", name, uri, str(port)])
    pin(process.pid, 0)
    try:
        wait_for(port)
        yield Server(name, process, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": "{ __typename }"}, timeout=30)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(port)


async def ask(port: int, bodies: list[bytes]) -> list[bytes]:
    """Send requests one after another over one connection. Parse only the framing of the responses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    answers = []
    for body in bodies:
        head = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(b"POST /graphql HTTP/1.1\r\nhost: x\r\n" + head.encode() + body)
        answers.append(await read_response(reader))
    writer.close()
    await writer.wait_closed()
    return answers


async def read_response(reader: asyncio.StreamReader) -> bytes:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b" 200 " in head.split(b"\r\n")[0], head
    if b"chunked" not in head:
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        return await reader.readexactly(length)
    body = b""
    while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def query_bodies(ids: list[str]) -> dict[str, list[bytes]]:
    def body(name: str, query: str, **variables: Any) -> bytes:
        return json.dumps({"operationName": name, "query": query, "variables": variables}).encode()

    return {
        "page": [body("Page", PAGE)],
        "point": [body("Point", POINT, id=recording_id) for recording_id in ids],
        "analytics": [body("Analytics", ANALYSIS)],
    }


async def measure(server: Server, name: str, bodies: list[bytes], count: int) -> None:
    sent = [random.choice(bodies) for _ in range(count)]
    cpu_before, start = server.cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(ask(server.port, sent[at::CLIENTS]) for at in range(CLIENTS)))
    seconds = time.perf_counter() - start
    server.cpu.setdefault(name, []).append((server.cpu_seconds() - cpu_before) / count)
    server.rate.setdefault(name, []).append(count / seconds)


async def run(servers: list[Server], queries: dict[str, list[bytes]], rounds: int, scale: int) -> None:
    for server in servers:
        check(server, {name: (await ask(server.port, bodies[:1]))[0] for name, bodies in queries.items()})
        for bodies in queries.values():
            await ask(server.port, bodies[:1] * 20)
    for _ in range(rounds):
        for name, bodies in queries.items():
            for server in random.sample(servers, len(servers)):
                slow = server.name in {"strawberry", "ariadne"} and name != "point"
                count = max(1, (40 if slow else 400 if name == "point" else 200) // scale)
                await measure(server, name, bodies, count)


def check(server: Server, answers: dict[str, bytes]) -> None:
    """Check that a server returns the expected rows and fields."""
    assert b"errors" not in answers["page"], (server.name, answers["page"][:1_000])
    page = json.loads(answers["page"])["data"]["recordings"]
    assert len(page["edges"]) == 100, server.name
    assert list(page["edges"][0]["node"]) == list(FIELDS.values()), server.name
    assert len(json.loads(answers["analytics"])["data"]["recordings"]["edges"][0]["node"]) == len(ANALYTICS) + 1
    assert json.loads(answers["point"])["data"]["recording"]["plainId"]


def show(servers: list[Server], names: list[str]) -> None:
    """Print medians, and the ratio to `ours`: the median of the ratios of each round."""
    mine = next(server for server in servers if server.name == "ours")
    print(f"{'':14}" + "".join(f"{name:>12} ms {'x ours':>7} {'(min)':>7} {'req/s':>7}" for name in names))
    for server in servers:
        cells = []
        for name in names:
            cpu, ours = server.cpu[name], mine.cpu[name]
            ratio = statistics.median(one / other for one, other in zip(cpu, ours, strict=True))
            columns = (f"{statistics.median(cpu) * 1e3:15.3f}", f"{ratio:7.2f}", f"{min(cpu) / min(ours):7.2f}")
            cells.append(" ".join((*columns, f"{statistics.median(server.rate[name]):7.0f}")))
        print(f"{server.name:14}" + "".join(cells))


def main() -> None:
    """Read the arguments, fill a mongod and compare the servers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", nargs="+", choices=[*PEERS, *NODE], default=[*PEERS, *NODE])
    options = parser.parse_args()
    size, rounds = (2_000, 3) if options.quick else (options.size, options.rounds)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mongod = stack.enter_context(Mongod(folder))
        asyncio.run(fill(mongod.uri, size))
        with MongoClient[Any](mongod.uri) as client:
            ids = [row["_id"] for row in client[DATABASE]["recordings"].find({}, {"_id": 1}).limit(1_000)]
        pin(0, 1)
        servers = [stack.enter_context(serving(name, mongod.uri)) for name in options.peers]
        queries = query_bodies(ids)
        asyncio.run(run(servers, queries, rounds, 10 if options.quick else 1))
        show(servers, list(queries))


async def fill(uri: str, size: int) -> None:
    bench = Mongo(uri, DATABASE)
    await bench.store.open()
    await bench.store.add_account(Account(ACCOUNT, "bench", 0))
    await bench.fill(size)
    await bench.store.close()


if __name__ == "__main__":
    main()
