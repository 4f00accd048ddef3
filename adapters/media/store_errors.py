"""What a store may fail with, besides `MediaMissing`. The messages are for an operator, and have no secret in them."""

from recordings.ports.audio import MediaStoreUnavailableError


class MediaFaultError(MediaStoreUnavailableError):
    """The store could not do it now; nothing half was left, and trying again is safe."""


class AccessRefusedError(MediaFaultError):
    """The store does not accept our credentials (any more), or not for this."""


class BrokenTransferError(MediaFaultError):
    """The bytes that came are not as many as were announced."""
