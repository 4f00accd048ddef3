"""A clock that changes only when a test moves it."""

from recordings.model.instants import Millis


class FakeClock:
    """A `Clock` for tests."""

    def __init__(self, now: Millis = 1_795_336_400_000) -> None:
        self._now = now

    def now(self) -> Millis:
        """Return the current instant."""
        return self._now

    def move(self, by: Millis) -> None:
        """Move it forward by a number of milliseconds."""
        self._now += by
