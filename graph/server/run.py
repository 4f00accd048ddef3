"""Run the web app in uvicorn, with limits and an orderly shutdown."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Final

import uvicorn

from adapters.recorders.embedded import WebSocketProtocol
from graph.app import create_app
from graph.open_parts import CannotOpenError
from graph.server.data_lock import DataFolderError, lock_data_folder
from graph.server.drain import Drain
from graph.server.forked_workers import StartedWorker, fork_workers, worker_count
from graph.server.http_limits import LimitedHttpProtocol, raise_file_limit
from graph.server.malloc import limit_arenas, trim
from graph.server.node_id import read_node_id
from graph.server.trusted_proxies import behind_proxies
from graph.services import Services, open_services
from graph.settings import Settings
from graph.settings.setting import split_address

MAX_MESSAGE: Final = 64 * 1024
"""Maximum size of a WebSocket message, in bytes."""
_KEEP_ALIVE: Final = 30
_PING_SECONDS: Final = 30
"""After this long without data, a WebSocket gets a ping. If it does not answer for as long, it is closed."""
_BACKLOG: Final = 2_048
LAST_REQUEST_SECONDS: Final = 0.3
"""Seconds to receive the requests of the last connections."""

Ready = Callable[[Services], None]
"""Called once, when the server accepts requests."""

Prepare = Callable[[Services], Awaitable[None]]
"""Called before the server accepts requests."""


class CannotListenError(Exception):
    """The server cannot listen on the address. The message gives the reason."""


def run(settings: Settings, prepare: Prepare, ready: Ready) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        DataFolderError: the data folder or the spool in it cannot be used, or another server uses it.
        CannotListenError: another program uses the port, or the address does not belong to this machine.
    """
    raise_file_limit()
    limit_arenas()
    with ExitStack() as stack:
        stack.enter_context(_exit_on_sigterm())
        stack.enter_context(lock_data_folder(settings.data))
        advice = "choose another address with --host and --port"
        listener = stack.enter_context(_listen(settings.host, settings.port, advice))
        audiosocket = _audiosocket(settings)
        if audiosocket is not None:
            stack.enter_context(audiosocket)
        listeners = [listener]
        if (count := worker_count(settings)) > 1:
            worker = _fork(settings, count, listener)
            if worker is None:
                return
            settings, listeners = worker.settings, [listener, stack.enter_context(worker.own)]
            prepare, ready = _steps_of_worker(worker, prepare, ready)
        _serve_metrics(settings, stack)
        _trace(settings, stack)
        loop_factory = uvicorn.Config("", log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(_serve(settings, listeners, audiosocket, prepare, ready))


def _fork(settings: Settings, count: int, listener: socket.socket) -> StartedWorker | None:
    """Return what a worker needs in each worker, and `None` in their parent after the last one has ended."""
    try:
        return fork_workers(settings, count, [listener])
    except ValueError as error:
        raise DataFolderError(str(error)) from error


def _steps_of_worker(worker: StartedWorker, prepare: Prepare, ready: Ready) -> tuple[Prepare, Ready]:
    """Return the steps of a worker's start. Those of the server are done once, by its first worker."""
    is_first = worker.own_number == 1 and worker.is_first_start

    async def prepare_worker(services: Services) -> None:
        if is_first:
            await prepare(services)

    def report(services: Services) -> None:
        worker.note_ready()
        if is_first:
            ready(services)

    return prepare_worker, report


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Exit in an orderly way on SIGTERM, even before the server accepts requests.

    Process 1 of a container has no default signal handlers, so it would ignore SIGTERM.
    """
    before = signal.signal(signal.SIGTERM, _raise_exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise_exit(_number: int, _frame: object) -> None:
    raise SystemExit(0)


async def _serve(
    settings: Settings,
    listeners: list[socket.socket],
    audiosocket: socket.socket | None,
    prepare: Prepare,
    ready: Ready,
) -> None:
    async with open_services(settings) as services:
        await _check_spool(services)
        await prepare(services)
        drain = Drain(settings.drain_seconds, settings.drain_call_seconds, services.embedded.live_calls)
        await Server(_config(settings, services, drain, audiosocket), lambda: ready(services), drain).serve(listeners)


async def _check_spool(services: Services) -> None:
    try:
        await services.spool.check()
    except OSError as error:
        # With a full disk, recordings can still be played and deleted. `/readyz` reports the problem.
        if error.errno != errno.ENOSPC:
            message = f"the spool in {services.settings.own_data} cannot be written: {error.strerror}"
            raise DataFolderError(message) from error


def _audiosocket(settings: Settings) -> socket.socket | None:
    """Return the socket for AudioSocket; `None` if it is off."""
    address = None if settings.audiosocket is None else split_address(settings.audiosocket)
    return None if address is None else _listen(*address, "choose another address with --audiosocket")


def _serve_metrics(settings: Settings, stack: ExitStack) -> None:
    address = None if settings.metrics is None else split_address(settings.metrics)
    if address is None:
        return
    host, port = address
    if settings.worker is not None:
        # Each worker has a port of its own, as each server has: Prometheus adds their series.
        port += settings.worker.number - 1
    # A late import, as in `graph.services`.
    from graph.metrics.metrics_server import metrics_server

    try:
        stack.enter_context(metrics_server(host, port))
    except OSError as error:
        message = f"cannot listen on {host}:{port}: {error.strerror}; choose another address with --metrics"
        raise CannotListenError(message) from error


def _trace(settings: Settings, stack: ExitStack) -> None:
    if settings.otel is None:
        return
    # A late import: without traces, nothing of OpenTelemetry is loaded.
    try:
        from graph.tracing.exporter import exported_traces
    except ModuleNotFoundError as error:
        message = "the packages for traces are not installed: install the extra 'otel', or remove --otel"
        raise CannotOpenError(message) from error
    try:
        node = read_node_id(settings.own_data)
    except ValueError as error:
        raise CannotOpenError(str(error)) from error
    stack.enter_context(exported_traces(settings.otel, node))


def _listen(host: str, port: int, advice: str) -> socket.socket:
    """Return a socket. It is bound before anything else is changed, and accepts no connection yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # The system's message repeats the address at its end.
        reason = str(error.strerror).partition(" (while attempting")[0]
        message = f"cannot listen on {host}:{port}: {reason}; {advice}"
        raise CannotListenError(message) from error
    listener.setblocking(False)  # noqa: FBT003 - the parameter has no keyword
    return listener


def _config(settings: Settings, services: Services, drain: Drain, audiosocket: socket.socket | None) -> uvicorn.Config:
    return uvicorn.Config(
        behind_proxies(create_app(services, drain, audiosocket)),
        # Done by `behind_proxies`.
        proxy_headers=False,
        # `graph.server.request_log` writes the access log, without query strings.
        access_log=False,
        log_config=None,
        server_header=False,
        ws=WebSocketProtocol,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        # A document may be as large as over HTTP.
        ws_max_size=max(MAX_MESSAGE, settings.graphql_limits.body),
        # Audio does not compress well, and a small message must not expand into a large one.
        ws_per_message_deflate=False,
        http=LimitedHttpProtocol,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=settings.shutdown_timeout,
        lifespan="on",
    )


class Server(uvicorn.Server):
    """A uvicorn server that reports when it is ready, and that returns after a signal instead of raising it again."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], drain: Drain) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain = drain
        self._draining: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal. The first SIGTERM drains the server; SIGINT or a second SIGTERM stops it at once."""
        await super().serve(sockets)
        if self._draining is not None:
            self._draining.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain after the first SIGTERM, and stop after any other signal."""
        if sig == signal.SIGTERM and self._draining is None and self.started:
            self._draining = asyncio.get_running_loop().create_task(self._stop_after_drain(sig, frame))
        else:
            self._drain.ending.set()
            super().handle_exit(sig, frame)

    async def _stop_after_drain(self, sig: int, frame: FrameType | None) -> None:
        await self._drain.run()
        for server in self.servers:
            await close_listeners(server, self._protocol)
        # uvicorn closes a connection without a request, but its request may be on its way.
        await asyncio.sleep(LAST_REQUEST_SECONDS)
        super().handle_exit(sig, frame)

    def _protocol(self) -> asyncio.Protocol:
        return LimitedHttpProtocol(self.config, self.server_state, self.lifespan.state)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting requests, and report it."""
        await super().startup(sockets)
        if self.started:
            # The start needs memory that nothing needs later.
            trim()
            self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM. uvicorn's method raises the signal again before everything is closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


async def close_listeners(server: asyncio.Server, protocol: Callable[[], asyncio.Protocol]) -> None:
    """Accept the connections that wait, and close the listeners. A closed listener would reset these connections."""
    waiting: list[socket.socket] = []
    with ExitStack() as stack:
        queues = [stack.enter_context(socket.socket(fileno=os.dup(each.fileno()))) for each in server.sockets]
        server.close()
        for queue in queues:
            queue.setblocking(False)  # noqa: FBT003 - the parameter has no keyword
            # With too many open files, the rest is reset.
            with suppress(OSError):
                waiting.extend(queue.accept()[0] for _ in range(_BACKLOG))
    for connection in waiting:
        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)
