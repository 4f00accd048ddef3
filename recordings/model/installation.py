"""An installation: its identity, and its settings that apply to all accounts."""

from dataclasses import dataclass

from recordings.model.instants import DAY, Millis
from recordings.model.options import WEB


@dataclass(frozen=True, slots=True)
class Installation:
    """The identity of an installation. It belongs to the metadata store, and is made when that store is created.

    `key_id` is the id of the installation's key that signs, since `key_since`. A server whose key file lacks this key
    belongs to another installation.
    """

    id: str
    created: Millis
    key_id: str | None = None
    key_since: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationPolicy:
    """The settings of an installation for recordings.

    - `trash_window`: how long a deleted recording can be restored.
    - `url_prefixes`: the allowed beginnings of a recording's `url`.
    - `max_received`: the maximum length of the audio of a received file.
    - `accept_video`: whether a received file with video is accepted. Its audio is kept and the video is dropped.
    """

    trash_window: Millis = 30 * DAY
    url_prefixes: tuple[str, ...] = WEB
    max_received: Millis = DAY
    accept_video: bool = True
