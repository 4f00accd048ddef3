"""Measure GraphQL subscriptions through served processes: how soon subscribers get a change, and their memory.

    python -m bench.subscribers                1 000 sockets on one server (SQLite); on two servers (MongoDB)
    python -m bench.subscribers --quick        a small run, to check that it works
    python -m bench.subscribers --sse          with event streams instead of WebSockets

- Every subscriber has a connection of its own, all with the same document. A token has ten of them.
- Another client of the store writes the changes. The time is from the return of that write to the last byte of the
  message at the subscriber. It is compared with that of a single subscriber.
- The memory of a subscriber is the growth of the resident memory of the server process.
- The clients share the machine with the servers. The command prints its load and the number of cores: on a busy machine
  the times are those of the machine.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import secrets
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from adapters.metadata.mongodb import MongoStore
from adapters.metadata.sqlite import SqliteStore
from bench import tables
from graph.services import open_services
from graph.settings import load
from recordings.model.account import Principal, Scope
from recordings.model.events import Annotated, Created
from recordings.ports.recording_store import MetadataStore
from recordings.use_cases.save_event import RecordingWriter
from tests.e2e.server import Server
from tests.servers.mongod import Mongod

ACCOUNT = tables.TEMPLATE.account_id
PER_TOKEN = 10
CHANGES = 60
PAUSE = 0.25
QUERY = "subscription { recordingChanged { kind cursor event { revision } recording { plainId state label } } }"
_REVISION = re.compile(rb'"revision":(\d+)')


class Subscriber(asyncio.Protocol):
    """A client of one subscription that does as little as possible: it notes when each change arrives."""

    def __init__(self, host: str, token: str) -> None:
        self._host = host
        self._token = token
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.times: dict[int, float] = {}
        self._head = b""

    def connection_made(self, transport: Any) -> None:
        """Send the handshake."""
        self.transport = transport
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head = (
            f"GET /graphql HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: graphql-transport-ws\r\nAuthorization: Bearer {self._token}\r\n\r\n"
        )
        transport.write(head.encode())

    def data_received(self, data: bytes) -> None:
        """Note a change, or go on with the start of the subscription."""
        now = time.perf_counter()
        if self.ready.done():
            for found in _REVISION.finditer(data):
                self.times.setdefault(int(found[1]), now)
            if b'"ping"' in data:
                self._send({"type": "pong"})
            return
        self._head += data
        if b"connection_ack" in self._head:
            self._send({"type": "subscribe", "id": "1", "payload": {"query": QUERY}})
            self.ready.set_result(None)
        elif self._head.startswith(b"HTTP/1.1 101") and self._head.endswith(b"\r\n\r\n"):
            self._send({"type": "connection_init"})

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail if the subscription has not begun."""
        if not self.ready.done():
            # After the handshake, the last bytes are the close frame with its code and reason.
            self.ready.set_exception(RuntimeError(f"the server closed the socket: {self._head[-160:]!r} {exc}"))

    def _send(self, message: Any) -> None:
        payload = json.dumps(message).encode()
        assert len(payload) < 1 << 16
        length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        # A mask of zeros leaves the payload as it is.
        self.transport.write(b"\x81" + length + bytes(4) + payload)


class StreamSubscriber(Subscriber):
    """The same with server-sent events."""

    def connection_made(self, transport: Any) -> None:
        """Send the request."""
        self.transport = transport
        body = json.dumps({"query": QUERY})
        head = (
            f"POST /graphql HTTP/1.1\r\nHost: {self._host}\r\nAccept: text/event-stream\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: Bearer {self._token}\r\n\r\n"
        )
        transport.write(f"{head}{body}".encode())

    def data_received(self, data: bytes) -> None:
        """Note a change, or that the response begins."""
        if self.ready.done():
            super().data_received(data)
            return
        self._head += data
        if self._head.startswith(b"HTTP/1.1 200") and b"\r\n\r\n" in self._head:
            self.ready.set_result(None)


def resident(server: Server) -> int:
    """Return the resident memory of a server in bytes."""
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(server: Server) -> float:
    """Return the processor time that a server process has used."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_floor(number: int) -> float:
    """Return how long the writes alone take: one message to each of so many sockets, in seconds."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        pairs = []
        for _ in range(number):
            stack.enter_context(socket.create_connection(listener.getsockname()))
            accepted, _address = listener.accept()
            pairs.append(stack.enter_context(accepted))
        began = time.perf_counter()
        for each in pairs:
            each.send(bytes(400))
        return time.perf_counter() - began


async def subscribed(kind: type[Subscriber], servers: list[Server], tokens: list[str], number: int) -> list[Subscriber]:
    """Open subscriptions, spread over the servers."""
    loop = asyncio.get_running_loop()
    found: list[Subscriber] = []
    for place in range(number):
        server, token = servers[place % len(servers)], tokens[place // PER_TOKEN // len(servers) % len(tokens)]
        host = f"127.0.0.1:{server.port}"
        _, protocol = await loop.create_connection(lambda: kind(host, token), "127.0.0.1", server.port)  # noqa: B023
        found.append(protocol)
    async with asyncio.timeout(60):
        await asyncio.gather(*(each.ready for each in found))
    return found


async def measure(
    kind: type[Subscriber],
    name: str,
    servers: list[Server],
    tokens: list[str],
    store: MetadataStore,
    numbers: list[int],
    changes: int,
) -> None:
    """Measure with so many subscribers, one number after the other."""
    await store.open()
    writer = RecordingWriter(store)
    for number in numbers:
        before = sum(map(resident, servers))
        subscribers = await subscribed(kind, servers, tokens, number)
        (recording,) = tables.recordings(1)
        item = await writer.create(recording, Created(at=recording.created))
        committed: dict[int, float] = {}

        async def arrived(revision: int) -> None:
            async with asyncio.timeout(60):
                while not all(revision in each.times for each in subscribers):  # noqa: B023, ASYNC110
                    await asyncio.sleep(0.01)

        # Until all subscriptions are live. A server that has just started needs some seconds for the first one.
        while not all(each.times for each in subscribers):
            item = await writer.save_event(item, Annotated(at=item.created, changes={"label": str(item.revision)}))
            await asyncio.sleep(1)
        used = sum(map(cpu_seconds, servers))
        for _ in range(changes):
            item = await writer.save_event(item, Annotated(at=item.created, changes={"label": str(item.revision)}))
            committed[item.revision] = time.perf_counter()
            await asyncio.sleep(PAUSE)
        await arrived(item.revision)
        used = (sum(map(cpu_seconds, servers)) - used) / changes
        size = (sum(map(resident, servers)) - before) / number / 1024
        times = sorted(
            max(each.times[revision] - at, 0.0) for each in subscribers for revision, at in committed.items()
        )
        shown = ", ".join(f"p{percent} {times[len(times) * percent // 100] * 1e3:.1f} ms" for percent in (50, 95, 99))
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        print(f"{name}: {number} subscribers: {shown} ({load})")
        floor = write_floor(number) * 1e3
        print(f"{name}: the writes alone take {floor:.1f} ms on this machine, so p99 cannot be below that")
        each_us = used / number * 1e6
        print(f"{name}: {each_us:.0f} µs of CPU for a delivered event, {size:.1f} kB a subscriber", flush=True)
        for each in subscribers:
            each.transport.abort()
        await asyncio.sleep(2)
    await store.close()


def make_tokens(server: Server, number: int) -> list[str]:
    """Create the account and its tokens."""

    async def make() -> list[str]:
        async with open_services(load(server.variables, {"data": str(server.data)})) as services:
            await services.accounts.create_account("Bench", account_id=ACCOUNT)
            reader = Principal(ACCOUNT, frozenset({Scope.READ}), name="dashboard")
            return [services.tokens.issue(reader, 3_600) for _ in range(number)]

    return asyncio.run(make())


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--store", choices=("sqlite", "mongodb"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sse", action="store_true")
    wanted = parser.parse_args()
    number, changes = (20, 5) if wanted.quick else (wanted.subscribers, CHANGES)
    tokens = -(-number // PER_TOKEN)
    kind = StreamSubscriber if wanted.sse else Subscriber
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        if wanted.store != "mongodb":
            server = Server(root / "one")
            found = make_tokens(server, tokens)
            with server:
                asyncio.run(measure(kind, "SQLite", [server], found, SqliteStore(server.data), [1, number], changes))
        if wanted.store != "sqlite":
            mongod = stack.enter_context(Mongod(root / "mongod"))
            variables = {"RECORDINGS_MONGODB": mongod.uri, "RECORDINGS_KEY_FILE": str(root / "key")}
            servers = [Server(root / name, **variables) for name in ("two", "three")]
            found = make_tokens(servers[0], -(-tokens // 2))
            for server in servers:
                stack.enter_context(server)
            store = MongoStore(mongod.uri)
            asyncio.run(measure(kind, "MongoDB, two servers", servers, found, store, [1, number], changes))


if __name__ == "__main__":
    main()
