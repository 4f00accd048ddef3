"""An aiohttp session that only connects to hosts and addresses that its guard allows."""

import socket
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from adapters.net.guard import Guard, UnresolvedHostError
from adapters.net.interim_responses import BoundedResponses

AGENT: Final = "call-recording-api"
_READ_AHEAD: Final = 256 * 1024
"""Bytes of a body that a connection buffers before it pauses the socket. It may buffer twice this number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The time limits of one request, in seconds. `idle` is the longest silence of the server; `total` bounds all."""

    connect: float = 10.0
    idle: float = 60.0
    total: float = 21_600.0


def open_session(
    guard: Guard,
    limits: Limits | None = None,
    *,
    resolver: AbstractResolver | None = None,
    connections: int = 200,
    per_host: int = 16,
) -> aiohttp.ClientSession:
    """Return a session that a guard checks. Belongs to the running event loop; close it there.

    It has at most `connections` at once, and `per_host` of them to one host and port. 0 means no limit.

    It uses no proxy from the environment, because a proxy would connect without a check. It keeps no cookies. It does
    not decompress bodies, because a compressed body could have any size.
    """
    seconds = limits or Limits()
    timeout = aiohttp.ClientTimeout(
        total=seconds.total, connect=seconds.connect, sock_connect=seconds.connect, sock_read=seconds.idle
    )
    return aiohttp.ClientSession(
        connector=GuardedConnector(guard, resolver or aiohttp.ThreadedResolver(), connections, per_host),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_AHEAD,
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
    )


class GuardedConnector(aiohttp.TCPConnector):
    """Checks the host of every request, also of a redirect or on an open connection, and every resolved address."""

    def __init__(self, guard: Guard, resolver: AbstractResolver, connections: int = 200, per_host: int = 16) -> None:
        # No DNS cache: each connection resolves the name, checks the addresses, and connects to one of them.
        super().__init__(
            resolver=GuardedResolver(guard, resolver), use_dns_cache=False, limit=connections, limit_per_host=per_host
        )
        self._guard = guard
        # aiohttp has no setting for the class of its connections.
        self._factory = cast("partial[ResponseHandler]", partial(BoundedResponses, loop=self._loop))

    async def connect(self, req: aiohttp.ClientRequest, *arguments: Any, **named: Any) -> Any:
        """Return a connection for a request, if the guard allows its host."""
        self._guard.check_host(req.url.raw_host or "")
        return await super().connect(req, *arguments, **named)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections and the resolver."""
        await super().close(abort_ssl=abort_ssl)
        await self._resolver.close()


class GuardedResolver(AbstractResolver):
    """Resolves names to the addresses that the guard allows."""

    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name once.

        Raises:
            UnresolvedHostError: the guard allows none of its addresses.
            OSError: the name has no address.
        """
        resolved = await self._inner.resolve(host, port, family)
        allowed = [each for each in resolved if self._guard.allows(host, each["host"])]
        if not allowed:
            raise UnresolvedHostError.not_public(host)
        return allowed

    async def close(self) -> None:
        """Close the inner resolver."""
        await self._inner.close()
