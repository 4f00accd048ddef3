"""What a resolver has at hand while it answers one request."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from recordings.model.account import Account, Principal
from recordings.model.instants import Millis
from recordings.model.query import MAX_PAGE
from recordings.model.recording import Media, Row
from recordings.ports.process import Clock
from recordings.rules.cursor import Cursors
from recordings.rules.media_grants import Grants
from recordings.use_cases.recordings import Recordings

Draw = Callable[[str, Media, int, str], Awaitable[Mapping[str, Any]]]
"""The waveform of a recording's media, in so many pixels, for an account that asks. Raises `Refused`."""
Presign = Callable[[Iterable[Row]], Awaitable[Mapping[str, str]]]
"""The store's own URLs for rows of recordings, by id, where it has any."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """Who is asking, and the use cases.

    `locate` says where the service is found, for the URLs that are given out. `max_page` is how many recordings may be
    asked for at once, in a page or by their ids.
    """

    principal: Principal
    recordings: Recordings
    cursors: Cursors
    grants: Grants
    clock: Clock
    locate: Callable[[], str]
    media_ttl: Millis
    draw: Draw | None = None
    presign: Presign | None = None
    max_page: int = MAX_PAGE
    presigned: dict[str, str] = field(default_factory=dict)
    drawn: dict[tuple[str, int], Mapping[str, Any] | Exception] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)

    @cached_property
    def base_url(self) -> str:
        """What begins every URL that is given out; it has no `/` at its end."""
        return self.locate().rstrip("/")

    @cached_property
    def media_expires(self) -> Millis:
        """When the media URLs of this answer expire: the same instant for all of them."""
        return self.clock.now() + self.media_ttl
