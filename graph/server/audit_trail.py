"""The audit trail of this process: it makes the entries, counts reads, and follows plays."""

import asyncio
import getpass
import os
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import cache
from typing import Any, Final

from graph.server.audit_queue import AuditQueue
from graph.server.log_line import log_line
from graph.server.play_sessions import PlaySessions, Session
from graph.server.request_origin import current_origin, shown
from recordings.model.account import Principal
from recordings.model.audit_entry import (
    SYSTEM,
    Actor,
    ActorKind,
    AuditAction,
    AuditEntry,
    AuditObject,
    AuditOutcome,
    Origin,
    Way,
    actor_of,
    end_of,
)
from recordings.model.errors import Forbidden, ForbiddenByPolicy, NotFound, Refused, Unauthenticated
from recordings.model.ids import new_id
from recordings.model.instants import Millis
from recordings.model.recording import Recording
from recordings.ports.audit import recording_object
from recordings.ports.clock import Clock

COUNT_SECONDS: Final = 1.0
"""How long reads and refusals are counted together."""
MAX_COUNTED: Final = 1_000
"""How many different reads and refusals are counted at once. Then they are written early."""
_DENIED: Final = (Forbidden, ForbiddenByPolicy, NotFound, Unauthenticated)
_LOGGED: Final = frozenset({AuditAction.LIST, AuditAction.READ})
"""Actions without a log line: the access log has each request."""


class AuditTrail:
    """An `Audit` that writes to the metadata store and to the log."""

    def __init__(self, queue: AuditQueue, clock: Clock) -> None:
        self._queue = queue
        self._clock = clock
        self._counted: dict[Hashable, tuple[AuditEntry, dict[str, Any]]] = {}
        """Equal reads or refusals, from the first one on: their entry, and its details."""
        self._timer: asyncio.TimerHandle | None = None
        self._plays = PlaySessions(queue.add, self._end_play)

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
        """Write an entry before an action, and return its id."""
        entry = self._entry(principal, action, target, current_origin(), outcome, details)
        if entry_id is not None:
            entry = replace(entry, id=entry_id)
        if await self._queue.add(entry):
            # A repeated request, also one through another server, has one entry and one line in the log.
            _log_entry(entry)
        return entry.id

    def count(self, principal: Principal, action: AuditAction, target: AuditObject, **numbers: int) -> None:
        """Count a read."""
        origin = current_origin()
        key = (*_key(principal), *_place(origin), action, target)
        counted = self._counted.get(key)
        totals = counted[1] if counted else self._add(key, principal, action, target, origin, AuditOutcome.GRANTED, {})
        totals["requests"] = totals.get("requests", 0) + 1
        for name, number in numbers.items():
            totals[name] = totals.get(name, 0) + number

    def refuse(
        self, principal: Principal | None, action: AuditAction, target: AuditObject, refused: Refused, **details: Any
    ) -> None:
        """Note a refused request, with its reason."""
        origin = current_origin()
        outcome = AuditOutcome.DENIED if isinstance(refused, _DENIED) else AuditOutcome.FAILED
        if outcome is AuditOutcome.DENIED and principal is not None:
            # The trail of the caller's account has it: that of another account must not show a foreign caller. An
            # object that the caller may not access looks the same as a missing one.
            target = replace(target, id=shown(target.id or ""), account_id=principal.account_id)
        why = {"reason": refused.code, **details}
        key = (*(_key(principal) if principal else ("",)), *_place(origin), action, target, *why.items())
        counted = self._counted.get(key)
        details = counted[1] if counted else self._add(key, principal, action, target, origin, outcome, why)
        details["requests"] = details.get("requests", 0) + 1

    def complete(self, entry_id: str, principal: Principal, target: AuditObject, **details: Any) -> None:
        """Complete the entry of an export, with its results."""
        details = {"export": entry_id, **details}
        entry = self._entry(
            principal, AuditAction.EXPORT_ENDED, target, current_origin(), AuditOutcome.GRANTED, details
        )
        self._queue.add_later(replace(entry, id=end_of(entry_id)))

    def play(self, principal: Principal, recording: Recording, action: AuditAction, way: Way | None) -> "Playing":
        """Return the play of a recording by a caller."""
        origin = current_origin()
        if way is not None:
            origin = replace(origin, way=way)
        target = recording_object(recording)

        def make() -> AuditEntry:
            entry = self._entry(principal, action, target, origin, AuditOutcome.GRANTED, {"format": recording.format})
            _log_entry(entry)
            return entry

        media = recording.media
        key = (*_key(principal), *_place(origin), action, recording.id, media.sha256 if media else "")
        return Playing(self._plays, key, recording, make)

    def running_plays(self) -> dict[str, dict[str, Any]]:
        """Return the details of the plays that go on, by the id of their entry."""
        return self._plays.running()

    async def flush(self) -> None:
        """Write everything that was counted so far."""
        self._write_counted()
        await self._queue.flush()

    async def close(self) -> None:
        """End all plays, and write everything that waits."""
        self._plays.end_all()
        self._write_counted()
        await self._queue.close()

    def _add(self, key: Hashable, *entry: Any) -> dict[str, Any]:
        """Add an entry, made with the arguments of `_entry`. Return its details, which change until it is written."""
        if len(self._counted) >= MAX_COUNTED:
            self._write_counted()
        details: dict[str, Any] = entry[-1]
        self._counted[key] = self._entry(*entry), details
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COUNT_SECONDS, self._write_counted)
        return details

    def _write_counted(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        counted, self._counted = self._counted, {}
        for entry, _ in counted.values():
            _log_entry(entry)
            self._queue.add_later(entry)

    def _end_play(self, session: Session) -> None:
        first = session.entry
        self._queue.add_later(
            replace(
                first,
                id=end_of(first.id),
                at=self._clock.now(),
                action=AuditAction.PLAY_ENDED,
                details=session.details(),
            )
        )

    def _entry(
        self,
        principal: Principal | None,
        action: AuditAction,
        target: AuditObject,
        origin: Origin,
        outcome: AuditOutcome,
        details: dict[str, Any],
    ) -> AuditEntry:
        now: Millis = self._clock.now()
        account_id = target.account_id or (principal.account_id if principal else "")
        return AuditEntry(
            id=new_id(),
            at=now,
            account_id=account_id,
            actor=_actor(principal, origin),
            origin=origin,
            action=action,
            object=target,
            outcome=outcome,
            details=details,
        )


class Playing:
    """A `Play` of the audit trail."""

    def __init__(
        self, plays: PlaySessions, key: Hashable, recording: Recording, make: Callable[[], AuditEntry]
    ) -> None:
        self._plays = plays
        self._key = key
        self._recording = recording
        self._make = make
        self._session: Session | None = None

    async def begin(self, start: int) -> None:
        """Write the entry, unless this play has it already."""
        media = self._recording.media
        if media is None:
            raise ValueError(f"recording {self._recording.id} has no media")
        self._session = await self._plays.begin(self._key, start, media, self._make)

    def heard(self, start: int, end: int) -> None:
        """Note that these bytes were sent."""
        if self._session is not None:
            self._session.add(start, end)

    def pause(self) -> None:
        """Note the end of one request."""
        if self._session is not None:
            self._plays.pause(self._key, self._session)
            self._session = None


def _key(principal: Principal) -> tuple[Hashable, ...]:
    # Two principals are equal if they have the same rights. Here, they must also have the same credentials.
    return (
        principal.account_id, principal.owner_id, principal.user_id, principal.key_id, principal.token_id,
        principal.name,
    )  # fmt: skip


def _place(origin: Origin) -> tuple[Hashable, ...]:
    """Return where a client is. Each of its requests has an id of its own."""
    return origin.way, origin.ip, origin.user_agent


def _actor(principal: Principal | None, origin: Origin) -> Actor:
    if principal is not None:
        return replace(operator(), account_id=principal.account_id) if origin.way is Way.CLI else actor_of(principal)
    if origin.way is Way.CLI:
        return operator()
    return SYSTEM if origin.way is Way.SYSTEM else Actor(ActorKind.ANONYMOUS, origin.ip or "unknown", "")


@cache
def operator() -> Actor:
    """Return the actor of a command on the server's own machine: the user of the system."""
    try:
        name = shown(getpass.getuser())
    except (OSError, KeyError):
        # A container may run as a user without a name.
        name = str(os.getuid())
    return Actor(ActorKind.OPERATOR, name or "unknown", "", name=name)


def _log_entry(entry: AuditEntry) -> None:
    if entry.action in _LOGGED and entry.outcome is AuditOutcome.GRANTED:
        return
    fields = {
        "account_id": entry.account_id,
        "owner_id": entry.actor.owner_id,
        "principal": entry.actor.name,
        f"{entry.object.type.replace(' ', '_')}_id": entry.object.id,
        "outcome": None if entry.outcome is AuditOutcome.GRANTED else entry.outcome.value,
        **entry.details,
    }
    shown_fields = {name: value for name, value in fields.items() if value is not None and value != ""}
    log_line("audit", entry.action.value.lower(), shown_fields)
