"""Kill a real server again and again while it delivers webhooks, and compare what the receiver got with the recordings.

    python -m tests.faults.webhooks --kills 3 --recordings 20

This process writes the recordings. A killed server leaves its leases, and ends them when it has started again. The
receiver must get each event, those of a recording in order, and repeated ones with the same id.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

from graph.services import open_services
from graph.settings import load
from recordings.model.account import Principal, Scope
from recordings.model.events import Annotated, Created
from recordings.model.recording import Recording
from recordings.use_cases.save_event import RecordingWriter
from tests.contract.metadata.samples import NOW, recording
from tests.e2e.server import Server
from tests.servers.customer_server import Customer

ACCOUNT: Final = "ab" * 16


async def run(folder: Path, customer: Customer, options: argparse.Namespace) -> None:
    """Write, kill, and compare."""
    rng = random.Random(options.seed)
    data = folder / "data"
    data.mkdir()
    variables = {"RECORDINGS_PRIVATE_HOSTS": "127.0.0.1"}
    server = Server(data, "--log-level", "error", **variables)
    async with open_services(load(variables, {"data": str(data)})) as services:
        await services.accounts.create_account("Acme", account_id=ACCOUNT)
        admin = Principal(ACCOUNT, frozenset({Scope.ADMIN}))
        await services.webhooks.create(admin, {"url": f"{customer.url}/hook"})
        writer = RecordingWriter(services.store)
        with server:
            items: list[Recording] = []
            for number in range(options.kills):
                items += [
                    await writer.create(recording(account_id=ACCOUNT), Created(at=NOW))
                    for _ in range(options.recordings)
                ]
                for place, item in enumerate(items):
                    label = f"{number}-{place}"
                    items[place] = await writer.save_event(item, Annotated(at=NOW, changes={"label": label}))
                await asyncio.sleep(rng.uniform(0, 1))
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                await _until_delivered(customer, items)
    found = _received(customer)
    ids: dict[tuple[str, int], set[str]] = {}
    for name, revision, message in found:
        ids.setdefault((name, revision), set()).add(message)
    assert all(len(each) == 1 for each in ids.values()), "an event was sent with two ids"
    for item in items:
        known: set[int] = set()
        for name, revision, _ in found:
            if name == item.id:
                assert known >= set(range(revision)), f"revision {revision} of {name} came too early"
                known.add(revision)
    repeated = Counter(found).total() - len(ids)
    sys.stdout.write(
        f"{options.kills} kills, {len(ids)} events, none missed, all in order, {repeated} repeated with the same id\n"
    )


def _received(customer: Customer) -> list[tuple[str, int, str]]:
    bodies = [(json.loads(each.body)["data"], each.headers) for each in list(customer.received)]
    return [(data["id"], data["revision"], _message_id(headers)) for data, headers in bodies]


def _message_id(headers: dict[str, str]) -> str:
    return {name.lower(): value for name, value in headers.items()}["webhook-id"]


async def _until_delivered(customer: Customer, items: list[Recording]) -> None:
    wanted = {(item.id, revision) for item in items for revision in range(item.revision + 1)}
    async with asyncio.timeout(180):
        while wanted - {(name, revision) for name, revision, _ in _received(customer)}:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


def main() -> None:
    """Run with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--recordings", type=int, default=20, help="new recordings before each kill")
    parser.add_argument("--seed", type=int, default=1)
    customer = Customer()
    customer.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(Path(folder), customer, parser.parse_args()))
    finally:
        customer.stop()


if __name__ == "__main__":
    main()
