"""The rule that decides which recording holds an uploaded file, so that the same file is stored only once.

The metadata store lets only one recording of an account hold a value of `held_source`:

- From the end of its upload until it is stored, a recording holds its file at its server. A second copy at this server
  is a duplicate. A second copy at another server is kept until one of them is stored, because the disk of a server can
  be lost.
- A stored recording holds its file everywhere, also in the trash. A second copy cannot be stored.
- A recording that failed, was discarded, lost or purged holds nothing, because its audio cannot be played. The same
  file can then be stored by another recording.
"""

from collections.abc import Iterable

from recordings.model.events import Ended, Event
from recordings.model.recording import Recording, State


def held_source(before: Recording, after: Recording, event: Event) -> str | None:
    """Return the `held_source` of a recording after an event; `None` if it holds nothing."""
    if after.state is State.FINALIZING:
        # If lost audio is found again, this server may have another copy of the file. The copy that is stored first
        # then holds it.
        is_received = isinstance(event, Ended) and event.source_sha256 is not None
        return f"{after.source}@{after.node}" if is_received else None
    if after.state is State.STORED and before.state is State.FINALIZING:
        return after.source
    # An older release may have stored a file twice. Then one of the recordings holds nothing, and this stays so.
    return before.held_source if has_stored_audio(after) else None


def has_stored_audio(recording: Recording) -> bool:
    """Return true if a recording has audio in a media store, also if it is in the trash."""
    return State.STORED is (recording.trashed_from if recording.state is State.TRASHED else recording.state)


def first_of(holders: Iterable[Recording]) -> Recording | None:
    """Return the recording that keeps a file: the stored one, or the one that had all of the file first."""
    return min(holders, key=lambda found: (not has_stored_audio(found), found.ended or 0, found.id), default=None)
