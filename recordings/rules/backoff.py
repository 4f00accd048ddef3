"""How long to wait before trying again: full jitter, so that many that failed together do not come back together."""

import random
from typing import Final

from recordings.model.instants import HOUR, SECOND, Millis

FIRST: Final = 5 * SECOND
LONGEST: Final = 6 * HOUR
MAX_ATTEMPTS: Final = 24
"""With the waits between them, up to some three days."""


def full_jitter(attempts: int, at_least: Millis | None = None) -> Millis | None:
    """A second and up to 5 s, 10 s, 20 s ... 6 h after so many failed attempts (1 at least); `None` after the last one.

    `at_least` is what the other side asked for (`Retry-After`); it is obeyed up to the longest wait.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    wait = SECOND + random.randrange(min(FIRST * 2 ** (attempts - 1), LONGEST))  # noqa: S311 - it spreads load and keeps no secret
    return max(wait, min(at_least or 0, LONGEST))
