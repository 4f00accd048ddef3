"""The address of a client, with and without a proxy."""

import pytest
from starlette.requests import HTTPConnection

from graph.server.trusted_proxies import client_finder


def connection(host: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "client": (host, 5_000), "headers": []})


def test_a_client_is_known_by_its_address_and_a_proxy_is_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    find = client_finder()
    assert [find(connection(host)) for host in ("10.0.0.7", "::1", "127.0.0.1")] == ["10.0.0.7", "::1", ""]
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8")
    find = client_finder()
    assert [find(connection(host)) for host in ("10.0.0.7", "127.0.0.1")] == ["", "127.0.0.1"]
    assert find(HTTPConnection({"type": "http", "client": None, "headers": []})) == ""
