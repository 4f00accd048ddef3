"""What can happen to a recording. `recordings.rules.lifecycle` says what each of these does in each state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recordings.model.instants import Millis
from recordings.model.recording import EndCause, Media, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a recording, at an instant."""

    at: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Armed(Event):
    """The recorder waits for the answer or the bridge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun(Event):
    """Audio is being recorded from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused(Event):
    """From `at_ms` of the audio on nothing is recorded, and time stands still."""

    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """Recording goes on after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked(Event):
    """From `at_ms` of the audio on silence is recorded in place of what is said."""

    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmasked(Event):
    """What is said is recorded again after a mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """Somebody asked to stop, and the recorder did. Refused where there is nothing to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(Event):
    """The recorder says that the audio ended. Recorders say so twice, and late: then it changes nothing."""

    cause: EndCause
    source_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened(Event):
    """A sender whose body broke off sends it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Event):
    """The finalizer stored the audio and read it back.

    `format` is what it really is, `delete_at` when its retention is over, `delivery_id` what a delivery to its `url`
    is called.
    """

    media: Media
    format: str
    delete_at: Millis | None = None
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded(Event):
    """There is nothing worth keeping, as asked for or by its nature."""

    reason: Reason
    detail: str | None = None
    duration_ms: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Event):
    """It went wrong; what there is of audio is kept aside."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Event):
    """Whoever held the audio is gone. If it comes back with it, it ends after all."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trashed(Event):
    """Deleted, until `purge_at` with a way back; by whom and, if that was said, why."""

    by: str
    purge_at: Millis
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Event):
    """Taken out of the trash. `delete_at` is when its retention is over, by the rules of now."""

    delete_at: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged(Event):
    """Its audio is gone for good; what is left is a tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated(Event):
    """Somebody wrote something on it (`None` takes a key out). Its life goes on as it was."""

    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered(Event):
    """It arrived at its `url`, by the delivery of this id (the one that it has, if none is said)."""

    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed(Event):
    """It did not arrive; it is sent again at `retry_at`, or, without one, no more."""

    error: str
    retry_at: Millis | None
    delivery_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redelivered(Event):
    """Somebody wants it sent to its `url` (again)."""

    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held(Event):
    """A legal hold is laid on it. A second one changes nothing."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """Its legal hold is lifted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained(Event):
    """Another rule says how long it is kept."""

    delete_at: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Event):
    """Its stored audio is not there any more."""

    detail: str
