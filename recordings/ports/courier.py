"""The port for sending a stored recording to its `url`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.instants import Millis
from recordings.model.recording import Recording


class Sent(StrEnum):
    """The result of one delivery attempt."""

    DELIVERED = "DELIVERED"
    AGAIN = "AGAIN"
    """It failed, and a retry may succeed."""
    NEVER = "NEVER"
    """It failed, and no retry can succeed."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The result of one attempt. `after` is the wait that the receiver asked for. `error` contains no secret."""

    sent: Sent
    error: str = ""
    after: Millis | None = None


class Courier(Protocol):
    """Delivers stored recordings to their `url` (docs/v2_contract.md, section 7.1)."""

    async def deliver(self, recording: Recording) -> Receipt:
        """Make one attempt, with the delivery's id in a header. An error is in the receipt; it is not raised."""
