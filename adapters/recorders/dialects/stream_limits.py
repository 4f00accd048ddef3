"""The limits of all media streams, and the error for a message that breaks one."""

from typing import Final

MAX_MESSAGE: Final = 65_536
"""Maximum length (bytes or characters) of a message. Twilio's messages have about 400; a frame of two seconds fits."""
MAX_IGNORED: Final = 1_000
"""Maximum number of messages in a row that cannot be used."""
MAX_NAME: Final = 128
"""Maximum length (characters) of the ids in a stream."""


class ProtocolError(Exception):
    """A message that the protocol does not allow. The text names the fault and never quotes audio."""


class UnknownDialect(ProtocolError):  # noqa: N818 - a result, as `ProtocolError` is
    """The first messages of a stream belong to no known dialect."""


def check_name(field: str, value: str, least: int = 1) -> str:
    """Return an id. Raise `ProtocolError` if it is too long or not printable."""
    if not (least <= len(value) <= MAX_NAME and value.isprintable()):
        raise ProtocolError(f"{field} must have {least} to {MAX_NAME} printable characters")
    return value


class MessageCount:
    """Counts the messages in a row that cannot be used."""

    def __init__(self) -> None:
        self._count = 0

    def reset(self) -> None:
        """Start again, after a message that could be used."""
        self._count = 0

    def add(self, event: str) -> None:
        """Count a message. Raise `ProtocolError` after too many in a row."""
        self._count += 1
        if self._count > MAX_IGNORED:
            raise ProtocolError(f"more than {MAX_IGNORED} messages in a row cannot be used, the last is {event[:32]!r}")
