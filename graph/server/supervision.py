"""The decisions about the workers of a server: when to start, signal and kill them. It does no I/O.

The first worker starts alone, because it migrates the metadata store and makes the key. The others follow when it is
ready. A worker that exits with an error before it was ever ready ends the server, because a setting is wrong or a store
is unreachable. Any other worker that ends is replaced: the first time at once, and after further ends within a minute
with a delay that doubles.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FIRST_DELAY: Final = 0.5
"""Seconds until the second replacement of a worker. The first one starts at once."""
MAX_DELAY: Final = 30.0
STABLE_SECONDS: Final = 60.0
"""A worker that ran for this long is replaced at once."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker."""

    number: int


@dataclass(frozen=True, slots=True)
class Signal:
    """Send a signal to a worker."""

    number: int
    signal: int


@dataclass(frozen=True, slots=True)
class Exit:
    """All workers have ended: exit with this code."""

    code: int


Action = Start | Signal | Exit


@dataclass(slots=True)
class _State:
    """What is known of a worker. `due` is when it starts; `None` while it runs, or before it may start."""

    is_running: bool = False
    was_ready: bool = False
    started: float = 0.0
    failures: int = 0
    due: float | None = None


class Supervision:
    """The workers of one server. `now` is always the monotonic clock, in seconds.

    `drain_seconds` is the maximum time from SIGTERM until a worker begins to stop. `stop_seconds` is the maximum time
    of the stop itself. A worker that runs longer is killed.
    """

    def __init__(self, count: int, *, drain_seconds: float, stop_seconds: float) -> None:
        self._workers = {number: _State() for number in range(1, count + 1)}
        self._workers[1].due = 0.0
        self._drain_seconds = drain_seconds
        self._stop_seconds = stop_seconds
        self._deadline: float | None = None
        self._is_killed = False
        self._code = 0

    @property
    def is_stopping(self) -> bool:
        """Whether no worker is started any more."""
        return self._deadline is not None

    def note_ready(self, number: int) -> None:
        """Note that a worker accepts requests. After the first one, all others may start."""
        self._workers[number].was_ready = True
        if number == 1:
            for each in self._workers.values():
                if not each.is_running and each.due is None:
                    each.due = 0.0

    def note_end(self, number: int, code: int, now: float) -> Sequence[Action]:
        """Note that a worker has ended. `code` is its exit code; negative for a signal."""
        worker = self._workers[number]
        worker.is_running = False
        if self.is_stopping:
            self._code = self._code or (1 if code else 0)
            return ()
        if code > 0 and not worker.was_ready:
            # The worker has written the reason.
            self._code = code
            return self._stop(signal.SIGTERM, now, self._stop_seconds)
        worker.failures = 0 if now - worker.started >= STABLE_SECONDS else worker.failures + 1
        worker.due = now + delay(worker.failures)
        return ()

    def note_signal(self, number: int, now: float) -> Sequence[Action]:
        """Stop all workers after SIGTERM or SIGINT. The first SIGTERM drains them."""
        drains = number == signal.SIGTERM and not self.is_stopping
        return self._stop(number, now, self._stop_seconds + (self._drain_seconds if drains else 0.0))

    def due_actions(self, now: float) -> Sequence[Action]:
        """Return what is to do now. Starts are noted as done."""
        running = [number for number, each in self._workers.items() if each.is_running]
        if self._deadline is not None:
            if not running:
                return (Exit(self._code),)
            if now < self._deadline or self._is_killed:
                return ()
            self._is_killed = True
            self._code = self._code or 1
            return tuple(Signal(number, signal.SIGKILL) for number in running)
        due = [number for number, each in self._workers.items() if each.due is not None and each.due <= now]
        for number in due:
            worker = self._workers[number]
            worker.is_running, worker.due, worker.started = True, None, now
        return tuple(Start(number) for number in due)

    def next_time(self) -> float | None:
        """Return when `due_actions` must be asked again, if nothing else happens before."""
        if self._deadline is not None:
            return None if self._is_killed else self._deadline
        return min((each.due for each in self._workers.values() if each.due is not None), default=None)

    def _stop(self, number: int, now: float, seconds: float) -> Sequence[Action]:
        deadline = now + seconds
        self._deadline = deadline if self._deadline is None else min(self._deadline, deadline)
        return tuple(Signal(worker, number) for worker, each in self._workers.items() if each.is_running)


def delay(failures: int) -> float:
    """Return the seconds until a worker is replaced that ended so many times within a minute of its start."""
    return 0.0 if failures <= 1 else min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(failures - 2, 16))
