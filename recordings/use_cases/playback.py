"""Playing recordings. Each play leaves one entry in the audit trail, before its first byte is sent."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

from recordings.model.account import Principal, Scope
from recordings.model.audit_entry import AuditAction, AuditObject, Way
from recordings.model.errors import MediaUnavailable, Unauthenticated
from recordings.model.instants import Millis
from recordings.model.recording import Recording, Shelf, State
from recordings.ports.audio import Chunk, FilePart, MediaMissing
from recordings.ports.audit import Audit, Play, Refusals
from recordings.ports.recording_store import MetadataStore
from recordings.rules.access import require_scope
from recordings.rules.media_grants import Grant
from recordings.use_cases.access_control import AccessControl
from recordings.use_cases.authorized import Authorized, no_recording

Find = Callable[[], Awaitable[str | None]]
"""Returns the URL of the audio as it is now."""
Part = TypeVar("Part", bound=Chunk)
Read = Callable[[str, int, int | None], AsyncIterator[Part]]
"""`MediaStore.read`, or the same with parts of files."""


@dataclass(frozen=True, slots=True)
class Playback:
    """A recording that a caller may hear. Its audio is read through `audio`, so that the audit trail has the play."""

    recording: Recording
    principal: Principal
    audit: Audit
    way: Way | None = None
    find: Find | None = None

    def audio(self, read: Read[Part], *, recording: Recording | None = None, download: bool = False) -> Read[Part]:
        """Return the function that reads the audio for the caller.

        Args:
            read: reads the bytes.
            recording: the recording with other media, if the caller hears a converted copy.
            download: whether the caller saves the audio instead of playing it.
        """
        action = AuditAction.DOWNLOAD if download else AuditAction.PLAY
        play = self.audit.play(self.principal, recording or self.recording, action, self.way)
        # A converted copy has a URL of its own.
        if self.find is not None and recording is None:
            read = partial(_relocated, read, self.find)
        return partial(_followed, play, read)


class Plays:
    """Checks who may hear a recording."""

    def __init__(self, store: MetadataStore, audit: Audit) -> None:
        self._audit = audit
        self._store = store
        self._authorized = Authorized(store)
        self._access = AccessControl(store)

    async def listen(self, principal: Principal, recording_id: str) -> Playback:
        """Return a recording for playing its audio."""
        with Refusals(self._audit, principal, AuditAction.PLAY, AuditObject("recording", recording_id)):
            require_scope(principal, Scope.LISTEN)
            recording = _playable(await self._authorized.recording(principal, recording_id))
        return Playback(recording, principal, self._audit, find=self._finder(recording))

    async def listen_with_grant(self, grant: Grant, now: Millis) -> Playback:
        """Return a recording for playing its audio to the holder of a grant, as long as its caller may listen to it.

        Raises:
            Unauthenticated: the grant has expired, or the credentials of its caller are no longer valid.
        """
        target = AuditObject("recording", grant.recording_id)
        with Refusals(self._audit, grant.principal, AuditAction.PLAY, target):
            if grant.expires <= now:
                raise Unauthenticated("this URL has expired: request a new one")
            await self._access.check(grant.principal)
            recording = await self._authorized.recording(grant.principal, grant.recording_id)
            if recording.shelf is not Shelf.LIVE:
                raise no_recording(grant.recording_id)
            find = self._finder(recording)
            return Playback(_playable(recording), grant.principal, self._audit, Way.SIGNED_URL, find)

    def _finder(self, recording: Recording) -> Find:
        async def find() -> str | None:
            row = (await self._store.rows((recording.id,), frozenset({"media"}))).get(recording.id)
            return None if row is None or row["media"] is None else row["media"]["url"]

        return find

    def refuse_signature(self, refused: Unauthenticated) -> None:
        """Note a URL whose signature is not valid. Its id and its caller are not proven, so the entry has neither."""
        self._audit.refuse(None, AuditAction.PLAY, AuditObject("signed URL"), refused)


async def _relocated(
    read: Read[Part], find: Find, url: str, start: int = 0, end: int | None = None
) -> AsyncGenerator[Part]:
    """Return the bytes. If the audio is moved meanwhile, continue at its new URL."""
    position = start
    while True:
        try:
            async with aclosing(cast("AsyncGenerator[Part]", read(url, position, end))) as chunks:
                async for chunk in chunks:
                    yield chunk
                    position += len(chunk)
        except MediaMissing:
            present = await find()
            if present is None or present == url:
                raise
            url = present
        else:
            return


async def _followed(
    play: Play, read: Read[Part], url: str, start: int = 0, end: int | None = None
) -> AsyncGenerator[Part]:
    """Return the bytes. The entry is written after the first bytes were read, and before they are returned."""
    position = start
    # Every reader is a generator, so that it can be closed.
    async with aclosing(cast("AsyncGenerator[Part]", read(url, start, end))) as chunks:
        chunk = await anext(chunks, None)
        if chunk is None:
            return
        await play.begin(start)
        try:
            while chunk is not None:
                yield chunk
                # The server has sent a piece when it asks for the next one.
                play.heard(position, position + len(chunk))
                position += len(chunk)
                chunk = None
                chunk = await anext(chunks, None)
        finally:
            if isinstance(chunk, FilePart) and chunk.sent:
                play.heard(position, position + chunk.sent)
            play.pause()


def _playable(recording: Recording) -> Recording:
    if recording.state is not State.STORED or recording.media is None:
        message = f"recording {recording.id} has no audio to play: it is {recording.state}"
        raise MediaUnavailable(message, recording_id=recording.id)
    return recording
