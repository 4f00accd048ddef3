"""The `Courier`: chooses the way by the URL's scheme, and turns whatever goes wrong into a receipt."""

import asyncio
import ftplib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from adapters.delivery import fsspec_delivery as remote
from adapters.delivery import ftp_delivery as ftp
from adapters.delivery import sftp_delivery as sftp
from adapters.delivery.allowed_urls import BUCKETS, FTP, SFTP, WEB, checked_places, is_allowed
from adapters.delivery.delivery_file import DeliveryFile, Read, SourceError
from adapters.delivery.http_delivery import WebSender
from adapters.net import AddressRefusedError, Guard, Limits, RedirectRefusedError, redact_url
from recordings.model.recording import Recording
from recordings.ports.audio import MediaMissing
from recordings.ports.courier import Receipt, Sent

LIMITS: Final = Limits(idle=60.0, total=840.0)
"""An attempt ends before the lease of its background step does (30 minutes): nobody begins it anew beside us."""


class UrlCourier:
    """Sends stored recordings to their `url`, one attempt a call.

    `read` is the media store's, `work` a folder for what cannot be streamed, `options` fsspec's by the beginnings of
    URLs that are neither http nor ftp (the longest counts). `places` says what a URL may begin with: a scheme
    (`https`), or more (`s3://drops/`), for what is sent to other stores is sent with our own credentials; what is no
    such place raises as `checked_places` does. At most `at_once` are under way. Belongs to one event loop; `close` it
    there.
    """

    def __init__(
        self,
        read: Read,
        guard: Guard,
        work: Path,
        *,
        places: Iterable[str] = WEB,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits = LIMITS,
        at_once: int = 16,
    ) -> None:
        self._read = read
        self._guard = guard
        self._work = work
        self._places = checked_places(places)
        self._options = dict(options or {})
        self._limits = limits
        self._web = WebSender(guard, limits)
        self._slots = asyncio.Semaphore(at_once)

    async def deliver(self, recording: Recording) -> Receipt:
        """One attempt, with the delivery's id in its header; whatever goes wrong is in the receipt."""
        url, media, delivery = recording.options.url, recording.media, recording.delivery
        if url is None or media is None or delivery is None:
            return Receipt(Sent.NEVER, "there is nothing to send, or nowhere to send it")
        delivered = DeliveryFile(recording, media, delivery.id, self._read)
        try:
            async with self._slots, asyncio.timeout(self._limits.total):
                return await self._send(delivered, url)
        except Exception as error:  # noqa: BLE001 - whatever it is, the recording has to say so
            return receipt_of_fault(error)

    async def close(self) -> None:
        """Let go of connections."""
        await self._web.close()

    async def _send(self, delivered: DeliveryFile, url: str) -> Receipt:
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower()
        url = f"{scheme}://{rest}"
        if not is_allowed(url, self._places):
            return Receipt(Sent.NEVER, f"{redact_url(url)} is no place that is delivered to here")
        if scheme in WEB:
            return await self._web.send(delivered, url)
        idle, options = self._limits.idle, self._options_of(url)
        async with _as_file(delivered, self._work) as path:
            if scheme in FTP:
                await ftp.deliver(self._guard, path, url, delivered.name, idle)
            elif scheme in SFTP:
                await sftp.deliver(self._guard, path, url, delivered.name, options, idle)
            else:
                await remote.deliver(path, url, delivered.name, options)
        return Receipt(Sent.DELIVERED)

    def _options_of(self, url: str) -> Mapping[str, Any]:
        beginnings = [beginning for beginning in self._options if url.startswith(beginning)]
        if url.partition(":")[0] not in BUCKETS:
            # The host is the caller's: it gets our credentials only where they are set for that host.
            beginnings = [beginning for beginning in beginnings if not beginning.endswith("://")]
        return self._options[max(beginnings, key=len)] if beginnings else {}


def receipt_of_fault(error: BaseException) -> Receipt:
    """What an attempt came to that got no answer. Texts of libraries are left out: they quote URLs."""
    source = _cause(error, SourceError)
    if source is not None:
        gone = _cause(source, MediaMissing) is not None
        return Receipt(Sent.NEVER if gone else Sent.AGAIN, str(source))
    if isinstance(error, AddressRefusedError | RedirectRefusedError):
        return Receipt(Sent.NEVER, str(error))
    if isinstance(error, ftplib.Error):
        return Receipt(Sent.AGAIN, f"the server answered {str(error)[:300]}")
    if isinstance(error, UnicodeError):
        return Receipt(Sent.NEVER, "the URL cannot be asked for")
    kind = "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
    return Receipt(Sent.AGAIN, f"the server could not be reached, or broke off: {kind}")


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The error of a kind that an error came of."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__
    return error


@asynccontextmanager
async def _as_file(delivered: DeliveryFile, work: Path) -> AsyncIterator[Path]:
    """The audio as a file, for those who take nothing else. It has no name in the folder when this is over."""
    await asyncio.to_thread(work.mkdir, mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=work, prefix="delivery.", suffix=".part") as file:
        async for chunk in delivered.body():
            await _on_disk(file.write, chunk)
        await _on_disk(file.flush)
        yield Path(file.name)


async def _on_disk(write: Callable[..., object], *data: bytes) -> None:
    try:
        await asyncio.to_thread(write, *data)
    except OSError as error:
        # The receiver is not to blame for a full disk of ours.
        raise SourceError(f"there is no copy to send: {error.strerror}") from error
