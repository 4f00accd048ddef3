"""The port for the time."""

from typing import Protocol

from recordings.model.instants import Millis


class Clock(Protocol):
    """A clock."""

    def now(self) -> Millis:
        """Return the current instant."""


class ClockMark(Protocol):
    """An instant that this server has seen. It survives a restart."""

    async def read(self) -> Millis | None:
        """Return the instant; `None` if there is none."""

    async def write(self, at: Millis) -> None:
        """Replace the instant. An error has no effect."""
