"""Senders of Twilio media streams for the benchmarks: calls with two tracks of messages of 20 ms.

python -m bench.stream_senders PORT --streams 50 --seconds 5 --core 1 --sender PROGRAM [--path /ingest/…/ws]
"""

import argparse
import base64
import json
import os
import secrets
import socket
import struct
import subprocess
from pathlib import Path
from typing import Any

from bench.stream_servers import PATH

STREAM = "MZ" + "d" * 32
TICK = 0.02


def text_frame(message: dict[str, Any]) -> bytes:
    """Return a client's WebSocket text frame. Its masking key is zero, which leaves the text unchanged."""
    data = json.dumps(message, separators=(",", ":")).encode()
    head = bytes([0x81, 0x80 | len(data)]) if len(data) < 126 else b"\x81\xfe" + struct.pack(">H", len(data))
    return head + b"\0\0\0\0" + data


def media(track: str, chunk: int) -> bytes:
    body = {"track": track, "chunk": str(chunk), "timestamp": str(chunk * 20), "payload": payload()}
    return text_frame({"event": "media", "sequenceNumber": str(2 * chunk), "media": body, "streamSid": STREAM})


def connect(port: int, path: str = PATH, call_id: str | None = None) -> socket.socket:
    """Open a stream and send its start message. By default, its call has a new id."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "", ""]
    connection.sendall("\r\n".join(lines).encode())
    while b"\r\n\r\n" not in connection.recv(4096):
        pass
    form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"streamSid": STREAM, "callSid": call_id or "CA" + secrets.token_hex(16), "tracks": ["inbound", "outbound"]}
    connection.sendall(text_frame({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
    connection.sendall(text_frame({"event": "start", "start": start | {"mediaFormat": form}, "streamSid": STREAM}))
    return connection


def compile_sender(folder: Path) -> Path:
    """Compile sender.c. It needs a C compiler, `cc`."""
    program = folder / "sender"
    subprocess.run(["cc", "-O2", "-o", program, Path(__file__).with_name("sender.c")], check=True)
    return program


def payload() -> str:
    """Return the audio of a frame. The sender writes the number of the frame into it."""
    return base64.b64encode(secrets.token_bytes(160)).decode()


def send(program: Path, port: int, streams: int, seconds: float, path: str = PATH) -> None:
    """Send calls in real time, spread evenly over each 20 ms. The two tracks of a call are 10 ms apart."""
    files = [connect(port, path).detach() for _ in range(streams)]
    for file in files:
        os.set_inheritable(file, True)
    arguments = [int(seconds / TICK), STREAM, payload(), *files]
    os.execv(program, [str(program), *map(str, arguments)])  # noqa: S606


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--sender", type=Path, required=True)
    parser.add_argument("--path", default=PATH)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    send(options.sender, options.port, options.streams, options.seconds, options.path)


if __name__ == "__main__":
    main()
