"""The hosts and addresses that a guard allows."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.net import AddressRefusedError, Guard
from adapters.net.public_addresses import embedded, is_public, parse

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "3fff::1",
    "2001::1",
    "64:ff9b:1::1",
    "100::1",
    "5f00::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.0.1", "100.128.0.1", "2606:4700::1111"]
PUBLIC += ["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2606:4700::5efe:808:808"]

private_v4 = st.one_of(
    *(
        st.ip_addresses(v=4, network=network)
        for network in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "100.64.0.0/10", "0.0.0.0/8")
    )
)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(AddressRefusedError):
        Guard().check_address("name.example", address)
    with pytest.raises(AddressRefusedError):
        Guard().check_host(f"[{address}]" if ":" in address else address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    Guard().check_address("name.example", address)
    Guard().check_host(address)


def test_the_spelling_of_an_address_does_not_matter() -> None:
    guard = Guard(["2606:4700:0:0::1111", "[2001:DB8::1]"], ["fd00:0::1", "10.1.2.3/16"])
    guard.check_host("[2606:4700::1111]")
    guard.check_address("name.example", "fd00::1")
    guard.check_address("name.example", "10.1.255.255")
    for host in ("2606:4700::1112", "[2001:db8::1]"):
        with pytest.raises(AddressRefusedError):
            guard.check_host(host)


@given(private_v4)
def test_no_embedding_makes_a_private_address_public(inner: IPv4Address) -> None:
    value = int(inner)
    forms = [
        IPv6Address((0xFFFF << 32) | value),
        IPv6Address(value),
        IPv6Address((0x2002 << 112) | (value << 80) | 1),
        IPv6Address((0x64FF9B << 96) | value),
        IPv6Address(int(IPv6Address("2606:4700::")) | (0x5EFE << 32) | value),
        IPv6Address(int(IPv6Address("2606:4700::")) | (0x02005EFE << 32) | value),
        IPv6Address((0x20010000 << 96) | (value ^ 0xFFFFFFFF)),
    ]
    assert not any(map(is_public, forms))


@given(st.ip_addresses())
def test_public_addresses_are_global_in_the_standard_library_too(address: IPv4Address | IPv6Address) -> None:
    if is_public(address):
        inner = embedded(address) if isinstance(address, IPv6Address) else None
        assert (inner or address).is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=6))
def test_only_the_unicast_block_and_translations_are_public(address: IPv6Address) -> None:
    allowed = any(address in IPv6Network(network) for network in ("2000::/3", "64:ff9b::/96", "::ffff:0:0/96"))
    assert allowed or not is_public(address)


@given(st.text(max_size=20))
def test_any_text_is_allowed_or_refused(text: str) -> None:
    try:
        Guard(["audio.example"]).check_host(text)
    except AddressRefusedError:
        return
    assert text.strip().strip("[]").lower().removesuffix(".") == "audio.example"


@pytest.mark.parametrize(
    ("hosts", "host", "allowed"),
    [
        (["*"], "anything.example", True),
        ([], "anything.example", False),
        (["audio.example"], "AUDIO.example.", True),
        (["audio.example"], "x.audio.example", False),
        (["audio.example"], "audio.example.evil.example", False),
        (["*.audio.example"], "x.y.audio.example", True),
        (["*.audio.example"], "audio.example", False),
        (["*.audio.example"], "evilaudio.example", False),
        (["bücher.example"], "xn--bcher-kva.example", True),
        (["1.1.1.1"], "1.1.1.1", True),
        (["*.1.1"], "1.1.1.1", False),
        (["*"], "", False),
        (["*"], "a" * 70 + "ü.example", False),
    ],
)
def test_hosts_are_matched_by_whole_labels(hosts: list[str], host: str, allowed: bool) -> None:
    guard = Guard(hosts)
    if allowed:
        guard.check_host(host)
    else:
        with pytest.raises(AddressRefusedError):
            guard.check_host(host)


def test_private_addresses_are_allowed_by_name_address_or_network_only() -> None:
    guard = Guard(private=["recorder.lan", "10.1.0.0/16", "fd00::7", "127.0.0.1"])
    guard.check_address("recorder.lan", "192.168.3.4")
    guard.check_address("anything", "10.1.2.3")
    guard.check_address("anything", "::ffff:10.1.2.3")
    guard.check_host("[fd00::7]")
    guard.check_host("127.0.0.1")
    for host, address in (("other.lan", "192.168.3.4"), ("x", "10.2.0.1"), ("x", "fd00::8"), ("x", "nonsense")):
        assert not guard.allows(host, address)


@pytest.mark.parametrize("entry", ["*", "*.lan", "10.0.0.0/99"])
def test_a_pattern_never_allows_private_addresses(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a name, an address or a network"):
        Guard(private=[entry])


@given(st.ip_addresses())
def test_an_address_is_parsed_as_the_kernel_parses_it(address: IPv4Address | IPv6Address) -> None:
    assert parse(str(address)) == ip_address(str(address)) == address
    assert parse(f"[{address}]") == address


@pytest.mark.parametrize(
    "entry", ["a b", "https://audio.example.org", "*.*", "a.*", "10.0.0.0/8", "audio.example.org:80", ""]
)
def test_a_malformed_host_entry_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match="is not a name, "):
        Guard([entry])


@pytest.mark.parametrize("entry", ["a b", "http://recorder.lan", "10.0.0.0/99", "recorder.lan:80"])
def test_a_malformed_private_entry_is_an_error(entry: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{entry!r} is not a name, an address or a network")):
        Guard(private=[entry])


@pytest.mark.parametrize("entry", ["*", "*.example.org", "recorder_1.lan", "Bücher.example", "[::1]", "10.0.0.1", "x."])
def test_valid_host_entries_are_accepted(entry: str) -> None:
    assert Guard([entry]) is not None
