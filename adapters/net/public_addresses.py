"""The addresses of the public Internet, with no I/O.

The networks come from IANA's special-purpose registries (RFC 6890 and its updates). They are listed here, so that they
do not depend on the version of Python.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_NOT_PUBLIC_4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # carrier-grade NAT; one cloud's metadata service is here
            "127.0.0.0/8",
            "168.63.129.16/32",  # another cloud's metadata service, in public address space
            "169.254.0.0/16",  # link-local; most clouds' metadata services are here
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments, such as Teredo
            "2001:db8::/32",  # documentation
            "3fff::/20",  # documentation
        ),
    )
)
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")
_IPV4_AT_END: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4-mapped addresses and NAT64's well-known prefix (RFC 6052). The last 32 bits are an IPv4 address."""
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The upper half of an interface id that contains an IPv4 address (RFC 5214, section 6.1)."""
_LOW_32: Final = 0xFFFF_FFFF


def parse(text: str) -> Address | None:
    """Return the address in a text, without its zone; `None` for a name. Short IPv4 forms (`127.1`) count as names."""
    try:
        return ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Return true if an address is public. An embedded IPv4 address must be public too."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if (inner := embedded(address)) is not None:
        return is_public(inner)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to an IPv6 address reach; `None` if it embeds none."""
    value = int(address)
    if any(address in network for network in _IPV4_AT_END) or (value >> 32) & _LOW_32 in _ISATAP:
        return IPv4Address(value & _LOW_32)
    return IPv4Address((value >> 80) & _LOW_32) if address in _SIX_TO_FOUR else None


def unwrap(address: Address) -> Address:
    """Return the IPv4 address of an IPv4-mapped address, as the kernel uses it. Return other addresses unchanged."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
