"""Plain connections to hosts that somebody named, held to a guard. What is here blocks."""

import socket

from adapters.net.guard import AddressRefusedError, Guard


def reachable(guard: Guard, host: str, port: int) -> list[str]:
    """The addresses of a host, resolved once, that it may be reached at; to connect to, in their order.

    Raises:
        AddressRefusedError: the host may not be asked for, or at none of its addresses.
        OSError: it has none.
    """
    guard.check_host(host)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    allowed = [str(address[0]) for *_, address in found if guard.allows(host, str(address[0]))]
    if not allowed:
        raise AddressRefusedError(f"the host {host!r} is not at a public address")
    return allowed


def connect(guard: Guard, host: str, port: int, seconds: float) -> socket.socket:
    """A connection to the first of these addresses that takes it. Raises as `reachable` does."""
    *others, last = reachable(guard, host, port)
    for address in others:
        try:
            return socket.create_connection((address, port), seconds)
        except OSError:
            continue
    return socket.create_connection((last, port), seconds)
