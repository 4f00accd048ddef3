"""Measure the resident memory of `recordings serve` on SQLite: idle, and after large responses.

    python -m bench.memory                   200 000 recordings (about a minute)
    python -m bench.memory --rows 20000      fewer, to check that it works

Each line is the resident set (RSS) of the server process after a step, and its maximum so far. The export and the list
return all recordings: `GET /export/recordings` as NDJSON, and the v2 list without paging.
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx

from adapters.identity import InstallationKey, Tokens
from adapters.rest_v2.gregorian import to_gregorian
from bench.tables import NOW, TEMPLATE, Sqlite, at_rest
from graph.server.system_clock import SystemClock
from recordings.model.account import GRANTABLE, Account, Principal
from tests.e2e.server import Server

IDLE_SECONDS: Final = 5.0
PAGES: Final = 200
_STATUS: Final = re.compile(r"(VmRSS|VmHWM):\s+(\d+) kB")


async def fill(folder: Path, rows: int) -> None:
    """Fill a new data folder with the recordings of one account."""
    table = Sqlite(folder, at_rest)
    await table.store.open()
    try:
        await table.store.add_account(Account(TEMPLATE.account_id, "Bench", TEMPLATE.start))
        await table.fill(rows)
    finally:
        await table.store.close()


def resident(pid: int) -> tuple[float, float]:
    """Return the resident set of a process and its maximum, in MB (million bytes)."""
    sizes = dict(_STATUS.findall(Path(f"/proc/{pid}/status").read_text(encoding="utf-8")))
    return int(sizes["VmRSS"]) * 1024 / 1e6, int(sizes["VmHWM"]) * 1024 / 1e6


def read_all(client: httpx.Client, path: str) -> int:
    """Return the length of a response, which is not kept."""
    with client.stream("GET", path) as response:
        response.raise_for_status()
        return sum(map(len, response.iter_raw()))


def read_pages(client: httpx.Client) -> int:
    """Read pages of 100 recordings by GraphQL. Return the length of all."""
    body = {"query": "{ recordings(first: 100) { nodes { plainId callId state start from to durationMs } } }"}
    return sum(len(client.post("/graphql", json=body).raise_for_status().content) for _ in range(PAGES))


def main() -> None:
    """Print the resident set after each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name:
        data = Path(name) / "data"
        data.mkdir()
        asyncio.run(fill(data, rows))
        server = Server(data)
        server.launch_unforked()
        try:
            server.wait_until_ready()
            measure(server, rows)
        finally:
            server.stop()


def measure(server: Server, rows: int) -> None:
    """Print the resident set of a running server after each step."""
    assert server.process is not None
    key = InstallationKey.open(server.data / "secret.key")
    caller = Principal(TEMPLATE.account_id, frozenset(GRANTABLE), name="bench")
    token = Tokens(key.derive("jwt"), SystemClock()).issue(caller)
    period = f"created_from={to_gregorian(NOW) - 86_400}&created_to={to_gregorian(NOW) + 29 * 86_400}"
    listed = f"/v2/accounts/{TEMPLATE.account_id}/recordings?paginate=false&{period}"
    time.sleep(IDLE_SECONDS)
    show("idle", server.process.pid, 0)
    with httpx.Client(
        base_url=server.url, headers={"X-Auth-Token": token, "Accept-Encoding": "identity"}, timeout=600
    ) as client:
        steps: dict[str, Callable[[], int]] = {
            f"{PAGES} pages": lambda: read_pages(client),
            f"export of {rows:,}": lambda: read_all(client, "/export/recordings?format=ndjson"),
            f"v2 list of {rows:,}": lambda: read_all(client, listed),
        }
        for name, step in steps.items():
            show(name, server.process.pid, step())


def show(step: str, pid: int, length: int) -> None:
    """Print the resident set of a process after a step."""
    now, most = resident(pid)
    print(f"{step:20}{now:8.1f} MB now{most:8.1f} MB at most{length / 1e6:10.1f} MB of responses", flush=True)


if __name__ == "__main__":
    main()
