"""Gives a server process a wrong clock, or one that a test can move."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import jwt.api_jwt

from graph.server import system_clock
from recordings.model.instants import SECOND, Millis


def shift(seconds: str) -> None:
    """Move the clock of this process by some seconds: for the service, and for the library that reads tokens."""
    _shift(lambda: int(seconds))


def follow(path: str) -> None:
    """Move the clock of this process by the seconds in a file. A test may change the file at any time."""
    _shift(lambda: int(Path(path).read_text()))


def _shift(ahead: Callable[[], int]) -> None:
    class ShiftedDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=ahead())

    def now(_clock: system_clock.SystemClock) -> Millis:
        return int((time.time() + ahead()) * SECOND)

    # Only this process has the changed library and class.
    vars(jwt.api_jwt)["datetime"] = ShiftedDatetime
    setattr(system_clock.SystemClock, "now", now)  # noqa: B010 - mypy rejects an assignment
