"""Gregorian seconds, the time unit of v2: seconds since the year 0. No other module uses them."""

from typing import Final

from recordings.model.instants import EARLIEST, LATEST, SECOND, Millis

OFFSET: Final = 62_167_219_200
"""The Gregorian seconds of 1970-01-01T00:00:00Z."""


def from_gregorian(seconds: float) -> Millis:
    """Convert Gregorian seconds to milliseconds since 1970.

    Raises:
        ValueError: the time is outside the years 1 to 9999.
    """
    millis = round((seconds - OFFSET) * SECOND)
    if not EARLIEST <= millis <= LATEST:
        message = f"{seconds} is not a time in Gregorian seconds: it must be within the years 1 to 9999"
        raise ValueError(message)
    return millis


def to_gregorian(at: Millis) -> int:
    """Convert milliseconds since 1970 to whole Gregorian seconds, rounded down."""
    return at // SECOND + OFFSET
