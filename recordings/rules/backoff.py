"""The wait before a retry, with full jitter: deliveries that failed together do not retry together."""

import random
from typing import Final

from recordings.model.instants import HOUR, SECOND, Millis

FIRST: Final = 5 * SECOND
LONGEST: Final = 6 * HOUR
MAX_ATTEMPTS: Final = 24
"""With the waits between them, up to about three days."""


def full_jitter(attempts: int, at_least: Millis | None = None) -> Millis | None:
    """Return the wait after a number of failed `attempts` (1 or more), or `None` if there is no retry.

    The wait is one second plus a random time of up to 5 s, 10 s, 20 s ... 6 h. `at_least` is the receiver's own wait
    (`Retry-After`). A value above `LONGEST` is reduced to it.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    wait = SECOND + random.randrange(min(FIRST * 2 ** (attempts - 1), LONGEST))  # noqa: S311 - it spreads load and needs no secure randomness
    return max(wait, min(at_least or 0, LONGEST))
