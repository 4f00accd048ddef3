"""Subscriptions to a served process over a WebSocket."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.e2e.server import Server

CALLS = "subscription { callsChanged { kind call { callId node } } }"
CHANGES = "subscription { recordingChanged { kind recording { plainId } } }"


@contextmanager
def subscribed(server: Server | str, token: str, **documents: str) -> Iterator[ClientConnection]:
    """Open a socket of a server, or of the URL of a balancer, with these operations, by id."""
    url = (server if isinstance(server, str) else server.url).replace("http", "ws", 1) + "/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {"token": token}}))
        assert json.loads(socket.recv(20)) == {"type": "connection_ack"}
        for id, query in documents.items():
            socket.send(json.dumps({"type": "subscribe", "id": id, "payload": {"query": query}}))
        yield socket


_waiting: WeakKeyDictionary[ClientConnection, list[Any]] = WeakKeyDictionary()
"""The messages of other operations that were received meanwhile."""


def following(socket: ClientConnection, id: str, seconds: float = 40) -> Any:
    """Return the next result of an operation. Fail if there is no message for so long."""
    waiting = _waiting.setdefault(socket, [])
    message = next((each for each in waiting if each["id"] == id), None)
    if message is not None:
        waiting.remove(message)
    while message is None:
        received = json.loads(socket.recv(seconds))
        if received.get("id") == id:
            message = received
        elif "id" in received:
            waiting.append(received)
    assert message["type"] == "next", message
    (result,) = message["payload"]["data"].values()
    return result


def closed(socket: ClientConnection) -> int:
    """Return the code with which the server closes a socket. Ignore messages before it."""
    try:
        while True:
            socket.recv(20)
    except ConnectionClosed as ended:
        return 1006 if ended.rcvd is None else ended.rcvd.code
