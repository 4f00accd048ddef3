"""Plain connections that a guard checks. All functions block."""

import socket

from adapters.net.guard import Guard, UnresolvedHostError


def reachable(guard: Guard, host: str, port: int) -> list[str]:
    """Resolve a host once, and return its allowed addresses in the resolver's order.

    Raises:
        AddressRefusedError: the guard does not allow the host.
        UnresolvedHostError: the host has no address, or the guard allows none of its addresses.
    """
    guard.check_host(host)
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise UnresolvedHostError.not_public(host) from error
    allowed = [str(address[0]) for *_, address in resolved if guard.allows(host, str(address[0]))]
    if not allowed:
        raise UnresolvedHostError.not_public(host)
    return allowed


def connect(guard: Guard, host: str, port: int, seconds: float) -> socket.socket:
    """Connect to the first allowed address that accepts. Raises as `reachable` does."""
    *others, last = reachable(guard, host, port)
    for address in others:
        try:
            return socket.create_connection((address, port), seconds)
        except OSError:
            continue
    return socket.create_connection((last, port), seconds)
