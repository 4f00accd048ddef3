"""The port for sending a stored recording to its `url`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.instants import Millis
from recordings.model.recording import Recording


class Sent(StrEnum):
    """How one attempt to deliver ended."""

    DELIVERED = "DELIVERED"
    AGAIN = "AGAIN"
    """It may work later."""
    NEVER = "NEVER"
    """It will not work, however often it is tried."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of one attempt. `after` is how long the receiver asked to wait; `error` never holds a secret."""

    sent: Sent
    error: str = ""
    after: Millis | None = None


class Courier(Protocol):
    """Sends stored recordings to the `url` that their caller named (contract section 7.1)."""

    async def deliver(self, recording: Recording) -> Receipt:
        """One attempt, with the delivery's id in its header; whatever goes wrong is in the receipt."""
