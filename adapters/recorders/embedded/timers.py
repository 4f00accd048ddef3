"""The clock and the timers of the event loop, as an interface that tests can replace."""

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call. Does nothing if it is already cancelled."""


class Timers(Protocol):
    """Schedules calls. `asyncio.AbstractEventLoop` implements it."""

    def time(self) -> float:
        """Return a monotonic time in seconds."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Call `callback` after `delay` seconds."""
