"""Compare this service with other GraphQL servers, and with a server written by hand, on the same mongod.

    python -m bench.graphql                         100 000 recordings, 15 rounds (about 6 minutes)
    python -m bench.graphql --quick                 a small run, to check that it works
    python -m bench.graphql --peers plain served    only some servers

`plain` is the server written by hand, without tokens, request ids and logs. All ratios compare with it. `ours` is this
service's GraphQL endpoint alone. `served` is `recordings serve` as users run it: with a token, a request id and a log
line for each request.

All servers run at once, and their rounds alternate. The results are medians of the rounds; brackets have the quartiles.
CPU is the CPU time of the server's process tree for each request, and the last columns add that of mongod. Requests for
each second are measured with eight connections that send without a pause. All servers read only the queried fields. If
there are two CPU cores, the servers and the client share the second one. The Node servers are installed from the lock
file of bench/node into a cache folder.
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

from adapters.identity import InstallationKey, Tokens
from bench.peers import ACCOUNT, ANALYTICS, DATABASE, FIELDS, MEDIA, PEERS, sdl
from bench.processes import cpu_seconds, pin
from bench.tables import Mongo, at_rest
from graph.server.system_clock import SystemClock
from recordings.model.account import DEFAULT_SCOPES, Account, Principal
from tests.e2e.server import Server as Installation
from tests.servers.free_ports import free_port
from tests.servers.mongod import Mongod

NODE: Final = ("mercurius-jit", "yoga")
SERVED: Final = "served"
PLAIN: Final = "plain"
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
    """A server under test and its measurements, by query. `headers` are the credentials, as lines."""

    name: str
    pid: int
    port: int
    headers: str = ""
    cpu: dict[str, list[float]] = field(default_factory=dict)
    sum: dict[str, list[float]] = field(default_factory=dict)
    rate: dict[str, list[float]] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the process and all of its children so far."""
        return sum(exact_cpu_seconds(pid) for pid in tree(self.pid))


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
    if name == SERVED:
        with tempfile.TemporaryDirectory() as folder, installation(Path(folder) / "data", uri) as server:
            yield server
        return
    port = free_port()
    if name in NODE:
        modules = node_modules()
        process = subprocess.Popen(
            ["node", "server.mjs", name, uri, str(port)], cwd=modules, stdin=subprocess.PIPE,
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
        yield Server(name, process.pid, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@contextmanager
def installation(data: Path, uri: str) -> Iterator[Server]:
    """Run `recordings serve` with its usual settings, except the limit of cost."""
    data.mkdir()
    variables = {"RECORDINGS_MONGODB": uri.replace("/?", f"/{DATABASE}?"), "RECORDINGS_LOG_FORMAT": "json"}
    limits = {"RECORDINGS_GRAPHQL_BURST": "1000000000", "RECORDINGS_GRAPHQL_PER_SECOND": "1000000000"}
    served = Installation(data, **variables, **limits)
    served.launch_unforked()
    try:
        served.wait_until_ready()
        assert served.process is not None
        pin(served.process.pid, 0)
        key = InstallationKey.open(data / "secret.key")
        caller = Principal(ACCOUNT, frozenset(DEFAULT_SCOPES), name="bench")
        token = Tokens(key.derive("jwt"), SystemClock()).issue(caller, seconds=86_400)
        yield Server(SERVED, served.process.pid, served.port, f"authorization: Bearer {token}\r\n")
    finally:
        served.stop()


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


async def ask(server: Server, bodies: list[bytes]) -> list[bytes]:
    """Send requests one after another over one connection. Parse only the framing of the responses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20)
    answers = []
    for body in bodies:
        head = f"{server.headers}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
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


async def measure(server: Server, mongod: int, name: str, bodies: list[bytes], count: int) -> None:
    sent = [random.choice(bodies) for _ in range(count)]
    mongod_before, cpu_before, start = exact_cpu_seconds(mongod), server.cpu_seconds(), time.perf_counter()
    await asyncio.gather(*(ask(server, sent[at::CLIENTS]) for at in range(CLIENTS)))
    seconds = time.perf_counter() - start
    cpu = server.cpu_seconds() - cpu_before
    server.cpu.setdefault(name, []).append(cpu / count)
    server.sum.setdefault(name, []).append((cpu + exact_cpu_seconds(mongod) - mongod_before) / count)
    server.rate.setdefault(name, []).append(count / seconds)


async def run(servers: list[Server], mongod: int, queries: dict[str, list[bytes]], rounds: int, scale: int) -> None:
    for server in servers:
        check(server, {name: (await ask(server, bodies[:1]))[0] for name, bodies in queries.items()})
        for bodies in queries.values():
            await ask(server, bodies[:1] * 20)
    for _ in range(rounds):
        for name, bodies in queries.items():
            for server in random.sample(servers, len(servers)):
                slow = server.name in {"strawberry", "ariadne"} and name != "point"
                count = max(1, (40 if slow else 400 if name == "point" else 200) // scale)
                await measure(server, mongod, name, bodies, count)


def check(server: Server, answers: dict[str, bytes]) -> None:
    """Check that a server returns the expected rows and fields."""
    assert b"errors" not in answers["page"], (server.name, answers["page"][:1_000])
    page = json.loads(answers["page"])["data"]["recordings"]
    assert len(page["edges"]) == 100, server.name
    assert list(page["edges"][0]["node"]) == list(FIELDS.values()), server.name
    assert len(json.loads(answers["analytics"])["data"]["recordings"]["edges"][0]["node"]) == len(ANALYTICS) + 1
    assert json.loads(answers["point"])["data"]["recording"]["plainId"]


def show(servers: list[Server], names: list[str]) -> None:
    """Print a table for each query: medians, and the ratios to `plain` within each round."""
    plain = next((server for server in servers if server.name == PLAIN), servers[0])
    for name in names:
        print(f"\n{name:14}  CPU ms  x {plain.name:20}  with mongod ms  x {plain.name:20}  requests/s")
        for server in servers:
            cells = "".join(
                f"  {statistics.median(mine) * 1e3:{width}.3f}  {ratio(mine, others):22}"
                for width, mine, others in (
                    (6, server.cpu[name], plain.cpu[name]),
                    (14, server.sum[name], plain.sum[name]),
                )
            )
            print(f"{server.name:14}{cells}  {statistics.median(server.rate[name]):10.0f}")


def ratio(values: list[float], others: list[float]) -> str:
    """Return the median and the quartiles of the ratios."""
    ratios = [one / other for one, other in zip(values, others, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


def main() -> None:
    """Read the arguments, fill a mongod and compare the servers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", nargs="+", choices=[*PEERS, SERVED, *NODE], default=[*PEERS, SERVED, *NODE])
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
        assert mongod.process is not None
        asyncio.run(run(servers, mongod.process.pid, queries, rounds, 10 if options.quick else 1))
        show(servers, list(queries))


async def fill(uri: str, size: int) -> None:
    bench = Mongo(uri, DATABASE, at_rest)
    await bench.store.open()
    await bench.store.add_account(Account(ACCOUNT, "bench", 0))
    await bench.fill(size)
    await bench.store.close()


if __name__ == "__main__":
    main()
