"""The port for the time."""

from typing import Protocol

from recordings.model.instants import Millis


class Clock(Protocol):
    """A clock."""

    def now(self) -> Millis:
        """Return the current instant."""
