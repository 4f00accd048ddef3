"""What an installation decides for all its accounts."""

from dataclasses import dataclass

from recordings.instants import DAY, Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an installation decides."""

    trash_window: Millis = 30 * DAY
