"""URLs signed by the media store. Clients download from the store, so the audio does not pass through the service."""

from collections.abc import Iterable, Mapping

from adapters.http.download_name import content_disposition, download_name
from adapters.media import MediaRouter
from recordings.model.fields import MediaRow, RecordingRow
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import State


class UrlPresigner:
    """Makes signed URLs for a page of recordings. Only stores that sign URLs (S3) have them."""

    def __init__(self, media: MediaRouter, ttl: Millis) -> None:
        self._media = media
        self._seconds = ttl // SECOND

    async def urls(self, rows: Iterable[RecordingRow]) -> Mapping[str, str]:
        """Return the URLs by recording id. Signing is a local computation without a request to the store."""
        signed = {
            row["id"]: await self._sign(row["id"], media)
            for row in rows
            if (media := row["media"]) is not None and row["state"] == State.STORED
        }
        return {identity: url for identity, url in signed.items() if url is not None}

    async def _sign(self, recording_id: str, media: MediaRow) -> str | None:
        name = download_name("", recording_id, media["content_type"])
        return await self._media.presign(
            media["url"],
            self._seconds,
            content_type=media["content_type"],
            disposition=content_disposition(name, inline=True),
        )
