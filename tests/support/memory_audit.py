"""An audit log that a test can read."""

from recordings.model.account import Principal


class MemoryAudit:
    """An `Audit` that keeps (action, recording) pairs, and the details of each in `details`."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str | None]] = []
        self.details: list[dict[str, str | int | None]] = []

    def record(self, principal: Principal, action: str, recording_id: str | None, **details: str | int | None) -> None:
        """Append the action."""
        assert principal.account_id
        self.entries.append((action, recording_id))
        self.details.append(details)
