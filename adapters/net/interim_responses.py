"""A limit on the interim responses (1xx) of a server. aiohttp reads any number of them before the response."""

import asyncio
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler

MAX_INTERIM: Final = 32
"""Interim responses of one request (RFC 9110, section 15.2). Real servers send one or two."""


class InterimResponsesError(aiohttp.ClientConnectionError):
    """The server sends interim responses without an end."""


class BoundedResponses(ResponseHandler):
    """A connection that fails after too many interim responses.

    A server that sends nothing else would occupy the event loop until the time limit of the request.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._interim = 0

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take a response that aiohttp has parsed."""
        code = data[0].code
        is_interim = HTTPStatus.CONTINUE <= code < HTTPStatus.OK and code != HTTPStatus.SWITCHING_PROTOCOLS
        self._interim = self._interim + 1 if is_interim else 0
        if self._interim <= MAX_INTERIM:
            super().feed_data(data, size)
        elif self._interim == MAX_INTERIM + 1:
            self.set_exception(InterimResponsesError(f"more than {MAX_INTERIM} interim responses"))
            # `close` would forget the error.
            if self.transport is not None:
                self.transport.close()
