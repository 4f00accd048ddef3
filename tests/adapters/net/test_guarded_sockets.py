"""Plain connections: only to checked addresses."""

import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from adapters.net import AddressRefusedError, Guard, connect, reachable
from tests.servers.free_ports import free_port


@pytest.fixture
def port() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


class Names:
    """A name server that returns the next of its answers for each query."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.queries = 0
        real = socket.getaddrinfo

        def look_up(host: str, port: int, *given: Any, **named: Any) -> Any:
            if host[0].isdigit():
                return real(host, port, *given, **named)
            self.queries += 1
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.answers.pop(0)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_a_name_is_resolved_once_and_a_checked_address_is_used(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, ["10.0.0.1", "127.0.0.1"], ["169.254.169.254"])
    with connect(Guard(private=["127.0.0.0/8"]), "files.example", port, 5) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)
    assert names.queries == 1


def test_a_name_with_private_addresses_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["127.0.0.1", "169.254.169.254"])
    with pytest.raises(AddressRefusedError, match=r"'files.example' has no public address"):
        connect(Guard(), "files.example", port, 5)


def test_an_unlisted_host_is_not_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch)
    with pytest.raises(AddressRefusedError, match="not among the allowed hosts"):
        reachable(Guard(["other.example"]), "files.example", 22)
    assert names.queries == 0


def test_the_next_address_is_tried_if_one_does_not_answer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["127.0.0.9", "127.0.0.1", "127.0.0.8"])
    with connect(Guard(private=["127.0.0.0/8"]), "files.example", port, 5) as connection:
        assert connection.getpeername() == ("127.0.0.1", port)


def test_the_error_of_the_last_address_is_raised() -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(Guard(private=["127.0.0.1"]), "127.0.0.1", free_port(), 5)
