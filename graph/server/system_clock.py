"""The `Clock` of the running server."""

import time

from recordings.model.instants import Millis

_NANOSECONDS = 1_000_000


class SystemClock:
    """The machine's own clock."""

    def now(self) -> Millis:
        """Return the current time in milliseconds since 1970 in UTC."""
        return time.time_ns() // _NANOSECONDS
