"""The ports to the background work of this server: wake it up, or start a step at once."""

from typing import Protocol

from recordings.model.recording import Recording


class WakeUp(Protocol):
    """Tells the background work that a recording is due now."""

    def __call__(self) -> None:
        """Wake up the background work. This is cheap, and extra calls do no harm."""


class StepSlot(Protocol):
    """A free slot for one step. Call one of the methods."""

    def start(self, recording: Recording) -> None:
        """Start the step of a recording that was saved with a lease of this server."""

    def free(self) -> None:
        """Give the slot back: the recording was not saved with the lease."""

    def free_unclear(self, recording_id: str) -> None:
        """Give the slot back. The recording is checked later, because it may have been saved with the lease."""


class StepSlots(Protocol):
    """The slots of this server for the steps that finalize recordings."""

    def reserve(self, account_id: str) -> StepSlot | None:
        """Reserve a slot. Return `None` if the account must wait for its turn."""


class NoSlots:
    """No free slots: every step waits for a claim."""

    def reserve(self, account_id: str) -> StepSlot | None:  # noqa: ARG002 - a method of the port
        """Return `None`."""
        return None
