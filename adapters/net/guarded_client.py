"""An aiohttp session that cannot connect to anything that its guard does not allow."""

import socket
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.net.guard import AddressRefusedError, Guard

AGENT: Final = "call-recording-api"
_READ_AHEAD: Final = 256 * 1024
"""Bytes that a connection holds of a body before it stops reading from the network, at most twice that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take, in seconds. `idle` is the longest silence of the other side; `total` bounds it all."""

    connect: float = 10.0
    idle: float = 60.0
    total: float = 21_600.0


def open_session(
    guard: Guard, limits: Limits | None = None, *, resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """A session held to a guard. Belongs to the running event loop; close it there.

    It takes no proxy from the environment (a proxy would connect for us, unchecked), keeps no cookies, and gives bodies
    as they come: a compressed body could be of any size.
    """
    allowed = limits or Limits()
    timeout = aiohttp.ClientTimeout(
        total=allowed.total, connect=allowed.connect, sock_connect=allowed.connect, sock_read=allowed.idle
    )
    return aiohttp.ClientSession(
        connector=GuardedConnector(guard, resolver or aiohttp.ThreadedResolver()),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        read_bufsize=_READ_AHEAD,
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
    )


class GuardedConnector(aiohttp.TCPConnector):
    """Checks the host of every request, be it the first of a connection or a redirect, and every address of a name."""

    def __init__(self, guard: Guard, resolver: AbstractResolver) -> None:
        # No cache of names: what is connected to is what was resolved, and checked, for this very connection.
        super().__init__(resolver=GuardedResolver(guard, resolver), use_dns_cache=False, limit=200, limit_per_host=16)
        self._guard = guard

    async def connect(self, req: aiohttp.ClientRequest, *arguments: Any, **named: Any) -> Any:
        """A connection for a request, if its host may be reached."""
        self._guard.check_host(req.url.raw_host or "")
        return await super().connect(req, *arguments, **named)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections."""
        await super().close(abort_ssl=abort_ssl)
        await self._resolver.close()


class GuardedResolver(AbstractResolver):
    """Gives those addresses of a name that it may be reached at."""

    def __init__(self, guard: Guard, inner: AbstractResolver) -> None:
        self._guard = guard
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name once.

        Raises:
            AddressRefusedError: it may be reached at none of its addresses.
            OSError: it has none.
        """
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if self._guard.allows(host, each["host"])]
        if not allowed:
            raise AddressRefusedError(f"the host {host!r} is not at a public address")
        return allowed

    async def close(self) -> None:
        """Close what it asks."""
        await self._inner.close()
