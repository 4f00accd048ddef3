"""The hosts and addresses that may be reached, with no I/O."""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Self

from adapters.net.public_addresses import is_public, parse, unwrap

ANY: Final = "*"
_LOOPBACK: Final = ("127.0.0.1", "::1")
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class AddressRefusedError(Exception):
    """A host that may not be reached. The message shows the host, but never the addresses of its name."""

    @classmethod
    def not_public(cls, host: str) -> Self:
        """Return the error for a host without an allowed address."""
        return cls(f"the host {host!r} has no public address")


class UnresolvedHostError(AddressRefusedError):
    """A name that resolves to no allowed address, or to none at all.

    Both cases look the same, so that a caller cannot learn which internal names exist.
    """


class Guard:
    """Allows connections to `hosts`, and of these only to public addresses, except those in `private`.

    Args:
        hosts: names (`audio.example.org`), domains (`*.example.org`), addresses, or `*` for all hosts.
        private: names, addresses and networks (`10.1.0.0/16`) that may be reached although they are not public. A name
            allows all addresses that it resolves to.

    Raises:
        ValueError: an entry is malformed, so that it could never match; or an entry of `private` is a pattern, which
            could allow more than intended.
    """

    def __init__(self, hosts: Iterable[str] = (ANY,), private: Iterable[str] = ()) -> None:
        self._hosts = _checked(hosts, _is_pattern, "a name, *. with a name, or an address")
        entries = _checked(private, _is_private, "a name, an address or a network")
        self._networks = tuple(network for entry in entries if (network := _network(entry)))
        self._names = frozenset(entry for entry in entries if not _network(entry))

    def check_host(self, host: str) -> None:
        """Raise `AddressRefusedError` unless the host of a URL is allowed."""
        name = _normal(host)
        if not name or not self._is_listed(name):
            raise AddressRefusedError(f"the host {host!r} is not among the allowed hosts")
        if parse(name) is not None:
            self.check_address(name, name)
        elif f".{name}".endswith(".localhost") and not any(self.allows(name, address) for address in _LOOPBACK):
            # RFC 6761, section 6.3: this name is always a loopback address, so it needs no resolver.
            raise AddressRefusedError.not_public(host)

    def check_address(self, host: str, address: str) -> None:
        """Raise `AddressRefusedError` unless an address of a host is allowed."""
        if not self.allows(host, address):
            raise AddressRefusedError.not_public(host)

    def allows(self, host: str, address: str) -> bool:
        """Return true if an address of a host is allowed."""
        parsed = parse(address)
        if parsed is None:
            return False
        if _normal(host) in self._names or is_public(parsed):
            return True
        return any(unwrap(parsed) in network for network in self._networks)

    def _is_listed(self, name: str) -> bool:
        if self._hosts & {ANY, name}:
            return True
        return parse(name) is None and any(entry.startswith("*.") and name.endswith(entry[1:]) for entry in self._hosts)


def _checked(entries: Iterable[str], is_valid: Callable[[str], bool], expected: str) -> frozenset[str]:
    normal = {entry: _normal(entry) for entry in entries}
    for entry, name in normal.items():
        if not is_valid(name):
            raise ValueError(f"{entry!r} is not {expected}")
    return frozenset(normal.values())


def _is_pattern(entry: str) -> bool:
    return entry == ANY or parse(entry) is not None or _NAME.fullmatch(entry.removeprefix("*.")) is not None


def _is_private(entry: str) -> bool:
    return _network(entry) is not None or _NAME.fullmatch(entry) is not None


def _normal(host: str) -> str:
    """Return a host in the form for comparison: in lower case, in ASCII (IDNA), without a dot at the end."""
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
