"""What the shim needs of others, as Protocols, and what an installation decides about it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from adapters.rest_v2.buckets import Rate
from recordings.access import Account, Principal

Read = Callable[[str, int, int | None], AsyncIterator[bytes]]
"""`MediaStore.read`."""


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
    """Knows accounts. Of `recordings.directory.DirectoryStore`."""

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
    rate: Rate = field(default_factory=Rate)
    language: str = "en-us"
    timezone: str = "UTC"
