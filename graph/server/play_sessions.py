"""The plays that go on: requests of one player for ranges of one recording are one play.

A play begins with an entry `PLAY` or `DOWNLOAD`, which is written before the first byte is sent. When no request
follows for a while, an entry `PLAY_ENDED` says which bytes were sent and how many seconds of audio they are.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final

from recordings.model.audit_entry import AuditEntry
from recordings.model.recording import Media

IDLE_SECONDS: Final = 30.0
"""A player that requests nothing for this long has ended the play."""
COMPLETE_SECONDS: Final = 2.0
"""The same, if all bytes were sent."""
MAX_PLAYS: Final = 10_000
MAX_RANGES: Final = 100
"""Ranges of bytes in one entry. Beyond this number, the nearest ranges count as one."""

Range = tuple[int, int]


@dataclass(slots=True)
class Session:
    """A play: its first entry, and the bytes that were sent since then."""

    entry: AuditEntry
    media: Media
    begun: "asyncio.Future[None]"
    ranges: list[Range] = field(default_factory=list)
    sent: int = 0
    open: int = 0
    timer: asyncio.TimerHandle | None = None

    @property
    def is_complete(self) -> bool:
        """True if all bytes of the audio were sent."""
        return self.ranges == [(0, self.media.length)]

    def add(self, start: int, end: int) -> None:
        """Note sent bytes."""
        self.sent += end - start
        last = self.ranges[-1] if self.ranges else None
        if last is not None and last[0] <= start <= last[1]:
            # The usual case: the next piece of the same request.
            self.ranges[-1] = (last[0], max(last[1], end))
            return
        self.ranges = merge([*self.ranges, (start, end)])

    def details(self) -> dict[str, Any]:
        """Return the ranges and the seconds that were sent."""
        self.ranges = merge(self.ranges)
        covered = sum(end - start for start, end in self.ranges)
        seconds = covered / self.media.length * self.media.duration_ms / 1_000 if self.media.length else 0.0
        return {
            "play": self.entry.id,
            "seconds": round(seconds, 1),
            "bytes": self.sent,
            "length": self.media.length,
            "ranges": [list(each) for each in self.ranges],
        }


def merge(ranges: list[Range]) -> list[Range]:
    """Return the ranges sorted, with touching ones joined."""
    joined: list[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    while len(joined) > MAX_RANGES:
        gaps = [(joined[at + 1][0] - joined[at][1], at) for at in range(len(joined) - 1)]
        at = min(gaps)[1]
        joined[at : at + 2] = [(joined[at][0], joined[at + 1][1])]
    return joined


class PlaySessions:
    """The plays of this server. `write` writes an entry before it returns; `ended` is called once for each play."""

    def __init__(self, write: Callable[[AuditEntry], Awaitable[object]], ended: Callable[[Session], None]) -> None:
        self._write = write
        self._ended = ended
        self._sessions: OrderedDict[Hashable, Session] = OrderedDict()

    async def begin(self, key: Hashable, start: int, media: Media, make: Callable[[], AuditEntry]) -> Session:
        """Return the session of a player, with its entry written. The request sends audio from the byte `start`."""
        session = self._sessions.get(key)
        if session is not None and start == 0 and session.is_complete and not session.open:
            # The player begins again after the end.
            self._end(key)
            session = None
        if session is None:
            session = Session(make(), media, asyncio.get_running_loop().create_future())
            self._sessions[key] = session
            if len(self._sessions) > MAX_PLAYS:
                self._end(next(iter(self._sessions)))
            session.open += 1
            await self._write_first(key, session)
            return session
        session.open += 1
        if session.timer is not None:
            session.timer.cancel()
            session.timer = None
        try:
            await asyncio.shield(session.begun)
        except BaseException:
            session.open -= 1
            raise
        return session

    async def _write_first(self, key: Hashable, session: Session) -> None:
        try:
            await self._write(session.entry)
        except BaseException as error:
            if self._sessions.get(key) is session:
                del self._sessions[key]
            if isinstance(error, Exception):
                session.begun.set_exception(error)
                # Other requests of the player may wait for it, or none.
                session.begun.exception()
            else:
                session.begun.cancel()
            raise
        session.begun.set_result(None)

    def pause(self, key: Hashable, session: Session) -> None:
        """End one request of a session. The play ends if no other one follows."""
        session.open -= 1
        if session.open or self._sessions.get(key) is not session:
            return
        wait = COMPLETE_SECONDS if session.is_complete else IDLE_SECONDS
        session.timer = asyncio.get_running_loop().call_later(wait, self._end, key)

    def end_all(self) -> None:
        """End all plays, because the server stops."""
        for key in list(self._sessions):
            self._end(key)

    def running(self) -> dict[str, dict[str, Any]]:
        """Return the details of the plays that go on, by the id of their first entry."""
        return {each.entry.id: each.details() for each in self._sessions.values()}

    def _end(self, key: Hashable) -> None:
        session = self._sessions.pop(key, None)
        if session is None:
            return
        if session.timer is not None:
            session.timer.cancel()
        if session.begun.done() and not session.begun.cancelled() and session.begun.exception() is None:
            self._ended(session)
