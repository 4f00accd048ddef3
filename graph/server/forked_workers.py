"""Fork the workers of a server, watch them, and replace those that end.

The workers inherit the listening socket, as with uvicorn and gunicorn. So they share one queue of connections: if a
worker dies, the others accept the connections that wait. With `SO_REUSEPORT`, each process would have a queue of its
own, and its connections would be reset.
"""

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from graph.open_parts import PEERS_FILE
from graph.server.log_setup import logger
from graph.server.node_id import read_node_id
from graph.server.supervision import Action, Exit, Signal, Start, Supervision
from graph.settings import Settings
from graph.settings.worker import WORKERS_FOLDER, Worker, worker_folder

CLOSE_SECONDS: Final = 15.0
"""Seconds for what follows the requests and the takes: the last audit entries, their seal and the stores."""
_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
_log: Final = logger("workers")


@dataclass(frozen=True, slots=True)
class StartedWorker:
    """What a forked process needs. `own` is the socket for the other workers; `report` is the end of a pipe."""

    settings: Settings
    own: socket.socket
    is_first_start: bool
    report: int

    @property
    def own_number(self) -> int:
        """The number of this worker."""
        return 0 if self.settings.worker is None else self.settings.worker.number

    def note_ready(self) -> None:
        """Tell the parent that this worker accepts requests."""
        with suppress(OSError):
            os.write(self.report, b".")


def worker_count(settings: Settings) -> int:
    """Return the number of workers: as many as set, or more if a former worker left audio in its folder."""
    folder = settings.data / WORKERS_FOLDER
    numbers = [int(each.name) for each in folder.glob("*") if each.name.isdecimal() and _has_files(each / "spool")]
    count = max([settings.workers, *numbers])
    if count > settings.workers:
        _log.warning("workers added: their folders have audio", workers=settings.workers, added=count)
    return count


def fork_workers(settings: Settings, count: int, listeners: Iterable[socket.socket]) -> StartedWorker | None:
    """Run the workers until a signal. Return what a worker needs in each forked process, and `None` in the parent.

    Raises:
        SystemExit: in the parent, if a worker failed. The workers have written the reason.
        ValueError: a worker's folder cannot be used.
    """
    for file in settings.data.glob(f"{PEERS_FILE}*"):
        # It has the live calls of processes that have ended.
        file.unlink()
    with ExitStack() as stack:
        own = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        nodes = [read_node_id(worker_folder(settings.data, number)) for number in range(1, count + 1)]
        urls = {node: f"http://127.0.0.1:{each.getsockname()[1]}" for node, each in zip(nodes, own, strict=True)}
        parent = _Parent(settings, urls, own, listeners)
        started = parent.run()
        if started is not None:
            # The process of a worker keeps its socket.
            stack.pop_all()
    return started


class _Parent:
    """The parent of the workers. It serves no request, and has no thread: a fork copies only one."""

    def __init__(
        self,
        settings: Settings,
        urls: Mapping[str, str],
        own: list[socket.socket],
        listeners: Iterable[socket.socket],
    ) -> None:
        self._settings = settings
        self._urls = urls
        self._own = own
        self._listeners = list(listeners)
        self._plan = Supervision(
            len(own),
            drain_seconds=max(settings.drain_seconds, settings.drain_call_seconds),
            stop_seconds=2 * settings.shutdown_timeout + CLOSE_SECONDS,
        )
        self._pids: dict[int, int] = {}
        self._reports: dict[int, int] = {}
        self._started: set[int] = set()
        self._life = os.pipe()
        """The parent keeps one end open. A worker stops when it closes: then the parent was killed."""
        self._signals: list[int] = []

    def run(self) -> StartedWorker | None:
        """Start and watch the workers. Return in each worker, and at the end."""
        with self._noted_signals() as wakeup:
            while True:
                for action in self._plan.due_actions(time.monotonic()):
                    if isinstance(action, Exit):
                        _log.info("all workers ended", code=action.code)
                        if action.code:
                            raise SystemExit(action.code)
                        return None
                    if (started := self._do(action)) is not None:
                        return started
                self._wait(wakeup)
                self._read_signals()
                self._read_ends()

    def _do(self, action: Action) -> StartedWorker | None:
        match action:
            case Start(number):
                return self._fork(number)
            case Signal(number, sent):
                if sent == signal.SIGKILL:
                    _log.error("worker killed: it did not stop in time", number=number)
                with suppress(ProcessLookupError):
                    os.kill(self._pids[number], sent)
        return None

    def _fork(self, number: int) -> StartedWorker | None:
        reading, writing = os.pipe()
        # A signal must not meet the parent's handlers in the worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        is_first = number not in self._started
        self._started.add(number)
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.close(writing)
            self._pids[number], self._reports[reading] = pid, number
            _log.info("worker started", number=number, pid=pid, url=list(self._urls.values())[number - 1])
            return None
        os.close(reading)
        return self._become_worker(number, writing, is_first_start=is_first)

    def _become_worker(self, number: int, report: int, *, is_first_start: bool) -> StartedWorker:
        # Ctrl-C reaches only the parent, which passes it on once.
        os.setpgid(0, 0)
        for each in [self._life[1], *self._reports]:
            os.close(each)
        for index, each_socket in enumerate(self._own, 1):
            if index != number:
                each_socket.close()
        threading.Thread(target=_stop_with_parent, args=(self._life[0],), name="parent", daemon=True).start()
        structlog.contextvars.bind_contextvars(worker=number)
        worker = Worker(number, self._urls)
        return StartedWorker(replace(self._settings, worker=worker), self._own[number - 1], is_first_start, report)

    @contextmanager
    def _noted_signals(self) -> Iterator[int]:
        """Note signals instead of being ended by them. Yield a file descriptor that wakes the parent."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        before = {each: signal.signal(each, lambda number, _: self._signals.append(number)) for each in _SIGNALS}
        former = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            yield reading
        finally:
            signal.set_wakeup_fd(former)
            for each, handler in before.items():
                signal.signal(each, handler)
            os.close(reading)
            os.close(writing)
            # In a worker, signals were blocked until now.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _wait(self, wakeup: int) -> None:
        due = self._plan.next_time()
        seconds = None if due is None else max(0.0, due - time.monotonic())
        readable, _, _ = select.select([wakeup, *self._reports], [], [], seconds)
        for each in readable:
            if each == wakeup:
                with suppress(BlockingIOError):
                    os.read(wakeup, 4_096)
            elif os.read(each, 1):
                self._plan.note_ready(self._reports[each])
            else:
                os.close(each)
                del self._reports[each]

    def _read_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGCHLD:
                continue
            # The workers have copies. With the parent's, clients would wait for a server that does not come back.
            for listener in [*self._listeners, *self._own]:
                listener.close()
            for action in self._plan.note_signal(number, time.monotonic()):
                self._do(action)

    def _read_ends(self) -> None:
        for number, pid in list(self._pids.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            del self._pids[number]
            code = os.waitstatus_to_exitcode(status)
            write = _log.info if self._plan.is_stopping and not code else _log.error
            write("worker ended", number=number, pid=pid, code=code)
            for action in self._plan.note_end(number, code, time.monotonic()):
                self._do(action)


def _stop_with_parent(life: int) -> None:
    """Drain this worker when the parent has ended without a signal to it."""
    os.read(life, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _has_files(folder: Path) -> bool:
    return any(each.is_file() for each in folder.rglob("*"))
