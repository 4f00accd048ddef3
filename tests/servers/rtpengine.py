"""A real rtpengine (Debian's rtpengine-daemon), without its kernel module, and callers that send real RTP."""

import asyncio
import os
import re
import secrets
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.recorders.rtpengine.ng_client import NgClient
from adapters.recorders.switch_base import ConnectionLost
from tests.servers.free_ports import free_ports
from tests.servers.server_process import die_with_parent

HOST = "127.0.0.1"
FRAME = 160
START_SECONDS = 20.0


@dataclass(frozen=True)
class Rtpengine:
    """A running rtpengine: its port for HTTP, and its recording folder."""

    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"


def require_rtpengine() -> str:
    """Return the path of rtpengine. Without it, the test is skipped; in CI, it fails."""
    found = shutil.which("rtpengine")
    if found is None:
        message = "rtpengine is not installed: apt-get install rtpengine-daemon"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found


@contextmanager
def running_rtpengine(folder: Path) -> Iterator[Rtpengine]:
    """Run rtpengine until the end of the context."""
    program = require_rtpengine()
    for name in ("pcaps", "metadata", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    port, udp = free_ports(2)
    first = 20_000 + (os.getpid() * 200) % 40_000
    command = [program, "--foreground", "--log-stderr", "--log-level=6", "--table=-1", f"--interface={HOST}",
               f"--listen-ng={HOST}:{udp}", f"--listen-http={HOST}:{port}", "--recording-method=pcap",
               "--recording-format=eth", f"--recording-dir={folder}", f"--port-min={first}",
               f"--port-max={first + 199}", "--num-threads=1"]  # fmt: skip
    process = _start(command, folder / "log")
    try:
        yield Rtpengine(port, folder, process)
    finally:
        process.terminate()
        process.wait(10)


def _start(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start rtpengine and wait until its start is complete. rtpengine 10.5 now and then crashes while it starts."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                stdout=subprocess.DEVNULL,
                stderr=out,
                cwd=log.parent,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only makes one system call
            )
        while process.poll() is None and time.monotonic() < deadline:
            if b"Startup complete" in log.read_bytes():
                return process
            time.sleep(0.02)
        process.kill()
        process.wait()
    message = f"rtpengine does not start: {log.read_text(errors='replace')[-500:]}"
    raise TimeoutError(message)


async def wait_until_ready(engine: Rtpengine) -> None:
    client = NgClient(HOST, engine.port)
    async with asyncio.timeout(20):
        while True:
            try:
                await client.ask("ping")
            except ConnectionLost:
                await asyncio.sleep(0.05)
            else:
                break


class RtpCall:
    """A call through rtpengine: an offer, an answer, and RTP of both parties in real time, A-law."""

    def __init__(self, engine: Rtpengine, call_id: str, sounds: tuple[bytes, bytes] = (b"", b"")) -> None:
        self.call_id = call_id
        self.sent = [0, 0]
        """The frames that each party has sent."""
        self._client = NgClient(HOST, engine.port)
        self._sounds = sounds
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for each in self._sockets:
            each.bind((HOST, 0))
            each.setblocking(False)
        self._ports: list[int] = []
        self._sending: asyncio.Task[None] | None = None

    async def offer(self) -> None:
        reply = await self._client.ask("offer", call_id=self.call_id, from_tag="a", sdp=self._sdp(0))
        self._ports = [_port_of(reply.values["sdp"])]

    async def answer(self) -> None:
        reply = await self._client.ask("answer", call_id=self.call_id, from_tag="a", to_tag="b", sdp=self._sdp(1))
        # The caller sends to the port of the answer, the callee to the port of the offer.
        self._ports.insert(0, _port_of(reply.values["sdp"]))
        self._sending = asyncio.create_task(self._send())

    async def hang_up(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        await self._client.ask("delete", call_id=self.call_id, from_tag="a", delete_delay=0)
        for each in self._sockets:
            each.close()

    async def _send(self) -> None:
        ssrcs = [secrets.randbits(32) for _ in range(2)]
        started, frame = asyncio.get_running_loop().time(), 0
        while True:
            for side, ssrc in enumerate(ssrcs):
                sound = self._sounds[side] or b"\xd5" * FRAME
                at = frame * FRAME % len(sound)
                header = struct.pack(">BBHII", 0x80, 8, frame & 0xFFFF, frame * FRAME, ssrc)
                self._sockets[side].sendto(header + sound[at : at + FRAME], (HOST, self._ports[side]))
                self.sent[side] = frame + 1
            frame += 1
            await asyncio.sleep(started + frame * 0.02 - asyncio.get_running_loop().time())

    def _sdp(self, side: int) -> str:
        port = self._sockets[side].getsockname()[1]
        return (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n"
        )


def _port_of(sdp: str) -> int:
    found = re.search(r"m=audio (\d+)", sdp)
    assert found is not None
    return int(found[1])
