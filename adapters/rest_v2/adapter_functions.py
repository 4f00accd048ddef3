"""The functions of other adapters that the v2 API calls. Adapters must not import one another."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from recordings.model.account import Principal
from recordings.model.recording import Recording

Authenticate = Callable[[str], Awaitable[Principal]]
"""Return the principal of a token or an API key. Raises `Unauthenticated`."""

EndToken = Callable[[str], Awaitable[bool]]
"""End a token on all servers. Returns false for a credential that its holder cannot end."""

IssueToken = Callable[[Principal, int], str]
"""Return a new token for a principal, valid for this many seconds."""

Read = Callable[[str, int, int | None], AsyncIterator[bytes]]
"""`MediaStore.read`."""


class Converted(Protocol):
    """A recording in another format."""

    @property
    def recording(self) -> Recording:
        """The recording, with the media and the name of the converted audio."""

    def read(self, url: str, start: int, end: int | None, /) -> AsyncIterator[bytes]:
        """Read the converted audio, as `MediaStore.read` does."""


Convert = Callable[[Recording, str], Awaitable[Converted | None]]
"""Return a recording in a format (`wav`, `opus`, `flac`), or `None` if it is stored in that format.

Raises `MediaMissing`, `MediaUnavailable` or `Busy`.
"""
