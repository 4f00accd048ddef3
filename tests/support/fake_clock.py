"""A clock that stands still until it is moved."""

from recordings.model.instants import Millis


class StillClock:
    """A `Clock` for tests."""

    def __init__(self, now: Millis = 1_795_336_400_000) -> None:
        self._now = now

    def now(self) -> Millis:
        """Where it stands."""
        return self._now

    def move(self, by: Millis) -> None:
        """Let time pass."""
        self._now += by
