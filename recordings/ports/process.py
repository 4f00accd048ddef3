"""The ports for the running process: its clock, its audit log and its background wake-up."""

from typing import Protocol

from recordings.model.account import Principal
from recordings.model.instants import Millis


class Clock(Protocol):
    """The time of day."""

    def now(self) -> Millis:
        """Now."""


class Audit(Protocol):
    """Where it is written down who did what."""

    def record(self, principal: Principal, action: str, recording_id: str | None, **details: str | int | None) -> None:
        """One action that was granted and done. Never holds a secret or a signed URL."""


class Notify(Protocol):
    """Tells the background work that something is due now."""

    def __call__(self) -> None:
        """Wake it; cheap, and fine to call too often."""
