"""Real SIP calls: SIPp as the caller and as the callee, and a proxy that sends their media through an rtpengine."""

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from adapters.recorders.rtpengine.ng_client import NgClient
from tests.servers.free_ports import free_ports
from tests.servers.rtpengine import HOST, Rtpengine

# A-law is payload type 8. `[rtpstream_audio_port]` is the port from which SIPp sends the file.
_SDP = """v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [rtpstream_audio_port] RTP/AVP 8
a=rtpmap:8 PCMA/8000"""
_VIA = "Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]"
_TO_CALLEE = f"""{_VIA}
From: <sip:alice@[local_ip]>;tag=[call_number]a
To: <sip:bob@[remote_ip]>[peer_tag_param]
Call-ID: [call_id]
Contact: <sip:alice@[local_ip]:[local_port]>
Max-Forwards: 70"""
_REPLY = """[last_Via:]
[last_From:]
[last_To:];tag=[call_number]b
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:bob@[local_ip]:[local_port]>"""
_BODY = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{_SDP}"
_NO_BODY = "Content-Length: 0\n"


def _send(*parts: str) -> str:
    text = "\n".join(parts)
    return f"<send><![CDATA[\n{text}\n]]></send>"


def _caller(sound: Path, seconds: float) -> str:
    return f"""<scenario name="caller">
{_send("INVITE sip:bob@[remote_ip] SIP/2.0", _TO_CALLEE, "CSeq: 1 INVITE", _BODY)}
<recv response="180" optional="true"/>
<recv response="200"/>
{_send("ACK sip:bob@[remote_ip] SIP/2.0", _TO_CALLEE, "CSeq: 1 ACK", _NO_BODY)}
<nop><action><exec rtp_stream="{sound},-1,8"/></action></nop>
<pause milliseconds="{seconds * 1_000:.0f}"/>
{_send("BYE sip:bob@[remote_ip] SIP/2.0", _TO_CALLEE, "CSeq: 2 BYE", _NO_BODY)}
<recv response="200"/>
</scenario>"""


def _callee(sound: Path) -> str:
    return f"""<scenario name="callee">
<recv request="INVITE"/>
{_send("SIP/2.0 180 Ringing", _REPLY, _NO_BODY)}
{_send("SIP/2.0 200 OK", _REPLY, _BODY)}
<recv request="ACK"/>
<nop><action><exec rtp_stream="{sound},-1,8"/></action></nop>
<recv request="BYE"/>
{_send("SIP/2.0 200 OK", _REPLY.replace(";tag=[call_number]b", ""), _NO_BODY)}
</scenario>"""


def require_sipp() -> str:
    """Return the path of SIPp. Without it, the test is skipped; in CI, it fails."""
    found = shutil.which("sipp")
    if found is None:
        message = "SIPp is not installed: apt-get install sip-tester"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    return found


class SipProxy(asyncio.DatagramProtocol):
    """Passes the messages of one caller and one callee on, with the addresses of an rtpengine in each SDP."""

    def __init__(self, engine: Rtpengine, callee_port: int) -> None:
        self._client = NgClient(HOST, engine.port)
        self._callee = (HOST, callee_port)
        self._caller = (HOST, 0)
        self._received: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self._passing = asyncio.create_task(self._pass_on())

    def connection_lost(self, error: Exception | None) -> None:
        self._passing.cancel()

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        is_caller = address != self._callee
        if is_caller:
            self._caller = address
        self._received.put_nowait((data, is_caller))

    async def _pass_on(self) -> None:
        while True:
            data, is_caller = await self._received.get()
            message = await self._with_engine(data.decode())
            self._transport.sendto(message.encode(), self._callee if is_caller else self._caller)

    async def _with_engine(self, message: str) -> str:
        head, _, sdp = message.partition("\r\n\r\n")
        call_id, caller = _header(head, "Call-ID"), _tag(_header(head, "From"))
        if sdp and head.startswith("INVITE"):
            reply = await self._client.ask("offer", call_id=call_id, from_tag=caller, sdp=sdp)
        elif sdp:
            callee = _tag(_header(head, "To"))
            reply = await self._client.ask("answer", call_id=call_id, from_tag=caller, to_tag=callee, sdp=sdp)
        else:
            if head.startswith("BYE"):
                await self._client.ask("delete", call_id=call_id, from_tag=caller, delete_delay=0)
            return message
        sdp = str(reply.values["sdp"])
        head = re.sub(r"(?i)Content-Length: *\d+", f"Content-Length: {len(sdp)}", head)
        return f"{head}\r\n\r\n{sdp}"


def _header(head: str, name: str) -> str:
    return next(line.partition(":")[2].strip() for line in head.split("\r\n") if line.startswith(f"{name}:"))


def _tag(value: str) -> str:
    return value.rpartition("tag=")[2]


@asynccontextmanager
async def sip_calls(
    engine: Rtpengine, folder: Path, sounds: tuple[bytes, bytes], *, calls: int, rate: int, seconds: float
) -> AsyncIterator["asyncio.subprocess.Process"]:
    """Make calls through an rtpengine: `rate` new calls a second, each of `seconds`.

    - `sounds`: the A-law audio that the caller and the callee repeat.

    The context has the process of the caller. Its exit status is 0 if every call succeeded.
    """
    program = require_sipp()
    caller_port, proxy_port, callee_port, *media = free_ports(5)
    proxy, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: SipProxy(engine, callee_port), local_addr=(HOST, proxy_port)
    )

    async def sipp(name: str, scenario: str, port: int, media_port: int, *options: str) -> asyncio.subprocess.Process:
        path = folder / f"{name}.xml"
        path.write_text(f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n{scenario}')
        common = ["-sf", str(path), "-i", HOST, "-p", str(port), "-nostdin", "-mp", str(media_port)]
        return await asyncio.create_subprocess_exec(
            program, *common, *options, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )

    files = [folder / "caller.alaw", folder / "callee.alaw"]
    for path, sound in zip(files, sounds, strict=True):
        path.write_bytes(sound)
    callee = await sipp("callee", _callee(files[1]), callee_port, media[0])
    caller = await sipp(
        "caller", _caller(files[0], seconds), caller_port, media[1],
        "-m", str(calls), "-r", str(rate), f"{HOST}:{proxy_port}",
    )  # fmt: skip
    try:
        yield caller
    finally:
        for process in (caller, callee):
            if process.returncode is None:
                process.kill()
            await process.wait()
        proxy.close()
