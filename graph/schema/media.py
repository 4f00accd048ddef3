"""The stored audio of a recording, and how to play it."""

from typing import Any
from urllib.parse import quote

import strawberry

from graph.context import Context
from graph.schema.info import Info
from graph.schema.scalars import URL, BigInt, DateTime, Sha256
from recordings.access import Scope
from recordings.recording import Row, State


def media_url(context: Context, recording_id: str) -> str:
    """A URL that plays one recording until it expires, for whoever has it: an `<audio>` element can send no header."""
    expires = context.media_expires
    signature = context.grants.sign(recording_id, expires)
    where = f"{context.base_url}/media/{quote(recording_id, safe='')}"
    return f"{where}?expires={expires}&signature={signature}&inline=true"


def resolve_media(row: strawberry.Parent[Row]) -> Any:
    """The row's media with what the URL of it is made of; where it is kept stays inside."""
    media = row["media"]
    if media is None:
        return None
    return media | {"recording_id": row["id"], "state": row["state"]}


def _may_play(source: Row, context: Context) -> bool:
    return source["state"] == State.STORED and Scope.LISTEN in context.principal.scopes


def url_of(source: Row, context: Context) -> URL | None:
    """The URL that plays this media, where there may be one."""
    return URL(media_url(context, source["recording_id"])) if _may_play(source, context) else None


def url_expires_of(source: Row, context: Context) -> DateTime | None:
    """When that URL expires."""
    return DateTime(context.media_expires) if _may_play(source, context) else None


def _resolve_url(source: strawberry.Parent[Any], info: Info) -> URL | None:
    return url_of(source, info.context)


def _resolve_url_expires(source: strawberry.Parent[Any], info: Info) -> DateTime | None:
    return url_expires_of(source, info.context)


@strawberry.type(description="The stored audio of a recording. All of it was measured on the decoded audio.")
class Media:
    url: URL | None = strawberry.field(
        resolver=_resolve_url,
        description="Plays the audio without a header, in an `<audio>` element for one, until `urlExpires`. Whoever "
        "has it can listen, so it is null without the scope LISTEN, and for a recording that is in the trash.",
    )
    url_expires: DateTime | None = strawberry.field(
        resolver=_resolve_url_expires, description="When `url` stops working; null where there is no `url`."
    )
    content_type: str = strawberry.field(description="The media type, such as `audio/mpeg`.")
    length: BigInt = strawberry.field(description="The length in bytes.")
    duration_ms: int = strawberry.field(description="The length in milliseconds.")
    sample_rate: int = strawberry.field(description="The sampling rate in Hz.")
    channels: int = strawberry.field(description="How many channels: 2 have the caller left and the callee right.")
    sha256: Sha256 = strawberry.field(description="The SHA-256 of the bytes.")
    stored_at: DateTime = strawberry.field(description="When it was stored.")
