"""Time that passes, as the event loop has it. A test hands in one that it moves itself."""

from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """Something that will happen."""

    def cancel(self) -> None:
        """It will not. Cancelling again is fine."""


class Timers(Protocol):
    """`asyncio.AbstractEventLoop` is one."""

    def time(self) -> float:
        """Seconds that only ever go forward."""

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Timer:
        """Call in `delay` seconds."""
