"""Downloads the files of a take from an Asterisk, as one WAV file."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from adapters.recorders.asterisk.ari_client import AriClient, Download
from adapters.recorders.asterisk.ari_requests import LEFT, RIGHT
from adapters.recorders.asterisk.snoop_take import WIDEBAND, Side
from adapters.recorders.asterisk.stereo_wav import HEADER, Interleaver, WavBody, wav_header
from adapters.recorders.switch_base import ConnectionLost
from recordings.ports.recorder import TakeRefused


class SnoopAudio:
    """The downloads of one Asterisk.

    All files of a take are open at the same time, because their lengths are in the header. One take is downloaded at a
    time, so that the requests of other takes find connections.
    """

    def __init__(self, client: AriClient) -> None:
        self._client = client
        self._turn = asyncio.Lock()

    async def read(self, parts: Sequence[Sequence[Side]], format: str) -> AsyncIterator[bytes]:
        """Yield the audio of a take. Raises `TakeRefused` if the connection is lost."""
        try:
            async with self._turn, AsyncExitStack() as stack:
                opened = [[await self._open(stack, side) for side in part] for part in parts]
                files = [file for part in opened for file in part]
                rate = next((file.rate for file in files if file.rate), 16_000 if format == WIDEBAND else 8_000)
                channels = 2 if any(side.track in {LEFT, RIGHT} for part in parts for side in part) else 1
                length = channels * sum(max(file.length for file in part) for part in opened)
                yield wav_header(rate, channels, length)
                for part in opened:
                    async for samples in _stereo(part) if channels > 1 else part[0].read():
                        yield samples
        except ConnectionLost as error:
            raise TakeRefused(str(error)) from error

    async def _open(self, stack: AsyncExitStack, side: Side) -> "_File":
        file = _File(side, await stack.enter_async_context(self._client.download(side.name)))
        await file.read_header()
        return file


class _File:
    """A file of one side. It is empty if Asterisk has deleted it."""

    def __init__(self, side: Side, download: Download | None) -> None:
        self.channel = 1 if side.track == RIGHT else 0
        self._download = download
        self._body = WavBody()
        self._first = b""

    @property
    def rate(self) -> int | None:
        """The sampling rate in the header."""
        return self._body.rate

    @property
    def length(self) -> int:
        """The number of bytes of audio."""
        total = self._download.length if self._download is not None else None
        return max(0, (total or 0) - (self._body.header or HEADER))

    async def read_header(self) -> None:
        while self._download is not None and self._body.header is None:
            chunk = await anext(self._download.chunks, b"")
            if not chunk:
                break
            self._first += self._body.feed(chunk)

    async def read(self) -> AsyncIterator[bytes]:
        """Yield the samples."""
        yield self._first
        if self._download is not None:
            async for chunk in self._download.chunks:
                yield self._body.feed(chunk)


async def _stereo(files: Sequence[_File]) -> AsyncIterator[bytes]:
    """Yield the samples of both sides. A side without a file is silent."""
    both = Interleaver()
    sources = {file.channel: file.read() for file in files}
    for channel in {0, 1} - sources.keys():
        both.end(channel)
    while (wanted := both.next_side()) is not None:
        samples = await anext(sources[wanted], None)
        if samples is None:
            both.end(wanted)
        else:
            both.add(wanted, samples)
        yield both.take()
