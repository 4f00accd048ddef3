"""Sends requests of the ng protocol over HTTP: `POST /ng`."""

import secrets
from typing import Final

import aiohttp

from adapters.recorders.rtpengine.ng_protocol import CONTENT_TYPE, NgError, Reply, read_reply, request
from adapters.recorders.switch_base import ConnectionLost

REQUEST_TIMEOUT: Final = 3.0
"""Seconds that rtpengine has to answer."""
MAX_REPLY: Final = 1 << 22
"""Maximum size of a reply, in bytes."""


class NgClient:
    """A client of one rtpengine. HTTP has the retransmissions that ng over UDP would need."""

    def __init__(self, host: str, port: int) -> None:
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}/ng"

    async def ask(self, command: str, **values: str | int) -> Reply:
        """Send a request and return the reply, also one that rejects it.

        Raises:
            ConnectionLost: rtpengine does not answer, or not in its protocol.
        """
        cookie = secrets.token_hex(8)
        headers = {"Content-Type": CONTENT_TYPE}
        try:
            # A few requests a second need no pool of connections, which would have to be closed.
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT)) as session,
                session.post(
                    self._url, data=request(cookie, command, **values), headers=headers, allow_redirects=False
                ) as response,
            ):
                body = await response.content.read(MAX_REPLY + 1)
                while len(body) <= MAX_REPLY and (more := await response.content.read(MAX_REPLY)):
                    body += more
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ConnectionLost(f"rtpengine does not answer to {command}: {type(error).__name__}") from error
        if response.status != 200 or len(body) > MAX_REPLY:  # noqa: PLR2004 - the status for success
            raise ConnectionLost(f"rtpengine answers to {command} with the status {response.status}")
        try:
            return read_reply(cookie, body)
        except NgError as error:
            raise ConnectionLost(f"rtpengine answers to {command} in another protocol: {error}") from error
