"""The errors of media stores other than `MediaMissing`. The messages are for operators and contain no secrets."""

from recordings.ports.audio import MediaAccessError, MediaStoreUnavailableError


class MediaFaultError(MediaStoreUnavailableError):
    """The store cannot do this now. It stored nothing partial, and a retry is safe."""


class AccessRefusedError(MediaFaultError, MediaAccessError):
    """The store rejects the credentials, or they do not permit this request."""


class BrokenTransferError(MediaFaultError):
    """Fewer bytes were received than the store announced."""
