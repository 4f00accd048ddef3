"""The port for the audit trail. The core says what happens. The adapter adds the time and the origin of the request."""

from types import TracebackType
from typing import Any, Protocol

from recordings.model.account import Principal
from recordings.model.audit_entry import AuditAction, AuditObject, AuditOutcome, Way
from recordings.model.errors import Refused
from recordings.model.recording import Recording
from recordings.ports.recording_store import StoreUnavailableError


class AuditUnavailableError(StoreUnavailableError):
    """The audit trail cannot be written, and the installation allows no action without an entry."""


class Play(Protocol):
    """One play of a recording by one player. Requests for ranges of the same player belong to the same play."""

    async def begin(self, start: int) -> None:
        """Write the entry, before the first byte at this offset is sent. `AuditUnavailableError` as in `Audit.record`.

        An entry of the same play, a moment ago, is enough.
        """

    def heard(self, start: int, end: int) -> None:
        """Note that these bytes were sent."""

    def pause(self) -> None:
        """Note the end of one request. The play ends if no other request follows."""


class Audit(Protocol):
    """The audit trail: who did what. An entry contains no secret, no signed URL, and no number or name of a party.

    A `principal` of `None` is the service itself in its background work, or a client without valid credentials.
    """

    async def record(
        self,
        principal: Principal | None,
        action: AuditAction,
        target: AuditObject,
        *,
        outcome: AuditOutcome = AuditOutcome.GRANTED,
        entry_id: str | None = None,
        **details: Any,
    ) -> str:
        """Write an entry, and return its id. Call this after all checks and before the action itself.

        An entry with a known `entry_id` is written once.

        Raises:
            AuditUnavailableError: the trail cannot be written, and the installation is strict.
        """

    def count(self, principal: Principal, action: AuditAction, target: AuditObject, **numbers: int) -> None:
        """Count a read. The reads of one caller and one target in a second become one entry with their sums."""

    def refuse(
        self, principal: Principal | None, action: AuditAction, target: AuditObject, refused: Refused, **details: Any
    ) -> None:
        """Note a refused request, with its reason. Equal requests in a second become one entry."""

    def complete(self, entry_id: str, principal: Principal, target: AuditObject, **details: Any) -> None:
        """Complete the entry of an export, with its results."""

    def play(self, principal: Principal, recording: Recording, action: AuditAction, way: Way | None) -> Play:
        """Return the play of a recording by a caller. `way` replaces the way of the request."""

    async def flush(self) -> None:
        """Write everything that was counted so far."""


class Refusals:
    """A block in which each `Refused` error becomes an entry of the trail."""

    __slots__ = ("_action", "_audit", "_principal", "_target")

    def __init__(self, audit: Audit, principal: Principal | None, action: AuditAction, target: AuditObject) -> None:
        self._audit, self._principal, self._action, self._target = audit, principal, action, target

    def __enter__(self) -> None:
        """Begin the block."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Note the error, and let it pass."""
        if isinstance(error, Refused):
            self._audit.refuse(self._principal, self._action, self._target, error)


def recording_object(recording: Recording) -> AuditObject:
    """Return the object of an entry about a recording."""
    return AuditObject("recording", recording.id, recording.account_id)


def list_object(account_id: str | None) -> AuditObject:
    """Return the object of an entry about a list. Filters may contain numbers and names, so the entry has none."""
    return AuditObject("recordings", None, account_id)
