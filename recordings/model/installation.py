"""The settings of an installation that apply to all its accounts."""

from dataclasses import dataclass

from recordings.model.instants import DAY, Millis
from recordings.model.options import WEB


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationPolicy:
    """The settings that the domain needs.

    A deleted recording can be restored during `trash_window`. `places` are the allowed beginnings of a recording's
    `url`.
    """

    trash_window: Millis = 30 * DAY
    places: tuple[str, ...] = WEB
