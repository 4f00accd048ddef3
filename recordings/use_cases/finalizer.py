"""The background steps that handle audio: from the spool to the media store, and the purge."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from recordings.model.audit_entry import AuditAction
from recordings.model.events import Discarded, Event, Failed, Lost, Purged, Stored
from recordings.model.ids import new_id
from recordings.model.installation import InstallationPolicy
from recordings.model.instants import MINUTE, SECOND, Millis
from recordings.model.policy_trace import ConsentState
from recordings.model.recording import Media, Reason, Recording, Reference, State
from recordings.model.retention import Retention, delete_at
from recordings.ports.audio import (
    AudioProcessor,
    MediaMissing,
    MediaStore,
    MediaStoreUnavailableError,
    NotAudio,
    ReceivedFile,
    Rendered,
    Spool,
    SpoolDamaged,
    SpooledAudio,
    Target,
    TooLong,
)
from recordings.ports.audit import Audit, recording_object
from recordings.ports.clock import Clock
from recordings.ports.recording_store import MetadataStore
from recordings.rules.amendments import NO_CONSENT
from recordings.rules.held_source import first_of, has_stored_audio
from recordings.rules.media_keys import plain_location, provider_of

COPY_WAIT: Final = 2 * MINUTE
"""How long a copy of a file waits for the first copy, which another server stores. Then this copy is stored."""

STORED_FORMATS: Final = ("mp3", "wav", "opus")
"""The formats in which audio is stored: each is the extension of a key."""

Forget = Callable[[str], Awaitable[int]]
"""Deletes the files that were made from audio with this SHA-256, so that no copy of deleted audio remains.

Returns their number.
"""


class Damaged(Exception):  # noqa: N818 - temporary; the step is retried
    """The media store returned other bytes than the ones that were stored."""


class CannotRender(Exception):  # noqa: N818 - the step is retried; then the recording fails
    """The audio processor failed on this audio, for an unknown reason: not `NotAudio`, and not a disk error."""


class Unreadable(Exception):  # noqa: N818 - the step is retried; then the recording is lost
    """The storage provider that has the audio is unreachable, or refuses the request."""


class Finalizer:
    """Decodes, measures, converts and stores audio, and reads it back. Purges audio. Frees the node's disk."""

    def __init__(
        self,
        *,
        store: MetadataStore,
        media: MediaStore,
        spool: Spool,
        audio_processor: AudioProcessor,
        clock: Clock,
        audit: Audit,
        forget: Forget | None = None,
        policy: InstallationPolicy | None = None,
    ) -> None:
        self._store = store
        self._media = media
        self.spool = spool
        self._audio_processor = audio_processor
        self._clock = clock
        self._audit = audit
        self._forget = forget
        self._policy = policy or InstallationPolicy()

    async def finalize(self, recording: Recording) -> Event | None:
        """Finalize a recording whose audio has ended. Return the resulting event; `None` to try again later.

        Raises:
            CannotRender: the audio processor failed on it.
            Unreadable: its storage provider cannot be read now. Any other error is not caused by the audio.
        """
        if recording.reference is not None:
            return await self._finalize_reference(recording, recording.reference)
        audio = await self._spooled(recording)
        if isinstance(audio, Event):
            return audio
        if (original := await self.first_copy(recording)) is not None:
            if has_stored_audio(original):
                await self._remove_unsaved(recording)
                return self._duplicate(original)
            if self._clock.now() - (recording.ended or 0) < COPY_WAIT:
                return None
        rendered = await self._render(recording, audio)
        if isinstance(rendered, Event):
            return rendered
        return await self._stored(recording, rendered, await self._keep(recording, rendered))

    async def _finalize_reference(self, recording: Recording, reference: Reference) -> Event:
        """Measure audio that stays at a storage provider."""
        received = await self._fetch(recording, reference)
        if isinstance(received, Event):
            return received
        audio = await self._spooled(recording)
        rendered = audio if isinstance(audio, Event) else await self._render(recording, audio)
        if isinstance(rendered, Failed | Discarded):
            # The next import compares this digest with the audio that the provider has then.
            return replace(rendered, source_sha256=received.sha256)
        if isinstance(rendered, Event):
            return rendered
        return await self._stored(recording, rendered, self._refer(reference, received, rendered))

    async def _spooled(self, recording: Recording) -> SpooledAudio | Failed | Lost | Discarded:
        """Return the spooled audio of a recording. Return the event if there is none, or no consent to keep it."""
        if recording.consent is not None and recording.consent.state is ConsentState.REFUSED:
            # Its audio is deleted from the disk when this is saved.
            detail = NO_CONSENT[recording.consent.state]
            return Discarded(at=self._clock.now(), reason=Reason.NO_CONSENT, detail=detail)
        try:
            audio = await self.spool.audio(recording.id)
        except SpoolDamaged as error:
            return Failed(at=self._clock.now(), reason=Reason.FINALIZER_FAILED, detail=str(error)[:500])
        if audio is None:
            return Lost(at=self._clock.now(), reason=Reason.AUDIO_MISSING, detail="its audio is not on the disk")
        return audio

    async def _render(self, recording: Recording, audio: SpooledAudio) -> Rendered | Event:
        """Decode and measure spooled audio. Return the event if the audio cannot be stored."""
        try:
            target = self._target_of(recording)
            rendered = await self._audio_processor.render(recording.id, audio, target, recording.account_id)
        except TooLong as error:
            return Failed(at=self._clock.now(), reason=Reason.TOO_LONG, detail=str(error)[:500])
        except NotAudio as error:
            return Failed(at=self._clock.now(), reason=Reason.NOT_AUDIO, detail=str(error)[:500])
        except OSError:
            # For example, the disk is full. A retry may succeed.
            raise
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            raise CannotRender(message) from error
        return self._check_duration(recording, rendered) or rendered

    async def _stored(self, recording: Recording, rendered: Rendered, media: Media) -> Stored:
        # The system that made an imported recording has delivered it already.
        delivers = recording.options.url is not None and recording.imported is None
        return Stored(
            at=self._clock.now(),
            media=media,
            format=rendered.format,
            delete_at=delete_at(await self._rules(recording), recording),
            delivery_id=new_id() if delivers else None,
        )

    async def _fetch(self, recording: Recording, reference: Reference) -> ReceivedFile | Lost:
        """Copy audio from its storage provider into the spool, to measure it. The audio itself stays there."""
        provider, extension = provider_of(reference.url), recording.name.rpartition(".")[2]
        try:
            received = await self.spool.receive(recording.id, extension, self._media.read(reference.url))
        except MediaMissing:
            detail = f"{provider} has no such audio"
        except (ValueError, ImportError) as error:
            detail = f"audio at {provider} cannot be read: {error}"
        except MediaStoreUnavailableError as error:
            message = f"audio at {provider}: {error}"
            raise Unreadable(message) from error
        else:
            if reference.length in {None, received.length}:
                return received
            detail = f"the audio at {provider} has {received.length} bytes, but the attachment has {reference.length}"
        await self.spool.remove(recording.id)
        return Lost(at=self._clock.now(), reason=Reason.AUDIO_MISSING, detail=detail[:500])

    def _refer(self, reference: Reference, received: ReceivedFile, rendered: Rendered) -> Media:
        """Return the media of audio that stays at its storage provider."""
        is_same = rendered.sha256 == received.sha256
        return replace(
            self._media_of(reference.url, rendered),
            content_type=rendered.content_type if is_same else reference.content_type or rendered.content_type,
            length=received.length,
            sha256=received.sha256,
            place=provider_of(reference.url),
        )

    def _target_of(self, recording: Recording) -> Target:
        options = recording.options
        limit: Millis = options.time_limit * SECOND if recording.source_key is None else self._policy.max_received
        return Target(options.format, options.record_sample_rate, limit, accept_video=self._policy.accept_video)

    async def discard_copy(self, stored: Stored, original: Recording) -> Event:
        """Delete the audio that was stored for a recording, because `original` has the same uploaded file."""
        if stored.media.place is None:
            await self._media.delete(stored.media.url)
        return self._duplicate(original)

    async def _remove_unsaved(self, recording: Recording) -> None:
        """Delete audio that an earlier try has stored, if that try ended before it saved the audio's URL."""
        for audio_format in STORED_FORMATS:
            await self._media.remove(media_key(recording, audio_format))

    def _duplicate(self, original: Recording) -> Event:
        detail = f"the same bytes are recording {original.id}"
        return Discarded(at=self._clock.now(), reason=Reason.DUPLICATE, detail=detail)

    async def first_copy(self, recording: Recording) -> Recording | None:
        """Return the other recording that has, or will have, the stored audio of the same uploaded file."""
        if recording.source is None:
            return None
        found = await self._store.find_holders(recording.account_id, recording.source)
        first = first_of([recording, *(each for each in found if each.id != recording.id)])
        return first if first is not None and first.id != recording.id else None

    async def _rules(self, recording: Recording) -> Sequence[Retention]:
        account = await self._store.account(recording.account_id)
        return account.retention if account is not None else ()

    def _check_duration(self, recording: Recording, rendered: Rendered) -> Event | None:
        least = recording.options.record_min_sec * SECOND
        if 0 < rendered.duration_ms >= least:
            return None
        reason = Reason.TOO_SHORT if rendered.duration_ms else Reason.EMPTY
        detail = f"{rendered.duration_ms} ms of audio, at least {least} ms are required" if least else None
        return Discarded(at=self._clock.now(), reason=reason, detail=detail, duration_ms=rendered.duration_ms)

    async def _keep(self, recording: Recording, rendered: Rendered) -> Media:
        key = media_key(recording, rendered.format)
        url, digest = await self._media.keep(key, rendered.path, rendered.content_type)
        if digest != rendered.sha256:
            message = f"read back {digest} instead of {rendered.sha256}"
            raise Damaged(message)
        return self._media_of(url, rendered)

    def _media_of(self, url: str, rendered: Rendered) -> Media:
        return Media(
            url=url,
            content_type=rendered.content_type,
            length=rendered.length,
            duration_ms=rendered.duration_ms,
            sample_rate=rendered.sample_rate,
            channels=rendered.channels,
            sha256=rendered.sha256,
            stored_at=self._clock.now(),
            damage=None if rendered.damage is None else rendered.damage[:500],
            expected_ms=rendered.expected_ms,
        )

    async def purge(self, recording: Recording) -> Event:
        """Delete all audio of a recording that this service stored. Audio at an external storage provider stays.

        The audit trail gets an entry with the erased parts and their locations. A repeated purge has the same entry.
        """
        media = recording.media
        erased: dict[str, Any] = {"metadata": "the recording is a tombstone"}
        if media is not None and is_stored_here(recording, media):
            await self._media.delete(media.url)
            erased["audio"] = plain_location(media.url)
            if media.former_url is not None:
                await self._media.delete(media.former_url)
                erased["former_audio"] = plain_location(media.former_url)
        elif media is not None:
            erased["kept"] = provider_of(media.url)
        elif recording.trashed_from in {State.FAILED, State.LOST}:
            await self._remove_unsaved(recording)
        if media is not None and self._forget is not None:
            erased["renditions"] = await self._forget(media.sha256)
        spooled = await self.spool.forget(recording.id)
        erased["spool"] = [path for path in spooled if path.startswith("spool/")]
        erased["aside"] = [path for path in spooled if not path.startswith("spool/")]
        await self._audit.record(
            None, AuditAction.ERASE, recording_object(recording), entry_id=f"{recording.id}-erased", erased=erased
        )
        return Purged(at=self._clock.now())

    async def note_expiry(self, recording: Recording) -> None:
        """Write an entry of the audit trail before a recording is deleted because its retention is over."""
        due = recording.delete_at
        entry_id = f"{recording.id}-expired-{due}"
        await self._audit.record(None, AuditAction.EXPIRE, recording_object(recording), entry_id=entry_id, due=due)

    async def clear(self, recording: Recording) -> None:
        """Delete the files on the node's disk that a recording in this state does not need."""
        # A deleted recording can return to its earlier state.
        state = recording.trashed_from if recording.state is State.TRASHED else recording.state
        if recording.in_progress or state is State.FINALIZING:
            return
        await self._audio_processor.discard(recording.id)
        if state is State.FAILED or _has_damaged_copy(recording):
            await self.spool.set_aside(recording.id)
        elif state is not State.LOST:
            await self.spool.remove(recording.id)


def _has_damaged_copy(recording: Recording) -> bool:
    """Return true if the stored audio is only a part of the received file. A storage provider keeps the whole file."""
    media = recording.media
    return media is not None and media.damage is not None and media.place is None


def is_stored_here(recording: Recording, media: Media) -> bool:
    """Return true if this service stored the audio. Then the URL ends in the recording's own key."""
    if media.place is not None:
        return False
    key = media_key(recording, recording.format)
    return media.url.endswith((f"/{key}", f":{key}"))


def media_key(recording: Recording, audio_format: str) -> str:
    """Return the key of audio in a media store. It is made of ids only, never of names that a client chose."""
    safe = recording.id if recording.id.replace("-", "").isalnum() and recording.id.isascii() else None
    name = safe or hashlib.sha256(recording.id.encode()).hexdigest()
    return f"{recording.account_id}/{name[:6]}/{name}.{audio_format}"
