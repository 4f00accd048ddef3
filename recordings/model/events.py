"""The events of a recording, and the other causes of a write.

`recordings.rules.lifecycle` defines the effect of each event in each state. `recordings.use_cases.save_event` writes
recordings; each write has one `Cause`.
"""

from dataclasses import dataclass

from recordings.model.instants import Millis
from recordings.model.policy_trace import ConsentState
from recordings.model.recording import EndCause, Lease, Media, Reason, Reference, SpanKind
from recordings.model.recording_changes import RecordingChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A thing that happened to a recording. `at` is when it happened."""

    at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed(Event):
    """The recorder waits for the call to be answered or bridged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Event):
    """The recorder started to record audio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """Recording was paused. `at_ms` is the position in the audio; no audio is added until `Resumed`."""

    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """Recording continued after a pause. Without `length_ms`, the length of the pause is taken from the clock."""

    length_ms: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked(Event):
    """Masking started. `at_ms` is the position in the audio; silence is recorded until `Unmasked`."""

    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasked(Event):
    """Masking ended; the call's audio is recorded again. `length_ms` is as in `Resumed`."""

    length_ms: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted(Event):
    """The sender had no audio for a while. The audio has silence of `duration_ms` from `at_ms` on."""

    kind: SpanKind
    at_ms: Millis
    duration_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """A caller stopped the recording, and so did the recorder. Refused if no recording is in progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Event):
    """The audio ended. Recorders may report this late or twice; a repeated report changes nothing.

    `node` is the server that has the audio on its disk, if that is another one than before.
    """

    cause: EndCause
    source_sha256: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened(Event):
    """A sender sends an incomplete upload again. `node` is the server that receives it, if that changed."""

    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFound(Event):
    """An import found audio for an imported recording that has none: its audio was missing, or could not be used.

    The audio is on the disk of the server `node`, or at a storage provider (`reference`).
    """

    source_sha256: str | None = None
    node: str | None = None
    reference: Reference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Event):
    """The finalizer stored the audio and read it back.

    `format` is the format of the stored file. `delete_at` is when its retention ends. `delivery_id` is the id of the
    delivery to the recording's `url`.
    """

    media: Media
    format: str
    delete_at: Millis | None = None
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded(Event):
    """The recording has no audio to keep: it is empty, a duplicate, or shorter than the caller's minimum."""

    reason: Reason
    detail: str | None = None
    duration_ms: Millis | None = None
    source_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """Recording or finalizing failed. Any audio is set aside on the server's disk.

    `source_sha256` is the digest of the audio, if it was not known before.
    """

    reason: Reason
    detail: str | None = None
    source_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Event):
    """The audio cannot be found, or its server is gone. If that server returns with the audio, `Ended` follows."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashed(Event):
    """The recording was deleted. It can be restored until `purge_at`."""

    by: str
    purge_at: Millis
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Event):
    """The recording was taken out of the trash. `delete_at` is when its retention ends, by the current rules."""

    delete_at: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Event):
    """The audio was deleted for good. A tombstone remains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated(Event):
    """A caller changed the label, the name or the user metadata."""

    changes: RecordingChanges


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(Event):
    """The delivery succeeded. Without a `delivery_id`, this is about the current delivery."""

    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(Event):
    """An attempt to deliver failed. `retry_at` is the next attempt; `None` means that there is none."""

    error: str
    retry_at: Millis | None
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redelivered(Event):
    """A caller asked for a new delivery to the recording's `url`."""

    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Event):
    """A legal hold was placed. A second hold changes nothing."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Consented(Event):
    """The parties of the call answered whether they consent to the recording. `by` is who reported it."""

    state: ConsentState
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """The legal hold was lifted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained(Event):
    """The account's retention rules changed. `delete_at` is when the retention ends now."""

    delete_at: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Event):
    """The stored audio is no longer in the media store."""

    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A new recording was inserted."""

    at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescheduled:
    """The next background step got another due date. The recording's state and `modified` do not change.

    `lease` is the process that works on the recording until then. `node`, `attempts` and `detail` are new values;
    `None` keeps the recording's own.
    """

    at: Millis
    due_at: Millis | None
    lease: Lease | None = None
    node: str | None = None
    attempts: int | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A new recording was removed: its upload was refused before it was complete."""

    at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """The same audio is at another URL now, or the copy at its former URL was deleted. No client gets this event."""

    at: Millis
    media: Media


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStored:
    """The idempotency key of an action was stored. The action itself changed nothing."""

    at: Millis


Cause = Event | Created | Rescheduled | Withdrawn | Moved | KeyStored
"""The cause of one write of a recording."""
