"""A double of rtpengine: its ng protocol over HTTP, and the files of its recordings. It misbehaves on request."""

import asyncio
import secrets
import struct
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from adapters.recorders.rtpengine.bencode import decode, encode

Message = dict[str, Any]


def packet(number: int, port: int, ssrc: int, payload: bytes = b"\x55" * 160, seconds: float = 0.0) -> bytes:
    """Return a record of a pcap file: an RTP packet of 20 ms in A-law."""
    rtp = struct.pack(">BBHII", 0x80, 8, number & 0xFFFF, number * 160 & 0xFFFFFFFF, ssrc) + payload
    udp = struct.pack(">HHHH", 40_000, port, 8 + len(rtp), 0) + rtp
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x7f\0\0\1", b"\x7f\0\0\1") + udp
    frame = b"\0" * 12 + b"\x08\0" + ip
    at = 1_795_331_195 + seconds + number / 50
    return struct.pack("<IIII", int(at), int(at % 1 * 1_000_000), len(frame), len(frame)) + frame


HEADER = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1)


class NgDouble:
    """A media proxy without media.

    - `pauses`: whether it knows `pause recording`, as releases after 10.5.
    - `no_files`: it answers `ok` to `start recording` and writes nothing.
    - `no_metadata`: it writes no metadata at the end, as after a crash.
    - `silent`: it accepts requests and does not answer.
    - `garbage`: the bytes of its replies, instead of the right ones.
    """

    def __init__(self, folder: Path) -> None:
        self.calls: dict[str, int] = {}
        """The number of tags of each call."""
        self.recording: dict[str, tuple[Path, str]] = {}
        """The file and the metadata of each recorded call."""
        self.commands: list[str] = []
        self.pauses = self.no_files = self.no_metadata = False
        self.silent = False
        self.garbage: bytes | None = None
        self.port = 0
        self._folder = folder
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        for name in ("pcaps", "metadata"):
            await asyncio.to_thread((self._folder / name).mkdir, parents=True, exist_ok=True)
        app = web.Application()
        app.router.add_post("/ng", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop to listen, and close all connections. Calls and recordings go on."""
        if self._runner is not None:
            await self._runner.cleanup()

    def ring(self, call_id: str, tags: int = 2) -> None:
        self.calls[call_id] = tags

    def hang_up(self, call_id: str) -> None:
        self.calls.pop(call_id, None)
        self._end(call_id)

    async def _answer(self, request: web.Request) -> web.Response:
        cookie, _, body = (await request.read()).partition(b" ")
        message = decode(body)
        self.commands.append(message["command"])
        if self.silent:
            await asyncio.sleep(60)
        reply = cookie + b" " + encode(self._execute(message))
        return web.Response(body=reply if self.garbage is None else self.garbage)

    def _execute(self, message: Message) -> Message:
        call_id = message.get("call-id", "")
        match message["command"]:
            case "ping":
                return {"result": "pong"}
            case "list":
                return {"result": "ok", "calls": list(self.calls)[: message["limit"]]}
            case "pause recording" if not self.pauses:
                return {"result": "error", "error-reason": "Unrecognized command"}
            case _ if call_id not in self.calls:
                return {"result": "error", "error-reason": "Unknown call-id"}
            case "query":
                tags = {f"t{n}": {"tag": f"t{n}"} for n in range(self.calls[call_id])}
                return {"result": "ok", "tags": {**tags, "<untagged 1>": {"tag": ""}}}
            case "start recording" if not self.no_files:
                self._begin(call_id, message["metadata"])
            case "stop recording":
                self._end(call_id)
        return {"result": "ok"}

    def _begin(self, call_id: str, metadata: str) -> None:
        path, _ = self.recording.get(call_id, (None, ""))
        if path is None:
            path = self._folder / "pcaps" / f"{quote(call_id, safe='')}-{secrets.token_hex(8)}.pcap"
            path.write_bytes(HEADER)
        self.recording[call_id] = path, metadata

    def _end(self, call_id: str) -> None:
        path, metadata = self.recording.pop(call_id, (None, ""))
        if path is None:
            return
        with path.open("ab") as file:
            for number in range(50):
                file.write(packet(number, 30_000, 1) + packet(number, 30_018, 2))
        if not self.no_metadata:
            text = f"/var/spool/rtpengine/pcaps/{path.name}\n\n\ncall start time: x\n\n\n{metadata}\n"
            (self._folder / "metadata" / f"rtpengine-meta-{path.stem}.txt").write_text(text)
