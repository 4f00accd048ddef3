"""Makes a server process less patient, so that tests of stalls take seconds."""

from adapters.media import media_router


def for_media(seconds: str) -> None:
    """Set how long the server waits for a media store."""
    setattr(media_router, "IDLE_SECONDS", float(seconds))  # noqa: B010 - mypy rejects the assignment of a constant
