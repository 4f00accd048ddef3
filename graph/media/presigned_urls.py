"""URLs signed by the media store. Clients download from the store, so the audio does not pass through the service."""

import asyncio
from collections.abc import Mapping, Sequence

from adapters.http.download_name import content_disposition, download_name
from adapters.media import MediaRouter
from recordings.model.account import Principal
from recordings.model.audit_entry import AuditAction, AuditObject
from recordings.model.fields import MediaRow, RecordingRow
from recordings.model.instants import SECOND, Millis
from recordings.model.recording import State
from recordings.ports.audit import Audit


class UrlPresigner:
    """Makes signed URLs for a page of recordings. Only stores that sign URLs (S3) have them."""

    def __init__(self, media: MediaRouter, ttl: Millis, audit: Audit) -> None:
        self._media = media
        self._audit = audit
        self._seconds = ttl // SECOND

    async def urls(self, principal: Principal, rows: Sequence[RecordingRow]) -> Mapping[str, str]:
        """Return the URLs by recording id. Signing is a local computation without a request to the store.

        Each URL has an entry in the audit trail, because the service does not see who uses it.
        """
        signed = {
            row["id"]: await self._sign(row["id"], media)
            for row in rows
            if (media := row["media"]) is not None and row["state"] == State.STORED
        }
        found = {identity: url for identity, url in signed.items() if url is not None}
        accounts = {row["id"]: row["account_id"] for row in rows if row["id"] in found}
        await asyncio.gather(*(self._note(principal, identity, accounts[identity]) for identity in found))
        return found

    async def _note(self, principal: Principal, recording_id: str, account_id: str) -> None:
        target = AuditObject("recording", recording_id, account_id)
        await self._audit.record(principal, AuditAction.URL_GIVEN, target, seconds=self._seconds)

    async def _sign(self, recording_id: str, media: MediaRow) -> str | None:
        name = download_name("", recording_id, media["content_type"])
        return await self._media.presign(
            media["url"],
            self._seconds,
            content_type=media["content_type"],
            disposition=content_disposition(name, inline=True),
        )
