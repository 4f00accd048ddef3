"""Sends requests of ARI, and receives its events by WebSocket. Only this file of the adapter does network I/O."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from adapters.recorders.asterisk.ari_requests import AriRequest, get_file
from adapters.recorders.switch_base import ConnectionLost, SwitchRejected
from adapters.recorders.switch_url import SwitchUrl

CONNECT_TIMEOUT: Final = 5.0
"""Seconds until the event WebSocket must be open."""
REQUEST_TIMEOUT: Final = 5.0
"""Seconds that Asterisk has to answer a request."""
CLOSE_TIMEOUT: Final = 0.5
"""Seconds that Asterisk has to close the WebSocket. It may be dead."""
READ_TIMEOUT: Final = 10.0
"""Seconds between two pieces of a file."""
PING: Final = 10.0
"""Seconds between two pings of the WebSocket. The answer must come within half of that."""
MAX_REPLY: Final = 1 << 25
"""Maximum size of a response other than a file, in bytes: a list of about 50,000 channels."""
MAX_EVENT: Final = 1 << 20
"""Maximum size of an event, in bytes."""
MAX_CONNECTIONS: Final = 32
"""Maximum number of connections: Asterisk accepts 100 by default (`sessionlimit` of http.conf)."""
KEEP_ALIVE: Final = 5.0
"""Seconds until an idle connection is closed. Asterisk closes it after 15 seconds by default."""
_CHUNK: Final = 1 << 16
_FORBIDDEN: Final = 403
_TEXT: Final = aiohttp.WSMsgType.TEXT


@dataclass(frozen=True, slots=True)
class Reply:
    """The response to a request."""

    status: int
    body: bytes = b""

    @property
    def is_ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status // 100 == 2  # noqa: PLR2004 - the class of success

    @property
    def is_missing(self) -> bool:
        """Whether the channel or the recording does not exist."""
        return self.status == 404  # noqa: PLR2004 - Not Found

    @property
    def reason(self) -> str:
        """Asterisk's message, with the status."""
        return f"{self.status} {self.body[:200].decode('utf-8', 'replace')}"


@dataclass(frozen=True, slots=True)
class Download:
    """A file that is being downloaded. `length` is its length in bytes, if Asterisk states it."""

    length: int | None
    chunks: AsyncIterator[bytes]


class AriClient:
    """A client of one Asterisk. It can be connected again after a loss."""

    def __init__(self, url: SwitchUrl, application: str) -> None:
        secure = "s" if url.scheme == "aris" else ""
        host = f"[{url.host}]" if ":" in url.host else url.host
        prefix = url.options.get("prefix", "").strip("/")
        self._base = f"{host}:{url.port}{f'/{prefix}' if prefix else ''}/ari"
        self._http, self._socket = f"http{secure}://{self._base}", f"ws{secure}://{self._base}/events"
        credentials = b64encode(f"{url.user}:{url.secret}".encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {credentials}"}
        self._application = application
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncIterator[str]]:
        """Open the event WebSocket, and yield its messages. They end when the connection is lost.

        Raises:
            SwitchRejected: the user or the password is wrong.
            ConnectionLost: Asterisk does not answer, or ARI is not enabled.
        """
        connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT)
        async with aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=timeout) as session:
            self._session = session
            try:
                async with await self._open_socket(session) as socket:
                    yield _messages(socket)
            finally:
                self._session = None

    async def _open_socket(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        # With `subscribeAll`, Asterisk 23.4.1 subscribes to all device states. If one of them changes while the
        # WebSocket is being closed, ARI blocks until Asterisk is restarted.
        query = {"app": self._application}
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await session.ws_connect(
                    self._socket,
                    params=query,
                    heartbeat=PING,
                    max_msg_size=MAX_EVENT,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
                )
        except aiohttp.WSServerHandshakeError as error:
            _check_rejected(error.status)
            raise ConnectionLost(f"Asterisk opens no event WebSocket: status {error.status}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionLost(f"Asterisk does not answer: {type(error).__name__}") from error

    async def ask(self, request: AriRequest) -> Reply:
        """Send a request and return the response, also one with an error.

        Raises:
            SwitchRejected: the user or the password is wrong, or the user may only read.
            ConnectionLost: Asterisk does not answer. It may have executed the request.
        """
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT), self._send(request) as response:
                body = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK):
                    body += chunk
                    if len(body) > MAX_REPLY:
                        raise ConnectionLost(f"the response to {request.path} is longer than {MAX_REPLY} bytes")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionLost(f"Asterisk does not answer to {request.path}: {type(error).__name__}") from error
        _check_rejected(response.status)
        if response.status == _FORBIDDEN and request.method != "GET":
            raise SwitchRejected("the ARI user must not be read-only")
        return Reply(response.status, bytes(body))

    @asynccontextmanager
    async def download(self, name: str) -> AsyncIterator[Download | None]:
        """Open a recorded file; `None` if there is none. Raises `ConnectionLost`."""
        request = get_file(name)
        try:
            async with self._send(request) as response:
                _check_rejected(response.status)
                reply = Reply(response.status)
                if not reply.is_ok and not reply.is_missing:
                    raise ConnectionLost(f"Asterisk does not send the file {name}: status {response.status}")
                length = response.content_length
                yield Download(length, response.content.iter_chunked(_CHUNK)) if reply.is_ok else None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionLost(f"Asterisk does not send the file {name}: {type(error).__name__}") from error

    def _send(self, request: AriRequest) -> "aiohttp.client._RequestContextManager":
        if self._session is None:
            raise ConnectionLost("Asterisk is not connected")
        url = URL(self._http + request.path, encoded=True).with_query(request.query)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        return self._session.request(request.method, url, json=request.body, allow_redirects=False, timeout=timeout)


async def _messages(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[str]:
    async for message in socket:
        if message.type is _TEXT:
            yield message.data


def _check_rejected(status: int) -> None:
    if status == 401:  # noqa: PLR2004 - Unauthorized
        raise SwitchRejected("wrong user or password")
