"""The port for waking up the background work."""

from typing import Protocol


class WakeUp(Protocol):
    """Tells the background work that a recording is due now."""

    def __call__(self) -> None:
        """Wake up the background work. This is cheap, and extra calls do no harm."""
