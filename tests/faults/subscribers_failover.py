"""Kill the primary of a replica set while three servers deliver webhooks and feed subscribers.

    python -m tests.faults.subscribers_failover --seconds 40

This process writes, with a store of its own. Each server has one subscriber, which connects again with its last cursor
when its socket closes, and every few seconds without a reason. One webhook gets the same events. The primary is killed
every five seconds, and with `--kill-servers` one of the servers, too.

The command exits with 1 if an event is missing, if a subscriber gets one twice, or if the events of a recording come
out of order.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from graph.services import Services, open_services
from graph.settings import load
from recordings.model.account import DEFAULT_SCOPES, Principal, Scope
from recordings.model.feed_event import BEGINNING, EventType, FeedEvent
from recordings.ports.recording_store import MetadataStore, StoreUnavailableError
from tests.e2e.server import Server
from tests.faults.mirror_changes import disturb, uri_of
from tests.servers.customer_server import Customer
from tests.servers.replica_set import ReplicaSet
from tests.support.event_followers import Received
from tests.support.mirror import ACCOUNT, change, skewed

WRITERS: Final = 4
CHANGES: Final = 5
"""The changes of a writer between two pauses."""
MAX_EVENTS: Final = 100_000
UNTIL_DELIVERED: Final = 120
QUERY: Final = (
    "subscription ($since: String) { recordingChanged(since: $since) { kind cursor event { subject revision } } }"
)


class Subscriber:
    """A client of one server that connects again after each loss."""

    def __init__(self, server: Server, token: str, since: str, rng: random.Random) -> None:
        self._url = server.url.replace("http", "ws", 1) + "/graphql"
        self._token = token
        self._since = since
        self._rng = rng
        self.received = Received()
        self.connections = self.lost = 0

    async def run(self) -> None:
        """Follow, until cancelled."""
        while True:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with asyncio.timeout(self._rng.uniform(3, 30)):
                    await self._follow()
            await asyncio.sleep(0.2)

    async def _follow(self) -> None:
        options: Any = {"subprotocols": [Subprotocol("graphql-transport-ws")], "proxy": None}
        async with connect(self._url, **options) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"token": self._token}}))
            await socket.recv()
            payload = {"query": QUERY, "variables": {"since": self._since}}
            await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
            self.connections += 1
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "next":
                    self._take(message["payload"]["data"]["recordingChanged"])
                elif message["type"] == "ping":
                    await socket.send('{"type":"pong"}')
                else:
                    # The server could not begin or continue: the store is unavailable.
                    return

    def _take(self, item: Any) -> None:
        self._since = item["cursor"]
        if item["event"] is None:
            self.lost += 1
        else:
            self.received.add(_event(item["event"]["subject"], item["event"]["revision"]))


def _event(subject: str, revision: int) -> FeedEvent:
    return FeedEvent(account_id=ACCOUNT, subject=subject, revision=revision, type=EventType.AMENDED, time=0)


def delivered(customer: Customer) -> Received:
    """Return what the receiver of the webhook got. An event with the same id may come again."""
    received = Received()
    for request in list(customer.received):
        data = json.loads(request.body)["data"]
        received.add(_event(data["id"], data["revision"]))
    return received


async def prepare(services: Services, customer: Customer) -> tuple[str, str]:
    """Create the account and the webhook. Return a token, and a cursor."""
    await services.accounts.create_account("Acme", account_id=ACCOUNT)
    await services.webhooks.create(Principal(ACCOUNT, frozenset({Scope.ADMIN})), {"url": f"{customer.url}/hook"})
    token = services.tokens.issue(Principal(ACCOUNT, frozenset(DEFAULT_SCOPES)), 3_600)
    return token, services.cursors.write_event(await services.events.now())


async def kill_servers(servers: list[Server], rng: random.Random) -> None:
    """Kill one server after the other."""
    while True:
        await asyncio.sleep(rng.uniform(4, 8))
        server = rng.choice(servers)
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)


async def write(store: MetadataStore, name: int, seconds: float) -> None:
    """Make changes for so long."""
    deadline, number = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        number += 1
        await change(store, f"writer-{name}-{number}", CHANGES, skewed(name))
        await asyncio.sleep(0.1)


async def missing_in(received: Received, store: MetadataStore) -> list[tuple[str, int]] | None:
    """Return the stored events that are missing; `None` while the store does not answer."""
    try:
        stored = await store.events([ACCOUNT], BEGINNING, None, MAX_EVENTS)
    except StoreUnavailableError:
        return None
    assert len(stored) < MAX_EVENTS, "too many events: choose fewer seconds"
    return [event.key for event in stored if event.revision not in received.revisions.get(event.subject, ())]


async def run(servers: list[Server], members: ReplicaSet, customer: Customer, options: argparse.Namespace) -> None:
    """Write, kill, follow, and compare."""
    begun = time.monotonic()
    settings = load(servers[0].variables, {"data": str(servers[0].data)})
    async with open_services(settings) as services:
        token, since = await prepare(services, customer)
        for server in servers:
            await asyncio.to_thread(server.start)
        rng = random.Random(options.seed)
        subscribers = [Subscriber(server, token, since, rng) for server in servers]
        following = [asyncio.create_task(each.run()) for each in subscribers]
        disturbing = [asyncio.create_task(disturb(members, kill=True, pause=False))]
        if options.kill_servers:
            disturbing.append(asyncio.create_task(kill_servers(servers, rng)))
        store = services.store
        await asyncio.gather(*(write(store, name, options.seconds) for name in range(WRITERS)))
        for task in disturbing:
            task.cancel()
        wanted = [*(each.received for each in subscribers), None]
        deadline = time.monotonic() + UNTIL_DELIVERED
        missing: list[Any] = [None]
        while missing != [[]] * len(wanted) and time.monotonic() < deadline:
            await asyncio.sleep(1)
            missing = [await missing_in(each or delivered(customer), store) for each in wanted]
        for task in following:
            task.cancel()
        seconds = time.monotonic() - begun
    hook = delivered(customer)
    sys.stdout.write(f"webhook: {hook.events} events in order, {hook.repeated} repeated with the same id\n")
    for number, each in enumerate(subscribers, 1):
        found = f"{each.received.events} events in order, {each.received.repeated} repeated"
        sys.stdout.write(f"subscriber {number}: {found}, {each.connections} connections, {each.lost} EVENTS_LOST\n")
    missed = sum(len(names or ()) for names in missing)
    sys.stdout.write(f"{missed} missing, {seconds:.0f} s\n")
    if missing != [[]] * len(wanted) or any(each.received.repeated for each in subscribers):
        sys.exit(f"missing or repeated: {missing}"[:500])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--kill-servers", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        members = stack.enter_context(ReplicaSet(root))
        customer = Customer()
        customer.start()
        stack.callback(customer.stop)
        variables = {
            "RECORDINGS_MONGODB": uri_of(members).replace("/?", "/followed?"),
            "RECORDINGS_MEDIA": f"file://{root}/audio",
            "RECORDINGS_KEY_FILE": f"{root}/secret.key",
            "RECORDINGS_PRIVATE_HOSTS": "127.0.0.1",
        }
        servers = [Server(root / name, "--log-level", "error", **variables) for name in ("one", "two", "three")]
        for server in servers:
            stack.push(server.__exit__)
        asyncio.run(run(servers, members, customer, options))


if __name__ == "__main__":
    main()
