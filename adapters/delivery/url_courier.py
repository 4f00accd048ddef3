"""The `Courier`: selects the protocol by the URL's scheme, and turns every failure into a result."""

import asyncio
import ftplib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from adapters.delivery import ftp_delivery
from adapters.delivery.allowed_urls import BUCKETS, FTP, SFTP, WEB, full_prefixes, is_allowed
from adapters.delivery.delivery_file import DeliveryFile, Read, SourceError
from adapters.delivery.http_delivery import WebSender
from adapters.net import AddressRefusedError, Guard, Limits, RedirectRefusedError, UnresolvedHostError, redact_url
from recordings.model.recording import Recording
from recordings.ports.audio import MediaMissing
from recordings.ports.courier import DeliveryOutcome, DeliveryResult
from recordings.ports.recording_store import StoreUnavailableError
from recordings.ports.sealer import CannotUnsealError

_PREFIX: Final = "delivery."
_SUFFIX: Final = ".part"
LIMITS: Final = Limits(idle=60.0, total=840.0)
"""An attempt ends before the lease of its background step (30 minutes), so no other process starts it again."""
SigningKeysOf = Callable[[str], Awaitable[Sequence[bytes]]]


async def no_keys(_account_id: str) -> Sequence[bytes]:
    """Return no keys."""
    return ()


class UrlCourier:
    """Sends stored recordings to their `url`. Belongs to one event loop; close it there.

    Args:
        read: the media store's `read`.
        guard: decides which hosts and addresses may be reached.
        work: a folder for temporary copies, for protocols that cannot send a stream.
        prefixes: the allowed beginnings of a URL: a scheme (`https`) or more (`s3://drops/`). Other stores get this
            service's own credentials. A wrong prefix raises as `full_prefixes` does.
        options: fsspec's options by the beginning of a URL, except for http and ftp. The longest beginning counts.
        limits: the limits of an attempt.
        concurrency: the maximum number of simultaneous attempts.
        signing_keys: returns the keys that sign an account's deliveries by HTTP. Without keys, they are not signed.
    """

    def __init__(
        self,
        read: Read,
        guard: Guard,
        work: Path,
        *,
        prefixes: Iterable[str] = WEB,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        limits: Limits = LIMITS,
        concurrency: int = 16,
        signing_keys: SigningKeysOf = no_keys,
    ) -> None:
        self._read = read
        self._guard = guard
        self._work = work
        self._prefixes = full_prefixes(prefixes)
        self._options = dict(options or {})
        self._limits = limits
        self._signing_keys = signing_keys
        self._web = WebSender(guard, limits)
        self._slots = asyncio.Semaphore(concurrency)

    async def deliver(self, recording: Recording) -> DeliveryResult:
        """Make one attempt, with the delivery's id in a header. Every failure is in the result."""
        url, media, delivery = recording.options.url, recording.media, recording.delivery
        if url is None or media is None or delivery is None:
            return DeliveryResult(DeliveryOutcome.REJECTED, "the recording has no audio or no url")
        file = DeliveryFile(recording, media, delivery.id, self._read)
        try:
            async with self._slots, asyncio.timeout(self._limits.total):
                return await self._send(file, url)
        except Exception as error:  # noqa: BLE001 - the recording must show every error
            return result_of_error(error)

    async def close(self) -> None:
        """Close all connections."""
        await self._web.close()

    async def _send(self, file: DeliveryFile, url: str) -> DeliveryResult:
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower()
        url = f"{scheme}://{rest}"
        if not is_allowed(url, self._prefixes):
            error = f"{redact_url(url)} is not allowed: an operator can allow it with RECORDINGS_DELIVERY_PLACES"
            return DeliveryResult(DeliveryOutcome.REJECTED, error)
        if scheme in WEB:
            return await self._web.send(file, url, await self._keys(file.recording.account_id))
        idle, options = self._limits.idle, self._options_for(url)
        async with _temporary_copy(file, self._work) as path:
            if scheme in FTP:
                await ftp_delivery.deliver(self._guard, path, url, file.name, idle)
            elif scheme in SFTP:
                from adapters.delivery import sftp_delivery

                await sftp_delivery.deliver(self._guard, path, url, file.name, options, idle)
            else:
                from adapters.delivery import fsspec_delivery

                await fsspec_delivery.deliver(path, url, file.name, options)
        return DeliveryResult(DeliveryOutcome.DELIVERED)

    async def _keys(self, account_id: str) -> Sequence[bytes]:
        try:
            return await self._signing_keys(account_id)
        except (CannotUnsealError, StoreUnavailableError) as error:
            # Nothing is sent without its signature: the receiver relies on it.
            raise SourceError(f"the delivery cannot be signed now: {error}") from error

    def _options_for(self, url: str) -> Mapping[str, Any]:
        beginnings = [beginning for beginning in self._options if url.startswith(beginning)]
        if url.partition(":")[0] not in BUCKETS:
            # The caller chose the host. It gets this service's credentials only if they are set for this host.
            beginnings = [beginning for beginning in beginnings if not beginning.endswith("://")]
        return self._options[max(beginnings, key=len)] if beginnings else {}


def result_of_error(error: BaseException) -> DeliveryResult:
    """Return the result of an attempt without a response. It omits the texts of libraries, because they quote URLs."""
    source = _cause(error, SourceError)
    if source is not None:
        is_missing = _cause(source, MediaMissing) is not None
        return DeliveryResult(DeliveryOutcome.REJECTED if is_missing else DeliveryOutcome.RETRY, str(source))
    if isinstance(error, UnresolvedHostError):
        # Not rejected: the name may resolve later.
        return DeliveryResult(DeliveryOutcome.RETRY, str(error))
    if isinstance(error, AddressRefusedError | RedirectRefusedError):
        return DeliveryResult(DeliveryOutcome.REJECTED, str(error))
    if isinstance(error, ftplib.Error):
        return DeliveryResult(DeliveryOutcome.RETRY, f"the server answered {str(error)[:300]}")
    if isinstance(error, UnicodeError):
        return DeliveryResult(DeliveryOutcome.REJECTED, "the URL is not valid")
    reason = "timeout" if isinstance(error, TimeoutError) else type(error).__name__
    return DeliveryResult(DeliveryOutcome.RETRY, f"the connection to the server failed: {reason}")


def _cause(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """Return the first error of a kind in a chain of causes."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__
    return error


def delete_copies(work: Path) -> None:
    """Delete the temporary copies that a dead server left in a folder."""
    for path in work.glob(f"{_PREFIX}*{_SUFFIX}"):
        path.unlink(missing_ok=True)


@asynccontextmanager
async def _temporary_copy(file: DeliveryFile, work: Path) -> AsyncIterator[Path]:
    """Provide the audio as a file, for protocols that need one. The file is deleted at the end."""
    await asyncio.to_thread(work.mkdir, mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=work, prefix=_PREFIX, suffix=_SUFFIX) as copy:
        async for chunk in file.body():
            await _call_in_thread(copy.write, chunk)
        await _call_in_thread(copy.flush)
        yield Path(copy.name)


async def _call_in_thread(write: Callable[..., object], *data: bytes) -> None:
    try:
        await asyncio.to_thread(write, *data)
    except OSError as error:
        # A full disk of this server is not the receiver's fault.
        raise SourceError(f"no temporary copy can be made: {error.strerror}") from error
