"""Which hosts and addresses may be connected to, with no I/O."""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from adapters.net.public_addresses import is_public, parse, unwrap

ANY: Final = "*"
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class AddressRefusedError(Exception):
    """A host that may not be reached. The message names the host, and never an address that its name stands for."""


class Guard:
    """Allows connections to `hosts`, and of those only to public addresses, unless `private` names them.

    `hosts` has names (`audio.example.org`), whole domains (`*.example.org`), addresses, or `*` for any. `private` has
    names, addresses and networks (`10.1.0.0/16`) that may be reached although they are not public; a name in it stands
    for whatever it resolves to.

    Raises:
        ValueError: an entry is nothing of that, so that no host would ever be it; or one of `private` is a pattern,
            which would open more than was meant.
    """

    def __init__(self, hosts: Iterable[str] = (ANY,), private: Iterable[str] = ()) -> None:
        self._hosts = _checked(hosts, _is_pattern, "neither a name, nor *. and a name, nor an address")
        entries = _checked(private, _is_private, "neither a name nor an address nor a network")
        self._networks = tuple(network for entry in entries if (network := _network(entry)))
        self._names = frozenset(entry for entry in entries if not _network(entry))

    def check_host(self, host: str) -> None:
        """Raise `AddressRefusedError` unless a host, as it stands in a URL, may be asked for."""
        name = _normal(host)
        if not name or not self._is_listed(name):
            raise AddressRefusedError(f"the host {host!r} is not among those that are allowed")
        if parse(name) is not None:
            self.check_address(name, name)

    def check_address(self, host: str, address: str) -> None:
        """Raise `AddressRefusedError` unless a host may be reached at an address."""
        if not self.allows(host, address):
            raise AddressRefusedError(f"the host {host!r} is not at a public address")

    def allows(self, host: str, address: str) -> bool:
        """Whether a host may be reached at an address."""
        found = parse(address)
        if found is None:
            return False
        if _normal(host) in self._names or is_public(found):
            return True
        return any(unwrap(found) in network for network in self._networks)

    def _is_listed(self, name: str) -> bool:
        if self._hosts & {ANY, name}:
            return True
        return parse(name) is None and any(entry.startswith("*.") and name.endswith(entry[1:]) for entry in self._hosts)


def _checked(given: Iterable[str], allowed: Callable[[str], bool], otherwise: str) -> frozenset[str]:
    entries = {entry: _normal(entry) for entry in given}
    if odd := [entry for entry, normal in entries.items() if not allowed(normal)]:
        message = f"{odd[0]!r} is {otherwise}"
        raise ValueError(message)
    return frozenset(entries.values())


def _is_pattern(entry: str) -> bool:
    return entry == ANY or parse(entry) is not None or _NAME.fullmatch(entry.removeprefix("*.")) is not None


def _is_private(entry: str) -> bool:
    return _network(entry) is not None or _NAME.fullmatch(entry) is not None


def _normal(host: str) -> str:
    """A host as it is compared: names in lower case, in the ASCII form of IDNA, without the root's dot."""
    plain = host.strip().strip("[]").lower().removesuffix(".")
    address = None if "/" in plain else parse(plain)
    if address is not None:
        return str(address)
    if plain.isascii():
        return plain
    try:
        return plain.encode("idna").decode()
    except UnicodeError:
        return ""


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry, strict=False)
    except ValueError:
        return None
