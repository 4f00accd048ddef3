"""The v2 API on a real server at a loopback port, for clients that use sockets."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import Receive, Scope, Send

from adapters.http.token_bucket import Rate
from adapters.media import FolderMedia
from adapters.metadata.sqlite import SqliteStore
from adapters.rest_v2.v2_settings import V2Settings
from recordings.model.account import DEFAULT_SCOPES, GRANTABLE
from recordings.model.user import PrivLevel
from recordings.model.webhook import WebhookFormat
from tests.rest_v2.v2_installation import Installation, V2Client, client_of, new_account


@dataclass
class Live:
    """A running server, and the data that a client needs."""

    address: str
    account_id: str
    token: str
    api_key: str
    recordings: list[str]
    webhook_id: str


@contextmanager
def live(folder: Path, count: int = 3) -> Iterator[Live]:
    """Run a server with one account, `count` recordings, a call `live`, and a user `admin` (password `secret`)."""
    listener = socket.create_server(("127.0.0.1", 0))
    holder: list[Live] = []
    started, stop = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, count, listener, holder, started, stop)))
    thread.start()
    try:
        assert started.wait(30)
        yield holder[0]
    finally:
        stop.set()
        thread.join(30)
        listener.close()


async def _serve(
    folder: Path,
    count: int,
    listener: socket.socket,
    holder: list[Live],
    started: threading.Event,
    stop: threading.Event,
) -> None:
    store = SqliteStore(folder)
    await store.open()
    (folder / "audio").mkdir()
    installation = Installation(store, FolderMedia(folder / "audio", "local:"), folder)
    # Schemathesis also sends wrong credentials. The rate limit has its own tests.
    shim = installation.shim(V2Settings(rate=Rate(capacity=1_000_000, per_second=1_000_000.0)))

    async def serve_http(scope: Scope, receive: Receive, send: Send) -> None:
        # Not a `Mount`: it answers a path with a line break itself.
        await shim({**scope, "root_path": "/v2"}, receive, send)

    config = uvicorn.Config(serve_http, lifespan="off", ws="websockets-sansio", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    try:
        holder.append(await _fill(installation, count, listener))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - it has no event to wait for
            await asyncio.sleep(0.01)
        started.set()
        await asyncio.to_thread(stop.wait)
        server.should_exit = True
        await serving
    finally:
        await installation.close()
        await store.close()


async def _fill(installation: Installation, count: int, listener: socket.socket) -> Live:
    account = await new_account(installation, "Live")
    async with client_of(installation.app()) as client:
        v2 = V2Client(installation, account, client)
        made = [(await v2.add(at=at, owner_id="0" * 32)).id for at in range(count)]
        installation.recorder.ring(account.id, "live")
        await installation.users.create(account.id, "admin", "secret", priv_level=PrivLevel.ADMIN)
        key = await installation.administration.create_key(account.id, None, frozenset(DEFAULT_SCOPES))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        values = {"url": "https://hooks.example.org/in", "format": WebhookFormat.KAZOO}
        hook = await installation.webhooks.create(v2.principal(*GRANTABLE), values)
        return Live(address, account.id, v2.token(), key.secret, made, hook.endpoint.webhook.id)
