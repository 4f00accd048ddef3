"""The GraphQL types of an account's quotas and usage, and their resolvers."""

import strawberry

from graph.schema.field_info import Info
from graph.schema.scalars import BigInt
from recordings.model import account as domain
from recordings.model.quota import Quota, Usage

_BYTES = "The size of the stored audio in bytes, with the trash."
_RECORDINGS = "The recordings that were created since midnight UTC."
_STREAMS = "The streams at the same time, on each server."
_UPLOADS = "The uploads at the same time, on each server."
_DECODING = "The audio in seconds that was decoded, of the recordings that were created since midnight UTC."


@strawberry.type(description="The quotas of an account. Null means no limit. An operator sets them.")
class AccountQuota:
    bytes: BigInt | None = strawberry.field(description=_BYTES)
    recordings_per_day: BigInt | None = strawberry.field(description=_RECORDINGS)
    streams: BigInt | None = strawberry.field(description=_STREAMS)
    uploads: BigInt | None = strawberry.field(description=_UPLOADS)
    decoding_seconds: BigInt | None = strawberry.field(description=_DECODING)

    @classmethod
    def is_type_of(cls, source: object, *_: object) -> bool:
        return isinstance(source, Quota)


@strawberry.type(
    description="What an account uses, at most five seconds old. `streams` and `uploads` are those of the server that "
    "answers."
)
class AccountUsage:
    bytes: BigInt = strawberry.field(description=_BYTES)
    recordings_per_day: BigInt = strawberry.field(description=_RECORDINGS)
    streams: BigInt = strawberry.field(description=_STREAMS)
    uploads: BigInt = strawberry.field(description=_UPLOADS)
    decoding_seconds: BigInt = strawberry.field(description=_DECODING)

    @classmethod
    def is_type_of(cls, source: object, *_: object) -> bool:
        return isinstance(source, Usage)


async def resolve_quota(account: strawberry.Parent[domain.Account], info: Info) -> AccountQuota | None:
    """Return the quotas of an account; `None` for the credentials of one owner."""
    principal = info.context.principal
    quotas = info.context.recordings.quotas
    return None if principal.owner_id else await quotas.quota(principal, account.id)  # type: ignore[return-value]


async def resolve_usage(account: strawberry.Parent[domain.Account], info: Info) -> AccountUsage | None:
    """Return what an account uses; `None` for the credentials of one owner."""
    principal = info.context.principal
    quotas = info.context.recordings.quotas
    return None if principal.owner_id else await quotas.usage(principal, account.id)  # type: ignore[return-value]
