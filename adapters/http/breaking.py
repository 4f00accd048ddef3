"""Telling a source that breaks off from a listener who leaves.

Starlette takes an `OSError` out of a body for one of the listener's socket, and a listener who left is no fault.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing


class BrokenOffError(Exception):
    """What was being sent could not be read to its end."""


async def told(body: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same body; an `OSError` of its own is raised as `BrokenOffError`."""
    async with aclosing(body):
        try:
            async for piece in body:
                yield piece
        except OSError as error:
            raise BrokenOffError from error
