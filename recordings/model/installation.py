"""An installation: its identity, and its settings that apply to all accounts."""

from dataclasses import dataclass

from recordings.model.instants import DAY, Millis
from recordings.model.options import WEB


@dataclass(frozen=True, slots=True)
class Installation:
    """The identity of an installation. It belongs to the metadata store, and is made when that store is created."""

    id: str
    created: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationPolicy:
    """The settings of an installation for recordings.

    `places` are the allowed beginnings of a recording's `url`. `max_received` is the longest audio of a received file.
    `accept_video` says whether a received file with video is accepted; its audio is kept and the video is dropped.
    """

    trash_window: Millis = 30 * DAY
    places: tuple[str, ...] = WEB
    max_received: Millis = DAY
    accept_video: bool = True
