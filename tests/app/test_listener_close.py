import asyncio
import socket

import pytest

from graph.server.run import close_listeners


class Echo(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data[::-1])


async def test_connections_that_wait_when_the_listener_closes_are_served() -> None:
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    clients = [socket.create_connection(address, timeout=10) for _ in range(3)]
    for client in clients:
        client.sendall(b"abc")
    # The event loop has had no time to accept them.
    await close_listeners(server, Echo)
    answers = [await asyncio.to_thread(client.recv, 10) for client in clients]
    assert answers == [b"cba"] * 3
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=10)
    for client in clients:
        client.close()
