"""The ports for the running process: its clock, its audit log and the wake-up of background work."""

from typing import Protocol

from recordings.model.account import Principal
from recordings.model.instants import Millis


class Clock(Protocol):
    """A clock."""

    def now(self) -> Millis:
        """Return the current instant."""


class Audit(Protocol):
    """The audit log: who did what."""

    def record(self, principal: Principal, action: str, recording_id: str | None, **details: str | int | None) -> None:
        """Record one action that was allowed and done. An entry never contains a secret or a signed URL."""


class Notify(Protocol):
    """Tells the background work that a recording is due now."""

    def __call__(self) -> None:
        """Wake it. This is cheap, and extra calls do no harm."""
