"""Compare one, two and four workers behind one port: requests for each second, and CPU time for each request.

    python -m bench.workers                  each store and each number of workers, four rounds (about two minutes)
    python -m bench.workers --seconds 1      shorter, to check that it works
    python -m bench.workers --store SQLite   one store

The requests are pages of ten recordings by GraphQL, on kept connections. The numbers of workers take turns in each
round, and each ratio compares two runs of the same round. The senders use the same machine. Four workers are left out
on a machine with fewer than four cores.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp

from bench.processes import cpu_seconds
from tests.e2e.installation import make_account, make_ingest
from tests.e2e.server import Server, until
from tests.e2e.sound import wav
from tests.e2e.tenants import upload
from tests.servers.mongod import Mongod

CONNECTIONS: Final = 32
RECORDINGS: Final = 20
ROUNDS: Final = 4
FLAT: Final = 1.1
"""Up to this ratio, the CPU time for each request counts as the same."""
_QUERY: Final = "{ recordings(first: 10) { nodes { plainId state durationMs callId from to } } }"


class Run(NamedTuple):
    """The result of one run: requests for each second, and milliseconds of CPU time for each request."""

    rate: float
    cpu_ms: float


class Served(NamedTuple):
    """A running server, its token and the process ids of all its processes that serve requests."""

    server: Server
    token: str
    pids: list[int]

    def cpu(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.pids)


def main() -> None:
    """Print the rates, the CPU times and the ratios."""
    parser = argparse.ArgumentParser(description="Compare one, two and four workers.")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of each run (default: 3)")
    parser.add_argument("--store", choices=("SQLite", "MongoDB"), help="measure only this store")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    counts = [1, 2, *([4] if cores >= 4 else [])]
    unproved = []
    with tempfile.TemporaryDirectory(prefix="bench-workers-") as name:
        for store in [options.store] if options.store else ["SQLite", "MongoDB"]:
            with _servers(Path(name) / store, store, counts) as servers:
                runs: dict[int, list[Run]] = {count: [] for count in counts}
                for _ in range(ROUNDS):
                    for count, served in servers.items():
                        runs[count].append(asyncio.run(_measure(served, options.seconds)))
                if (cpu := _print(store, runs)) > FLAT:
                    unproved.append(f"the same CPU time for each request with {store}: {cpu:.2f} times that of one")
    print(f"\nCores: {cores}. Not proved on this machine:")
    for claim in unproved:
        print(f"- {claim}")
    most = max(counts)
    if cores < 2 * most:
        print(
            f"- the rate of {most} workers on cores of their own: the senders and the store use the same {cores} cores"
        )
    if cores < 32:  # sixteen workers and their senders
        print("- the rate of sixteen workers")


@contextmanager
def _servers(folder: Path, store: str, counts: list[int]) -> Iterator[dict[int, Served]]:
    """Run a server for each number of workers, all with the same recordings."""
    folder.mkdir()
    with ExitStack() as stack:
        variables = {"RECORDINGS_LOG_FORMAT": "json", "RECORDINGS_GRAPHQL_PER_SECOND": "1000000000"}
        uri = ""
        if store == "MongoDB":
            (folder / "mongod").mkdir()
            uri = stack.enter_context(Mongod(folder / "mongod")).uri
        servers = {}
        for count in counts:
            if uri:
                variables = variables | {"RECORDINGS_MONGODB": uri.replace("/?", f"/bench{count}?")}
            servers[count] = _serve(stack, folder / str(count), count, variables)
        yield servers


def _serve(stack: ExitStack, data: Path, count: int, variables: dict[str, str]) -> Served:
    server = stack.enter_context(Server(data, "--workers", str(count), **variables))
    token, ingest = make_account(data, **variables), make_ingest(data, **variables)
    client = server.client(token)
    for number in range(RECORDINGS):
        upload(server.port, ingest, f"call{number}", wav(1))
    until(lambda: "warnings" not in client.http.get("/readyz").json())
    until(lambda: len(client.ids()) == RECORDINGS)
    return Served(server, token, _pids(server))


def _pids(server: Server) -> list[int]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    forked = [int(line["pid"]) for line in lines if line["event"] == "worker started"]
    assert server.process is not None
    return forked or [server.process.pid]


async def _measure(served: Served, seconds: float) -> Run:
    headers, body = {"X-Auth-Token": served.token, "Content-Type": "application/json"}, json.dumps({"query": _QUERY})
    async with aiohttp.ClientSession(
        served.server.url, headers=headers, connector=aiohttp.TCPConnector(limit=CONNECTIONS)
    ) as session:
        await asyncio.gather(*(_ask(session, body, 0.0) for _ in range(CONNECTIONS)))
        began, used = time.monotonic(), served.cpu()
        done = await asyncio.gather(*(_ask(session, body, began + seconds) for _ in range(CONNECTIONS)))
        elapsed, used = time.monotonic() - began, served.cpu() - used
    return Run(sum(done) / elapsed, 1_000 * used / sum(done))


async def _ask(session: aiohttp.ClientSession, body: str, deadline: float) -> int:
    """Send requests until the deadline, at least one. Return how many were answered."""
    number = 0
    while not number or time.monotonic() < deadline:
        async with session.post("/graphql", data=body) as response:
            answer: Any = await response.json()
            assert len(answer["data"]["recordings"]["nodes"]) == 10, answer
        number += 1
    return number


def _print(store: str, runs: dict[int, list[Run]]) -> float:
    """Print the results. Return the CPU time for each request with the most workers, relative to one."""
    last = 1.0
    print(f"\n{store:<8}  workers  requests/s  CPU ms/request  rate against one     CPU against one")
    for count, each in runs.items():
        rates = [run.rate / one.rate for run, one in zip(each, runs[1], strict=True)]
        cpus = [run.cpu_ms / one.cpu_ms for run, one in zip(each, runs[1], strict=True)]
        rate, cpu = statistics.median(run.rate for run in each), statistics.median(run.cpu_ms for run in each)
        print(f"{'':<8}  {count:>7}  {rate:>10,.0f}  {cpu:>14.2f}  {_ratio(rates):<19}  {_ratio(cpus)}")
        last = statistics.median(cpus)
    return last


def _ratio(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
