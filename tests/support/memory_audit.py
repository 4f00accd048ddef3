"""An audit trail that a test can read."""

from typing import Any

from recordings.model.account import Principal
from recordings.model.audit_entry import AuditAction, AuditObject, AuditOutcome, Way
from recordings.model.errors import Refused
from recordings.model.recording import Recording
from recordings.ports.audit import AuditUnavailableError


class MemoryAudit:
    """An `Audit` that keeps (action, object) pairs: `entries` of what was done, `refusals`, and `counted` reads.

    `details` has the details of each entry, and of each refusal. With `broken`, nothing can be written.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[str, str | None]] = []
        self.details: list[dict[str, Any]] = []
        self.refusals: list[tuple[str, str | None]] = []
        self.counted: list[tuple[str, str | None]] = []
        self.completed: list[dict[str, Any]] = []
        self.heard: list[tuple[int, int]] = []
        self.broken = False
        self._known: set[str | None] = set()

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
        """Append the action."""
        if self.broken:
            raise AuditUnavailableError("broken")
        if entry_id is None or entry_id not in self._known:
            self.entries.append((action.lower(), target.id))
            self.details.append(details)
        self._known.add(entry_id)
        return entry_id or str(len(self.entries))

    def count(self, principal: Principal, action: AuditAction, target: AuditObject, **numbers: int) -> None:
        """Append the read."""
        assert principal.account_id
        self.counted.append((action.lower(), target.id))

    def refuse(
        self, principal: Principal | None, action: AuditAction, target: AuditObject, refused: Refused, **details: Any
    ) -> None:
        """Append the refusal."""
        self.refusals.append((action.lower(), target.id))
        self.details.append({"reason": refused.code, **details})

    def complete(self, entry_id: str, principal: Principal, target: AuditObject, **details: Any) -> None:
        """Append the results."""
        self.completed.append(details)

    def play(self, principal: Principal, recording: Recording, action: AuditAction, way: Way | None) -> "MemoryPlay":
        """Return a play that writes to this trail."""
        return MemoryPlay(self, principal, recording, action)

    async def flush(self) -> None:
        """Do nothing: everything is written at once."""


class MemoryPlay:
    """A play of each request."""

    def __init__(self, audit: MemoryAudit, principal: Principal, recording: Recording, action: AuditAction) -> None:
        self._audit, self._principal, self._recording, self._action = audit, principal, recording, action

    async def begin(self, start: int) -> None:
        """Append the play."""
        await self._audit.record(self._principal, self._action, AuditObject("recording", self._recording.id))

    def heard(self, start: int, end: int) -> None:
        """Append the bytes."""
        self._audit.heard.append((start, end))

    def pause(self) -> None:
        """Do nothing."""
