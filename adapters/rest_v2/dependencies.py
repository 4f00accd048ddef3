"""What the shim needs of others, as Protocols, and what an installation decides about it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from adapters.http.token_bucket import Rate
from recordings.model.account import Account, Principal
from recordings.model.recording import Recording

Read = Callable[[str, int, int | None], AsyncIterator[bytes]]
"""`MediaStore.read`."""


class Converted(Protocol):
    """A recording as it is in another format."""

    @property
    def recording(self) -> Recording:
        """It, with media and a name that are the rendition's."""

    def read(self, url: str, start: int, end: int | None, /) -> AsyncIterator[bytes]:
        """As `MediaStore.read`, for the rendition."""


class Convert(Protocol):
    """Makes renditions."""

    async def __call__(self, recording: Recording, format: str, /) -> Converted | None:
        """A recording in a format (`wav`, `opus`, `flac`); `None` if that is how it is stored.

        Raises `MediaMissing`, `MediaUnavailable` or `Busy`.
        """


class Identity(Protocol):
    """Tells whose a token or an API key is."""

    async def authenticate_token(self, token: str) -> Principal:
        """The principal of a token or an API key. Raises `Unauthenticated`."""

    async def end_token(self, token: str) -> bool:
        """End a token of ours, everywhere; `False` for what is none and so cannot be ended by its holder."""


class Issue(Protocol):
    """Makes tokens."""

    def __call__(self, principal: Principal, seconds: int) -> str:
        """A token that makes whoever has it this principal, for so many seconds."""


class Accounts(Protocol):
    """Knows accounts. Of `recordings.ports.account_stores.AccountStore`."""

    async def account(self, account_id: str) -> Account | None:
        """An account by id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an installation decides."""

    owner_sees_account: bool = False
    """Whether a token with an owner reads every recording of its account, as in the reference."""
    max_rows: int = 250_000
    """The most recordings that one answer without paging may have; more is 416."""
    max_bytes: int = 1 << 30
    """The most bytes of the same, estimated on the first of them."""
    token_seconds: int = 3_600
    """How long a token of `api_auth` and `user_auth` holds."""
    rate: Rate = Rate(capacity=100, per_second=10.0)  # noqa: RUF009 - frozen
    """Tokens of each client and account."""
    language: str = "en-us"
    timezone: str = "UTC"
