"""Who did what, and what the background work did, as log lines."""

from typing import Final

from graph.server.log_setup import logger
from recordings.model.account import Principal
from recordings.model.recording import Recording

_AUDIT: Final = logger("audit")
_UPKEEP: Final = logger("upkeep")


class LogAudit:
    """The `Audit` of an installation whose log is kept."""

    def record(self, principal: Principal, action: str, recording_id: str | None, **details: str | int | None) -> None:
        """One action that was granted and done."""
        _AUDIT.info(
            action,
            account=principal.account_id,
            owner=principal.owner_id,
            who=principal.name,
            recording=recording_id,
            **details,
        )


class LogReporter:
    """The `Reporter` of the background work."""

    def moved(self, recording: Recording, step: str) -> None:
        """A step moved a recording on. One that ended badly is a warning: somebody misses audio."""
        say = _UPKEEP.info if recording.reason is None else _UPKEEP.warning
        reason = None if recording.reason is None else recording.reason.value
        say("moved on", step=step, recording=recording.id, state=recording.state.value, reason=reason)

    def fault(self, recording_id: str, step: str, error: Exception) -> None:
        """A step failed; it is tried again, or given up with a reason in the recording."""
        _UPKEEP.error("a step failed", step=step, recording=recording_id, exc_info=error)
