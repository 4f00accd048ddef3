"""URLs by which the store itself plays recordings, so that their bytes need not pass through the service."""

from collections.abc import Iterable, Mapping

from adapters.http.audio_types import format_of
from adapters.http.download_name import content_disposition, download_name
from adapters.media import MediaRouter
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import Row, State


class Presigning:
    """Signs for a page of recordings what lies in a store that signs (S3); what lies elsewhere has no such URL."""

    def __init__(self, media: MediaRouter, ttl: Millis) -> None:
        self._media = media
        self._seconds = ttl // SECOND

    async def urls(self, rows: Iterable[Row]) -> Mapping[str, str]:
        """The URLs by recording. Signing is computing: the store is not asked."""
        signed = {row["id"]: await self._sign(row["id"], row["media"]) for row in rows if _is_playable(row)}
        return {identity: url for identity, url in signed.items() if url is not None}

    async def _sign(self, recording_id: str, media: Mapping[str, str]) -> str | None:
        name = download_name("", recording_id, format_of(media["content_type"]))
        return await self._media.presign(
            media["url"],
            self._seconds,
            content_type=media["content_type"],
            disposition=content_disposition(name, inline=True),
        )


def _is_playable(row: Row) -> bool:
    return row["media"] is not None and row["state"] == State.STORED
