"""Gregorian seconds, the time of v2: seconds since the year 0. They exist here alone."""

from typing import Final

from recordings.model.instants import EARLIEST, LATEST, SECOND, Millis

OFFSET: Final = 62_167_219_200
"""The Gregorian seconds of 1970-01-01T00:00:00Z."""


def from_gregorian(seconds: int) -> Millis:
    """An instant of v2 in milliseconds since 1970.

    Raises:
        ValueError: it lies outside the years 1 to 9999.
    """
    millis = (seconds - OFFSET) * SECOND
    if not EARLIEST <= millis <= LATEST:
        message = f"{seconds} is no time in Gregorian seconds between the years 1 and 9999"
        raise ValueError(message)
    return millis


def to_gregorian(at: Millis) -> int:
    """An instant in the whole seconds of v2; what is finer is cut off."""
    return at // SECOND + OFFSET
