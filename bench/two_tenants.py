"""Measure how long account B waits while account A attacks the same server, beside a quiet server.

    python -m bench.attacks --tenants

Each attack runs against a real server of its own. B uploads a second of audio, opens a media stream and reads pages.
The table has the time until B's first and slowest uploads are STORED, until a stream of B is accepted, and B's median
and slowest page.
"""

import logging
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Final

import structlog

from tests.e2e.server import Server, command
from tests.e2e.sound import opus_silence, wav
from tests.e2e.stream_call import StreamCall
from tests.e2e.tenants import Tenant, add_due_purges, add_failed, ask, make_tenants, upload

UPLOADS: Final = 3
WAIT: Final = 120.0
"""Seconds after which an upload or a stream of B is given up."""
_PAGE: Final = b'{"query": "{ recordings(first: 20) { nodes { id state } } }"}'


def seconds_until_stored(port: int, tenant: Tenant, call_id: str, body: bytes, wait: float = WAIT) -> float:
    """Upload a file and return how long it takes until it is STORED. A rejected upload is tried again."""
    started = time.monotonic()
    query = b'{"query": "{ recordings(first: 1, filter: {callId: {equal: \\"%s\\"}}) { nodes { state } } }"}'
    while time.monotonic() - started < wait:
        if upload(port, tenant.addresses[0], call_id, body)[0] in {200, 201}:
            break
        time.sleep(0.5)
    while time.monotonic() - started < wait:
        if b'"STORED"' in ask(port, tenant.token, query % call_id.encode()):
            return time.monotonic() - started
        time.sleep(0.05)
    return wait


def seconds_until_streaming(server: Server, tenant: Tenant) -> float:
    """Return how long it takes until the server accepts a media stream. A refused stream is tried again."""
    started = time.monotonic()
    while time.monotonic() - started < WAIT:
        opened = time.monotonic()
        with StreamCall(server.url, tenant.addresses[0], f"call-{opened}") as call:
            time.sleep(0.5)
            if call.is_open:
                return opened - started
    return WAIT


@contextmanager
def pages(port: int, token: str, seconds: list[float]) -> Iterator[None]:
    """Read a page every 50 ms until the block ends, and add each duration to `seconds`."""
    over = threading.Event()

    def read() -> None:
        while not over.wait(0.05):
            started = time.monotonic()
            ask(port, token, _PAGE)
            seconds.append(time.monotonic() - started)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(WAIT)


Attack = Callable[[ExitStack, Server, Tenant], None]
"""Starts an attack. What it opens is closed by the stack."""


def long_files(_stack: ExitStack, server: Server, tenant: Tenant) -> None:
    """Upload twelve files of four hours each, to two ingest addresses."""
    silence = opus_silence(4 * 3_600)
    for number in range(12):
        # Another file each time: the same bytes at one address are stored once.
        upload(server.port, tenant.addresses[number % 2], f"long{number}", silence, "opus")


def open_socket(stack: ExitStack, server: Server, head: str) -> socket.socket:
    """Open a connection and send the beginning of a request."""
    opened = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
    opened.sendall(head.replace("\n", "\r\n").encode())
    return opened


def slow_uploads(stack: ExitStack, server: Server, tenant: Tenant) -> None:
    """Open a hundred uploads that send a byte now and then."""
    sockets = [
        open_socket(
            stack,
            server,
            f"PUT {tenant.addresses[0]}?call_id=slow{number} HTTP/1.1\nHost: x\nContent-Length: 99999\n\n",
        )
        for number in range(100)
    ]
    over = threading.Event()
    stack.callback(over.set)

    def trickle() -> None:
        while not over.wait(5):
            for each in sockets:
                try:
                    each.sendall(b"x")
                except OSError:
                    continue

    threading.Thread(target=trickle, daemon=True).start()


def silent_streams(stack: ExitStack, server: Server, tenant: Tenant) -> None:
    """Open as many media streams as the server accepts, and send nothing."""
    for _ in range(260):
        open_socket(
            stack,
            server,
            f"GET {tenant.addresses[0]}/ws HTTP/1.1\nHost: x\nUpgrade: websocket\nConnection: Upgrade\n"
            "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n\n",
        )


def slow_heads(stack: ExitStack, server: Server, _tenant: Tenant) -> None:
    """Open connections that never finish their head."""
    for _ in range(2_000):
        open_socket(stack, server, "GET / HTTP/1.1\nHost: x\n")


def unknown_fields(stack: ExitStack, server: Server, tenant: Tenant) -> None:
    """Let eight clients send documents with 480 unknown fields."""
    over = threading.Event()
    stack.callback(over.set)

    def send(token: str) -> None:
        number = 0
        while not over.is_set():
            number += 1
            names = " ".join(f"unknown{number}x{place}" for place in range(480))
            try:
                ask(server.port, token, b'{"query": "{ recordings(first: 1) { nodes { %s } } }"}' % names.encode())
            except (OSError, HTTPException):
                # The server has stopped.
                return

    for token in tenant.owners:
        threading.Thread(target=send, args=(token,), daemon=True).start()


def due_purges(_stack: ExitStack, server: Server, tenant: Tenant) -> None:
    """Restart the server with many recordings of A whose purge is due."""
    server.stop()
    add_due_purges(server.data, tenant.account_id, MANY)
    server.start()


def new_retention(_stack: ExitStack, server: Server, tenant: Tenant) -> None:
    """Set a rule for many recordings of A."""
    server.stop()
    add_failed(server.data, tenant.account_id, MANY)
    server.start()
    started = time.monotonic()
    command("retention", "set", "--account", tenant.account_id, "--days", "90", data=server.data, seconds=WAIT)
    print(f"  retention set: {time.monotonic() - started:.1f} s")


MANY: Final = 60_000
ATTACKS: Final[Mapping[str, Attack | None]] = {
    "quiet": None,
    "12 files of 4 hours": long_files,
    "100 slow uploads": slow_uploads,
    "260 silent streams": silent_streams,
    "2,000 slow heads": slow_heads,
    "480 unknown fields, 8 x": unknown_fields,
    "60,000 due purges": due_purges,
    "retention of 60,000": new_retention,
}


@dataclass(frozen=True)
class Waits:
    """How long B waited, in seconds."""

    stored: list[float]
    stream: float
    pages: list[float]


def measure(attack: Attack | None) -> Waits:
    """Measure B under an attack of A."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder, "data")
        server = stack.enter_context(Server(data, "--log-level", "warning"))
        tenants = make_tenants(data)
        body = wav(1)
        seconds_until_stored(server.port, tenants["B"], "warm", body)
        if attack is not None:
            attack(stack, server, tenants["A"])
        read: list[float] = []
        with pages(server.port, tenants["B"].token, read):
            stream = seconds_until_streaming(server, tenants["B"])
            stored = [seconds_until_stored(server.port, tenants["B"], f"b{number}", body) for number in range(UPLOADS)]
        return Waits(stored, stream, read)


def print_table(only: str | None = None) -> None:
    """Print a line for each attack: B's times, beside those of a quiet server."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(f"{'attack of A':24} {'STORED: first':>14} {'slowest':>9} {'stream':>9} {'page: p50':>11} {'slowest':>10}")
    for name, attack in ATTACKS.items():
        if only is None or only in name or attack is None:
            waits = measure(attack)
            median, slowest = statistics.median(waits.pages) * 1e3, max(waits.pages) * 1e3
            print(
                f"{name:24} {waits.stored[0]:12.1f} s {max(waits.stored):7.1f} s {waits.stream:7.1f} s "
                f"{median:8.0f} ms {slowest:7.0f} ms",
                flush=True,
            )
