"""What an installation decides for all its accounts."""

from dataclasses import dataclass

from recordings.model.instants import DAY, Millis
from recordings.model.options import WEB


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationPolicy:
    """What an installation decides. `places` are what the `url` of a recording may begin with."""

    trash_window: Millis = 30 * DAY
    places: tuple[str, ...] = WEB
