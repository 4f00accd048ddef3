"""A call that a switch streams to a server, with a call id of the test's choice."""

import base64
import json
import socket
import threading
import time
from collections.abc import Mapping
from typing import Self

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.e2e.server import until

_FRAME_SECONDS = 0.02


class StreamCall:
    """A media stream in a thread. It sends silence until `hang_up`, or until the server closes it."""

    def __init__(self, base_url: str, ingest: str, call_id: str, **parameters: str) -> None:
        """`parameters` are added to the parameters of the stream."""
        self.headers: Mapping[str, str] = {}
        """The headers of the handshake."""
        self.call_id = call_id
        self.close_reason = ""
        self._parameters = {"from": "+14155550123", "to": "1001", "direction": "inbound"} | parameters
        self.close_code: int | None = None
        self._url = f"{base_url.replace('http', 'ws', 1)}{ingest}/ws"
        self._is_lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()

    def hang_up(self) -> None:
        """End the call as a switch does."""
        self._over.set()
        self._thread.join(20)

    def break_off(self) -> None:
        """Lose the connection, without an end of the call."""
        self._is_lost = True
        self.hang_up()

    def wait_for_close(self) -> int:
        """Wait until the server has closed the stream, and return its close code."""
        return until(lambda: self.close_code)

    @property
    def is_open(self) -> bool:
        """Whether the stream is still connected."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            with connect(self._url, additional_headers=self.headers, compression=None, proxy=None) as connection:
                self._send(connection)
                connection.close()
        except ConnectionClosed as closed:
            self.close_reason = closed.rcvd.reason if closed.rcvd is not None else ""
            self.close_code = closed.rcvd.code if closed.rcvd is not None else 1006
        except (OSError, InvalidHandshake):
            self.close_code = 1006

    def _send(self, connection: ClientConnection) -> None:
        send = connection.send
        send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        start = {
            "streamSid": self.call_id,
            "callSid": self.call_id,
            "accountSid": "x",
            "tracks": ["inbound", "outbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
            "customParameters": self._parameters,
        }
        send(json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": self.call_id, "start": start}))
        payload = base64.b64encode(b"\xff" * 160).decode()
        began, number = time.monotonic(), 0
        while not self._over.is_set():
            for track in ("inbound", "outbound"):
                media = {"track": track, "timestamp": str(number * 20), "payload": payload}
                send(json.dumps({"event": "media", "media": media}))
            number += 1
            time.sleep(max(0.0, began + number * _FRAME_SECONDS - time.monotonic()))
        if self._is_lost:
            connection.socket.shutdown(socket.SHUT_RDWR)
        else:
            send(json.dumps({"event": "stop"}))
