"""Giving commands to other servers, each once and in bounded time."""

import asyncio
import logging
import ssl
from typing import Final

import httpx
import msgspec

from adapters.peers.signed_commands import PATH, Command, Commands, Done, ErrorBody
from recordings.ports.peers import Peer
from recordings.ports.recorder import TakeRefused

log = logging.getLogger(__name__)

CONNECT: Final = 2.0
"""Seconds until a connection is there."""
TOTAL: Final = 5.0
"""Seconds until the answer is there; less than a GraphQL operation may take."""
MAX_ANSWER: Final = 16 * 1024
_REFUSED: Final = 409


class PeerClient:
    """A client of the other servers. It connects when it is first used; close it in the end."""

    def __init__(
        self, commands: Commands, *, total: float = TOTAL, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._commands = commands
        self._total = total
        self._transport = transport
        self._opened: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Let go of the connections."""
        if self._opened is not None:
            await self._opened.aclose()

    async def give(self, command: Command, peer: Peer) -> Done:
        """Have a server obey a command, and wait for its answer. Nothing is sent twice.

        Raises:
            TakeRefused: its recorder could not, or the server is away, or did not answer in time: then it may have
                obeyed nevertheless.
        """
        try:
            async with asyncio.timeout(self._total):
                status, body = await self._post(peer, self._commands.sign(command, peer.node))
            if status == _REFUSED:
                raise TakeRefused(msgspec.json.decode(body, type=ErrorBody).error.message)
            if status == httpx.codes.OK:
                return msgspec.json.decode(body, type=Done)
            why = f"status {status}"
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, msgspec.MsgspecError) as error:
            why = type(error).__name__
        log.warning("another server did not obey: %s", why, extra={"peer": peer.node, "verb": command.verb.value})
        raise TakeRefused("the server that has the call is away, or did not answer in time")

    async def _post(self, peer: Peer, text: str) -> tuple[int, bytes]:
        body = bytearray()
        url, headers = peer.url.rstrip("/") + PATH, {"Authorization": f"Bearer {text}"}
        async with self._client().stream("POST", url, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise httpx.DecodingError(f"more than {MAX_ANSWER} bytes")
        return response.status_code, bytes(body)

    def _client(self) -> httpx.AsyncClient:
        if self._opened is None:
            self._opened = httpx.AsyncClient(
                timeout=httpx.Timeout(self._total, connect=CONNECT),
                follow_redirects=False,
                # No proxy of the environment's, and the certificates that this machine trusts.
                trust_env=False,
                verify=ssl.create_default_context(),
                transport=self._transport,
                headers={"Accept-Encoding": "identity"},
            )
        return self._opened
