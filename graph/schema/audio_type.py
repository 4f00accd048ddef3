"""The stored audio of a recording, and how to play it."""

from enum import Enum
from typing import Annotated, Any
from urllib.parse import quote

import strawberry
from strawberry import UNSET

from graph.schema.field_info import Info
from graph.schema.resolver_context import Context
from graph.schema.scalars import JSON, URL, BigInt, DateTime, Sha256
from recordings.model.account import Scope
from recordings.model.recording import Media as StoredMedia
from recordings.model.recording import Row, State


@strawberry.enum(description="A format that a recording can be played in.")
class PlayedFormat(Enum):
    MP3 = strawberry.enum_value("mp3", description="`audio/mpeg`.")
    WAV = strawberry.enum_value("wav", description="`audio/x-wav`, 16 bits.")
    OPUS = strawberry.enum_value("opus", description="Opus in Ogg: `audio/ogg`. The smallest.")
    FLAC = strawberry.enum_value("flac", description="`audio/flac`: without a loss, half of a WAV.")


Format = Annotated[
    PlayedFormat | None,
    strawberry.argument(
        description="The format to play it in; as it is stored when left out. Another one is made when the URL is "
        "first asked for, which takes a while for a long recording."
    ),
]
Pixels = Annotated[int, strawberry.argument(description="How wide it is to be: from 1 to 10,000 pixels.")]


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
    if not _may_play(source, context):
        return None
    return URL(context.presigned.get(source["recording_id"]) or media_url(context, source["recording_id"]))


def url_expires_of(source: Row, context: Context) -> DateTime | None:
    """When that URL expires."""
    return DateTime(context.media_expires) if _may_play(source, context) else None


def url_as(source: Row, context: Context, format: PlayedFormat | None) -> URL | None:
    """The URL that plays this media in a format."""
    if not format or not _may_play(source, context):
        return url_of(source, context)
    # Other formats are made by the service, wherever the audio lies.
    return URL(f"{media_url(context, source['recording_id'])}&format={format.value}")


def _resolve_url(source: strawberry.Parent[Any], info: Info, format: Format = UNSET) -> URL | None:
    return url_as(source, info.context, format)


async def draw(source: Row, context: Context, pixels: int) -> None:
    """Have the waveform of this media drawn, if it may be, for `peaks_of` to give."""
    place = source["recording_id"], pixels
    if context.draw is None or place in context.drawn or not _may_play(source, context):
        return
    media = StoredMedia(**{name: source[name] for name in StoredMedia.__dataclass_fields__})
    try:
        asker = context.principal.account_id
        context.drawn[place] = await context.draw(source["recording_id"], media, pixels, asker)
    except Exception as error:  # noqa: BLE001 - raised where it is asked for, at its place in the answer
        context.drawn[place] = error


def peaks_of(source: Row, context: Context, pixels: int) -> JSON | None:
    """The waveform of this media, which was drawn before."""
    if context.draw is None or not _may_play(source, context):
        return None
    drawn = context.drawn[source["recording_id"], pixels]
    if isinstance(drawn, Exception):
        raise drawn
    return JSON(drawn)


async def _resolve_peaks(source: strawberry.Parent[Any], info: Info, pixels: Pixels) -> JSON | None:
    await draw(source, info.context, pixels)
    return peaks_of(source, info.context, pixels)


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
    peaks: JSON | None = strawberry.field(
        resolver=_resolve_peaks,
        description="Its waveform in at most so many pixels, in the JSON format of audiowaveform (version 2, 8 bits), "
        "as peaks.js loads it; wavesurfer.js takes its `data` as `peaks`. It is drawn when it is first asked for. Null "
        "without the scope LISTEN, and for a recording that is in the trash.",
    )
    content_type: str = strawberry.field(description="The media type, such as `audio/mpeg`.")
    length: BigInt = strawberry.field(description="The length in bytes.")
    duration_ms: int = strawberry.field(description="The length in milliseconds.")
    sample_rate: int = strawberry.field(description="The sampling rate in Hz.")
    channels: int = strawberry.field(description="How many channels: 2 have the caller left and the callee right.")
    sha256: Sha256 = strawberry.field(description="The SHA-256 of the bytes.")
    stored_at: DateTime = strawberry.field(description="When it was stored.")
