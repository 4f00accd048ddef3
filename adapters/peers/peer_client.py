"""The client that sends commands to other servers. It sends each command once and waits for a bounded time."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import aiohttp
import msgspec

from adapters.net.bounded_body import BodyTooLongError, read_body
from adapters.peers.signed_commands import PATH, Command, CommandResult, CommandSigner, ErrorBody, audience_of
from recordings.ports.peers import Peer
from recordings.ports.recorder import ServerUnreachable, TakeRefused

log = logging.getLogger(__name__)

CONNECT_TIMEOUT: Final = 2.0
"""Seconds for a connection."""
TOTAL_TIMEOUT: Final = 5.0
"""Seconds for the whole response; less than a GraphQL operation may take."""
KEEP_ALIVE: Final = 5.0
"""Seconds for which an idle connection is kept."""
MAX_RESPONSE: Final = 16 * 1024
"""Bytes."""
_OK: Final = 200
_CONFLICT: Final = 409
_UNAUTHORIZED: Final = 401
_BAD_GATEWAY: Final = 502


class PeerClient:
    """A client of the other servers. It opens connections at the first command. Call `close` at the end.

    `near` has the URLs of the workers on this machine, by node. They replace the published ones.
    """

    def __init__(
        self, signer: CommandSigner, *, total: float = TOTAL_TIMEOUT, near: Mapping[str, str] | None = None
    ) -> None:
        self._signer = signer
        self._near = near or {}
        self._total = total
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def send(self, command: Command, peer: Peer, seconds: float | None = None) -> CommandResult:
        """Send a command to a server and return its response. The client never sends a command twice.

        Raises:
            ServerUnreachable: the server is unreachable, or it did not answer in time. In the last case the server may
                have executed the command.
            TakeRefused: the recorder or the server refused.
        """
        try:
            async with asyncio.timeout(self._total if seconds is None else seconds):
                status, body = await self._post(
                    self._near.get(peer.node, peer.url), self._signer.sign(command, peer.node)
                )
            if status == _CONFLICT:
                raise TakeRefused(msgspec.json.decode(body, type=ErrorBody).error.message)
            if status == _OK:
                return msgspec.json.decode(body, type=CommandResult)
            if status == _UNAUTHORIZED:
                # A command of this installation is rejected only if the servers differ: in their keys or their clocks.
                why = msgspec.json.decode(body, type=ErrorBody).error.message
                raise TakeRefused(f"{describe(peer)} rejects commands of this server: {why}")
            why = f"status {status}"
        except (aiohttp.ClientError, BodyTooLongError, TimeoutError, ValueError, msgspec.MsgspecError) as error:
            why = type(error).__name__
        log.warning("command to another server failed: %s", why, extra={"peer": peer.node, "verb": command.verb.value})
        raise unreachable(peer)

    async def relay(self, token: str) -> tuple[int, bytes] | None:
        """Pass the command of another machine to the worker that it is for; `None` if it is not for another worker.

        Return the status and the body of the response: 502 if the worker does not answer.
        """
        node = audience_of(token)
        if node not in self._near or node == self._signer.node:
            return None
        try:
            async with asyncio.timeout(self._total):
                return await self._post(self._near[node], token)
        except (aiohttp.ClientError, BodyTooLongError, TimeoutError) as error:
            log.warning("command to another worker failed: %s", type(error).__name__, extra={"peer": node})
            return _BAD_GATEWAY, b""

    async def _post(self, base: str, token: str) -> tuple[int, bytes]:
        url, headers = base.rstrip("/") + PATH, {"Authorization": f"Bearer {token}"}
        async with self._opened().post(url, headers=headers, allow_redirects=False) as response:
            return response.status, await read_body(response, MAX_RESPONSE)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE),
                timeout=aiohttp.ClientTimeout(total=self._total, sock_connect=CONNECT_TIMEOUT),
                cookie_jar=aiohttp.DummyCookieJar(),
                # The client uses no proxy from the environment.
                trust_env=False,
                headers={"Accept-Encoding": "identity"},
            )
        return self._session


def describe(peer: Peer) -> str:
    """Return the name of a server for a client's message. Its address is only for operators."""
    return f"the server {peer.node}"


def unreachable(peer: Peer) -> ServerUnreachable:
    """Return the error for a server that does not answer."""
    advice = "try again later" if peer.url else "start it with --peer-url"
    return ServerUnreachable(
        f"{describe(peer)}, which has the call, is unreachable, or did not answer in time: {advice}"
    )
