"""Reading a response body of bounded size."""

import aiohttp


class BodyTooLongError(Exception):
    """The body has more bytes than allowed."""


async def read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """Return the body of a response.

    Raises:
        BodyTooLongError: the body has more than `max_bytes` bytes. The rest is not read.
        aiohttp.ClientError: the connection broke.
    """
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            raise BodyTooLongError(f"the body has more than {max_bytes} bytes")
    return bytes(body)
