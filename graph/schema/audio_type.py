"""The stored audio of a recording: the `Media` type, its signed URL and its waveform."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import quote

import strawberry
from strawberry import UNSET

from graph.schema.enums import PlayedFormat, Scope, State
from graph.schema.field_info import Info
from graph.schema.resolver_context import Context
from graph.schema.scalars import JSON, URL, BigInt, DateTime, Sha256
from recordings.model.fields import RecordingRow
from recordings.model.recording import Media as StoredMedia

Format = Annotated[
    PlayedFormat | None,
    strawberry.argument(
        description="The audio format to play. Default: the format in which the audio is stored. The service makes "
        "other formats on the first request for the URL, which takes some time for a long recording."
    ),
]
Pixels = Annotated[int, strawberry.argument(description="The width of the waveform in pixels: 1 to 10,000.")]


def media_url(context: Context, recording_id: str) -> str:
    """Return a signed URL that plays one recording until it expires.

    The signature is in the URL because an `<audio>` element cannot send a header.
    """
    expires = context.media_expires
    requester = context.media_requester
    signature = context.grants.sign(recording_id, expires, requester)
    address = f"{context.base_url}/media/{quote(recording_id, safe='')}"
    return f"{address}?expires={expires}&by={requester}&signature={signature}&inline=true"


_UNKNOWN: Final[Mapping[str, None]] = {"damage": None, "expected_ms": None, "place": None}


def resolve_media(row: strawberry.Parent[RecordingRow]) -> Any:
    """Return the row's media with the values that its fields need. Clients do not see its location in the store."""
    media = row["media"]
    if media is None:
        return None
    # Media that earlier releases stored has no such fields.
    return {**_UNKNOWN, **media, "recording_id": row["id"], "state": row["state"]}


def _may_play(media: Mapping[str, Any], context: Context) -> bool:
    return media["state"] == State.STORED and Scope.LISTEN in context.principal.scopes


def url_of(media: Mapping[str, Any], context: Context) -> URL | None:
    """Return the URL that plays this media, or `None` if the caller may not play it."""
    if not _may_play(media, context):
        return None
    return URL(context.presigned.get(media["recording_id"]) or media_url(context, media["recording_id"]))


def url_expires_of(media: Mapping[str, Any], context: Context) -> DateTime | None:
    """Return the expiry of that URL, or `None` if there is no URL."""
    return DateTime(context.media_expires) if _may_play(media, context) else None


def url_in_format(media: Mapping[str, Any], context: Context, format: PlayedFormat | None) -> URL | None:
    """Return the URL that plays this media in the format, or `None` if the caller may not play it."""
    if not format or not _may_play(media, context):
        return url_of(media, context)
    # Only this service converts audio, so this URL is never one of the media store.
    return URL(f"{media_url(context, media['recording_id'])}&format={format.value}")


def _resolve_url(media: strawberry.Parent[Any], info: Info, format: Format = UNSET) -> URL | None:
    return url_in_format(media, info.context, format)


async def draw_waveform(media: Mapping[str, Any], context: Context, pixels: int) -> None:
    """Put the waveform of this media into the context, for `peaks_of`. Do nothing if the caller may not play it."""
    key = media["recording_id"], pixels
    if context.draw is None or key in context.waveforms or not _may_play(media, context):
        return
    stored = StoredMedia(**{name: media[name] for name in StoredMedia.__dataclass_fields__})
    try:
        account_id = context.principal.account_id
        context.waveforms[key] = await context.draw(media["recording_id"], stored, pixels, account_id)
    except Exception as error:  # noqa: BLE001 - `peaks_of` raises it, so that the error has the path of the field
        context.waveforms[key] = error


def peaks_of(media: Mapping[str, Any], context: Context, pixels: int) -> JSON | None:
    """Return the waveform that `draw_waveform` put into the context. Raise the error if it could not be drawn."""
    if context.draw is None or not _may_play(media, context):
        return None
    waveform = context.waveforms[media["recording_id"], pixels]
    if isinstance(waveform, Exception):
        raise waveform
    return JSON(waveform)


async def _resolve_peaks(media: strawberry.Parent[Any], info: Info, pixels: Pixels) -> JSON | None:
    await draw_waveform(media, info.context, pixels)
    return peaks_of(media, info.context, pixels)


def _resolve_url_expires(media: strawberry.Parent[Any], info: Info) -> DateTime | None:
    return url_expires_of(media, info.context)


def _resolve_damaged(media: strawberry.Parent[Any]) -> bool:
    return damaged_of(media)


def damaged_of(media: Mapping[str, Any]) -> bool:
    """Return whether the received file was damaged."""
    return media["damage"] is not None


@strawberry.type(
    description="The stored audio of a recording. The service measured these values itself, when it decoded the audio."
)
class Media:
    url: URL | None = strawberry.field(
        resolver=_resolve_url,
        description="A signed URL that plays the audio without further credentials, for example in an `<audio>` "
        "element, until `urlExpires`. Anyone who has the URL can listen. Null without the scope LISTEN, and for a "
        "recording in the trash.",
    )
    url_expires: DateTime | None = strawberry.field(
        resolver=_resolve_url_expires, description="The time at which `url` expires. Null if `url` is null."
    )
    peaks: JSON | None = strawberry.field(
        resolver=_resolve_peaks,
        description="The waveform of the audio, in the JSON format of audiowaveform (version 2, 8 bits). peaks.js "
        "loads it as it is; wavesurfer.js takes its `data` as `peaks`. The service draws it on the first request. "
        "Null without the scope LISTEN, and for a recording in the trash.",
    )
    content_type: str = strawberry.field(description="The media type, such as `audio/mpeg`.")
    length: BigInt = strawberry.field(description="The size in bytes.")
    duration_ms: int = strawberry.field(description="The duration in milliseconds.")
    sample_rate: int = strawberry.field(description="The sampling rate in Hz.")
    channels: int = strawberry.field(
        description="The number of channels. In a recording with 2 channels, the caller is left and the callee right."
    )
    sha256: Sha256 = strawberry.field(description="The SHA-256 digest of the stored file.")
    stored_at: DateTime = strawberry.field(description="The time at which the audio was stored.")
    damaged: bool = strawberry.field(
        resolver=_resolve_damaged,
        description="Whether a part of the received file is missing or damaged. The stored audio is the part that "
        "could be decoded, and the server keeps the received file for its operator.",
    )
    damage: str | None = strawberry.field(description="The missing or damaged part, in words. Null if there is none.")
    expected_ms: int | None = strawberry.field(
        description="The duration in milliseconds that the received file announced, if it differs from `durationMs`."
    )
    place: str | None = strawberry.field(
        description="The storage provider that keeps the audio, such as `https://audio.example.com` or `s3://bucket`. "
        "The service plays the audio from there and never deletes it. Null if this service itself keeps the audio."
    )
