"""The actions on a take in progress: the event that must be allowed, and the ability that the recorder needs."""

from collections.abc import Callable, Mapping
from typing import Final

from recordings.model.audit_entry import AuditAction
from recordings.model.events import Event, Masked, Paused, Resumed, Stopped, Unmasked
from recordings.model.instants import Millis

TAKE_ACTIONS: Final[Mapping[AuditAction, tuple[Callable[[Millis], Event], str | None]]] = {
    AuditAction.STOP: (lambda at: Stopped(at=at), None),
    AuditAction.PAUSE: (lambda at: Paused(at=at, at_ms=0), "PAUSE"),
    AuditAction.RESUME: (lambda at: Resumed(at=at), "PAUSE"),
    AuditAction.MASK: (lambda at: Masked(at=at, at_ms=0), "MASK"),
    AuditAction.UNMASK: (lambda at: Unmasked(at=at), "MASK"),
}
