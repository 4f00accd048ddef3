"""Log a repeated error once a minute, instead of every time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final

from recordings.ports.audio import MediaStoreUnavailableError
from recordings.ports.recording_store import StoreUnavailableError

SECONDS: Final = 60.0
_MAX_KEYS: Final = 1_000
_STORES: Final = (MediaStoreUnavailableError, StoreUnavailableError)
_EXPECTED: Final = (*_STORES, OSError)
"""Errors of the environment. Their message says enough, so that they are logged without a traceback."""


class ErrorLog:
    """Writes errors to a logger: each kind of error at most once in `seconds`, with the number of repetitions."""

    def __init__(self, log: Any, seconds: float = SECONDS, now: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._seconds = seconds
        self._now = now
        self._last: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def write(self, event: str, error: Exception, **fields: object) -> None:
        """Log an error, unless the same event with the same error was logged less than a minute ago."""
        reason = str(error) or type(error).__name__
        # The messages of stores may differ for each request.
        key = (event, type(error), "" if isinstance(error, _STORES) else reason)
        last, repeated = self._last.get(key, (None, 0))
        if last is not None and self._now() - last < self._seconds:
            self._last[key] = last, repeated + 1
            return
        self._last[key] = self._now(), 0
        self._last.move_to_end(key)
        while len(self._last) > _MAX_KEYS:
            self._last.popitem(last=False)
        if repeated:
            fields["repeated"] = repeated
        if isinstance(error, _EXPECTED):
            self._log.error(event, **fields, error=reason)
        else:
            self._log.error(event, **fields, exc_info=error)
