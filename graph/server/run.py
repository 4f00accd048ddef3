"""Running the web app: uvicorn, with limits, and a stop that lets what runs come to its end."""

import asyncio
import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from adapters.recorders.embedded import WebSocketProtocol
from graph.app import create_app
from graph.server.data_lock import DataFolderError, only_server
from graph.server.http_limits import BoundedHttp, take_files
from graph.services import Services, open_services
from graph.settings import Settings

MAX_MESSAGE: Final = 64 * 1024
"""Bytes of a WebSocket message."""
_KEEP_ALIVE: Final = 30
_BACKLOG: Final = 2_048

Ready = Callable[[Services], None]
"""Called once, when the server answers."""


Prepare = Callable[[Services], Awaitable[None]]
"""What has to be done before the server answers."""


class CannotListenError(Exception):
    """The address cannot be listened on; the message says why."""


def run(settings: Settings, prepare: Prepare, ready: Ready) -> None:
    """Serve until told to stop.

    Raises:
        DataFolderError: the data folder or the spool in it cannot be used, or another server uses it.
        CannotListenError: another program has the port, or the address is not this machine's.
    """
    take_files()
    with _ending_at_sigterm(), only_server(settings.data), _listen(settings) as listener:
        loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_serve(settings, listener, prepare, ready))


@contextmanager
def _ending_at_sigterm() -> Iterator[None]:
    """End in order at SIGTERM also while the server does not answer yet.

    Process 1 of a container, which has no defaults, would not hear of it.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(0)


async def _serve(settings: Settings, listener: socket.socket, prepare: Prepare, ready: Ready) -> None:
    async with open_services(settings) as services:
        await _check_spool(services)
        await prepare(services)
        await Server(_config(settings, services), lambda: ready(services)).serve([listener])


async def _check_spool(services: Services) -> None:
    try:
        await services.spool.check()
    except OSError as error:
        # What is there can be played and deleted beside a full disk; `/readyz` tells of it.
        if error.errno != errno.ENOSPC:
            message = f"the spool in {services.settings.data} cannot be written: {error.strerror}"
            raise DataFolderError(message) from error


def _listen(settings: Settings) -> socket.socket:
    """The socket of the server, taken before anything else is touched. It does not accept anybody yet."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Behind it stands the address, again.
        said = str(error.strerror).partition(" (while attempting")[0]
        message = f"cannot listen on {settings.host}:{settings.port}: {said}; --host and --port say where to"
        raise CannotListenError(message) from error
    listener.setblocking(False)  # noqa: FBT003 - it has no name
    return listener


def _config(settings: Settings, services: Services) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(services),
        # Our own lines, without query strings: see `graph.server.request_log`.
        access_log=False,
        log_config=None,
        server_header=False,
        ws=WebSocketProtocol,
        # A stream that is slowed down answers no ping for a while; one that is dead is silent, and closed for that.
        ws_ping_timeout=None,
        ws_max_size=MAX_MESSAGE,
        # Audio does not get smaller, and a small message cannot become a large one.
        ws_per_message_deflate=False,
        http=BoundedHttp,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=settings.shutdown_timeout,
        lifespan="on",
    )


class Server(uvicorn.Server):
    """uvicorn's server, which says when it answers, and ends with its caller instead of with a signal."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM. uvicorn's own would raise them again before everything is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
