"""The port for sending a stored recording to its `url`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from recordings.model.instants import Millis
from recordings.model.recording import Recording


class DeliveryOutcome(StrEnum):
    """The outcome of one delivery attempt."""

    DELIVERED = "DELIVERED"
    RETRY = "RETRY"
    """The attempt failed. A later attempt may succeed."""
    REJECTED = "REJECTED"
    """The attempt failed. Every later attempt would fail too."""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of one delivery attempt.

    `retry_after` is the wait that the receiver asked for. `error` never contains a secret.
    """

    outcome: DeliveryOutcome
    error: str = ""
    retry_after: Millis | None = None


class Courier(Protocol):
    """Sends stored recordings to the `url` that the caller gave (docs/v2_contract.md, section 7.1)."""

    async def deliver(self, recording: Recording) -> DeliveryResult:
        """Make one attempt, with the delivery's id in a header. Every failure is in the result."""
