"""A double of FreeSWITCH: the Event Socket, with real audio in its files. It misbehaves on request."""

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.contract.recorders.esl_double_calls import DoubleCalls, DoubleChannel
from tests.servers.tcp_server import TcpServer

PASSWORD = "s3cret: with, signs"
VERSION = "FreeSWITCH Version 1.10.12-release~64bit ( 64bit)\n"
USAGE = "-USAGE: <uuid> [start|stop|mask|unmask] <path> [<limit>] [<recording_vars>]\n"
_VARIABLES = re.compile(r"\{([^}]*)\}$")


class Client:
    """A connection of the double."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.events: set[str] = set()
        self.is_frozen = False

    def send(self, data: bytes) -> None:
        if not self.is_frozen:
            self.writer.write(data)


class EslDouble(TcpServer):
    """A FreeSWITCH without telephony.

    - `refuses`: the access list does not allow the client.
    - `is_silent`: it accepts connections and says nothing.
    - `lies`: `uuid_buglist` shows no recordings.
    - `unlisted`: channels that `show channels` does not show: its database is some time late.
    - `unknown`: API commands that it does not know.
    - `slow`: seconds until it executes a command that begins with this text.
    - `dropped`, `doubled`: names of events that it drops, or sends twice.
    - `late`: seconds by which the times of events are in the past.
    - `no_route`: endpoints to which it makes no call.
    """

    def __init__(self, epoch: float | None = None) -> None:
        super().__init__(self._serve)
        self.calls = DoubleCalls(self.emit, epoch)
        self.commands: list[str] = []
        self.refuses = self.is_silent = self.lies = False
        self.unlisted: set[str] = set()
        self.unknown: set[str] = set()
        self.slow: dict[str, float] = {}
        self.dropped: set[str] = set()
        self.doubled: set[str] = set()
        self.late = 0.0
        self.no_route: set[str] = set()
        self.password = PASSWORD
        self.connections = 0
        self.clients: list[Client] = []
        self.tampered: Callable[[bytes], bytes] = lambda data: data
        self.transport: httpx.AsyncBaseTransport | None = None
        self.put_results: list[int] = []
        self._jobs: set[asyncio.Task[None]] = set()
        self._sequence = 400

    # The server

    def drop(self) -> None:
        """Close all connections."""
        for client in tuple(self.clients):
            client.writer.transport.abort()
        self.clients.clear()

    def freeze(self) -> None:
        """Say nothing more on the open connections, as after a network loss without a FIN."""
        for client in self.clients:
            client.is_frozen = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        client = Client(writer)
        self.clients.append(client)
        try:
            if self.refuses:
                client.send(b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")
                return
            if not self.is_silent and await self._log_in(reader, client):
                await self._converse(reader, client)
            elif self.is_silent:
                await reader.read()
        finally:
            with contextlib.suppress(ValueError):
                self.clients.remove(client)

    async def _log_in(self, reader: asyncio.StreamReader, client: Client) -> bool:
        client.send(self.tampered(b"Content-Type: auth/request\n\n"))
        login = await self._read(reader)
        if login in {f"auth {self.password}", f"userauth me@x:{self.password}"}:
            self._reply(client, "+OK accepted")
            return True
        self._reply(client, "-ERR invalid")
        client.send(_block("text/disconnect-notice", "Disconnected, goodbye.\nSee you at ClueCon! http://x/\n"))
        return False

    async def _converse(self, reader: asyncio.StreamReader, client: Client) -> None:
        while True:
            text = await self._read(reader)
            self.commands.append(text)
            for beginning, seconds in self.slow.items():
                if text.startswith(beginning):
                    await asyncio.sleep(seconds)
            verb, _, rest = text.partition(" ")
            match verb:
                case "event":
                    client.events.update(rest.split()[1:])
                    self._reply(client, "+OK event listener enabled plain")
                case "api":
                    client.send(self.tampered(_block("api/response", self.execute(rest))))
                case "bgapi":
                    job = str(uuid.uuid4())
                    self._reply(client, f"+OK Job-UUID: {job}", {"Job-UUID": job})
                    self._run_job(rest)
                case "exit":
                    self._reply(client, "+OK bye")
                    return
                case _:
                    self._reply(client, "-ERR command not found")

    async def _read(self, reader: asyncio.StreamReader) -> str:
        return (await reader.readuntil(b"\n\n")).decode().strip()

    def _reply(self, client: Client, text: str, more: Mapping[str, str] | None = None) -> None:
        lines = {"Content-Type": "command/reply", "Reply-Text": text, **(more or {})}
        client.send(self.tampered("".join(f"{name}: {value}\n" for name, value in lines.items()).encode() + b"\n"))

    # Events

    def emit(self, name: str, channel: DoubleChannel | None, own: Mapping[str, str]) -> None:
        if name in self.dropped:
            return
        block = self.encode(name, channel, own)
        for client in tuple(self.clients):
            if name in client.events:
                client.send(block * (2 if name in self.doubled else 1))

    def encode(self, name: str, channel: DoubleChannel | None, own: Mapping[str, str]) -> bytes:
        self._sequence += 1
        headers = {
            "Event-Name": name,
            "Core-UUID": self.calls.core_uuid,
            "FreeSWITCH-Hostname": "vm",
            "Event-Date-Timestamp": str(int((self.calls.now() - self.late) * 1_000_000)),
            "Event-Sequence": str(self._sequence),
            **({} if channel is None else self._describe(channel)),
            **own,
        }
        body = "".join(
            f"{key}: {quote(value, safe='/,()[]*;=@+ ').replace(' ', '%20')}\n" for key, value in headers.items()
        )
        return _block("text/event-plain", body + "\n")

    def beat(self) -> None:
        self.emit("HEARTBEAT", None, {"Event-Info": "System Ready"})

    def _describe(self, channel: DoubleChannel) -> dict[str, str]:
        other = channel.originator or channel.bridged
        return {
            "Channel-State": "CS_HANGUP" if channel.is_ending else "CS_EXECUTE",
            "Channel-Name": f"loopback/{channel.uuid}",
            "Unique-ID": channel.uuid,
            "Call-Direction": channel.direction,
            "Answer-State": channel.answer_state,
            "Caller-Caller-ID-Name": "Outbound Call",
            "Caller-Caller-ID-Number": "1001",
            "Caller-Destination-Number": "1002",
            "Caller-Channel-Created-Time": str(int(channel.created * 1_000_000)),
            "Caller-Channel-Answered-Time": str(int(channel.answered * 1_000_000)),
            **({"Other-Type": "originator" if channel.originator else "originatee"} if other else {}),
            **({"Other-Leg-Unique-ID": other} if other else {}),
            **{f"variable_{name}": value for name, value in channel.variables.items()},
        }

    # The API

    def execute(self, text: str) -> str:
        name, _, rest = text.partition(" ")
        own: Mapping[str, Callable[[], str]] = {
            "version": lambda: VERSION,
            "create_uuid": lambda: str(uuid.uuid4()),
            "uptime": lambda: self._uptime(rest),
            "global_getvar": lambda: self.calls.core_uuid,
            "strepoch": lambda: str(int(self.calls.now())),
            "show": self._show,
            "originate": lambda: self._originate(rest),
            "file_exists": lambda: "true" if Path(rest).is_file() else "false",
            "uuid_exists": lambda: "true" if rest in self.calls.channels else "false",
        }
        of_channel: Mapping[str, Callable[[DoubleChannel, list[str]], str]] = {
            "uuid_kill": self._kill,
            "uuid_dump": lambda channel, _: json.dumps(
                {"Event-Name": "CHANNEL_DATA", **self._describe(channel)}, indent=1
            ),
            "uuid_setvar": self._set,
            "uuid_buglist": self._bugs,
            "uuid_record": self._record,
        }
        if name in self.unknown or (name not in own and name not in of_channel):
            return f"-ERR {name} Command not found!\n"
        if name in own:
            return own[name]()
        words = rest.split()
        if name == "uuid_record" and len(words) < 3:
            return USAGE
        channel = self.calls.channels.get(words[0])
        if channel is None:
            if name == "uuid_buglist":
                return "-ERR no reply\n"
            return "-ERR No such channel!\n" if name in {"uuid_dump", "uuid_kill"} else "-ERR Cannot locate session!\n"
        return of_channel[name](channel, words[1:])

    def _run_job(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        if name == "http_put" and name not in self.unknown:
            url, _, path = rest.partition(" ")
            job = asyncio.create_task(self.put(url, Path(path).read_bytes()))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)
        else:
            self.execute(text)

    async def put(self, url: str, content: bytes) -> None:
        """Send a file, as mod_http_cache does."""
        async with httpx.AsyncClient(transport=self.transport, trust_env=False) as client:
            self.put_results.append((await client.put(url, content=content)).status_code)

    def _uptime(self, unit: str) -> str:
        """Return the lowest 32 bits, as FreeSWITCH does."""
        return f"{int((self.calls.now() - self.calls.started) * {'ms': 1_000, 's': 1}[unit]) % (1 << 32)}\n"

    def _show(self) -> str:
        rows = [self._row(channel) for channel in self.calls.channels.values() if channel.uuid not in self.unlisted]
        return json.dumps({"row_count": len(rows), **({"rows": rows} if rows else {})}) + "\n"

    def _originate(self, text: str) -> str:
        found = re.match(r"\{([^}]*)\}", text)
        pairs = (pair.partition("=") for pair in (found[1] if found else "").split(",") if pair)
        variables = {name: value for name, _, value in pairs}
        name = variables.get("origination_uuid") or str(uuid.uuid4())
        if name in self.calls.channels:
            return "-ERR DESTINATION_OUT_OF_ORDER\n"
        is_reached = text.rpartition("}")[2].split()[0] not in self.no_route
        self.calls.ring(name, direction="outbound", answered=is_reached and "late" not in text, variables=variables)
        if not is_reached:
            self.calls.hang_up(name)
            return "-ERR NO_ROUTE_DESTINATION\n"
        return f"+OK {name}\n"

    def _kill(self, channel: DoubleChannel, _words: list[str]) -> str:
        self.calls.hang_up(channel.uuid)
        return "+OK\n"

    def _set(self, channel: DoubleChannel, words: list[str]) -> str:
        channel.variables[words[0]] = words[1]
        return "+OK\n"

    def _bugs(self, channel: DoubleChannel, _words: list[str]) -> str:
        bugs = "" if self.lies else "".join(map(_bug, channel.recordings))
        return f"<media-bugs>\n{bugs}</media-bugs>\n"

    def _record(self, channel: DoubleChannel, words: list[str]) -> str:
        action, path, *rest = words
        match action:
            case "start":
                variables = _VARIABLES.search(" ".join(rest))
                pairs = (pair.partition("=") for pair in (variables[1] if variables else "").split(",") if pair)
                limit = int(rest[0]) if rest and rest[0].isdecimal() else 0
                return self.calls.record(channel, path, limit, {name: value for name, _, value in pairs})
            case "stop":
                return self.calls.stop(channel, path)
            case "pause" | "resume" | "mask" | "unmask":
                return self.calls.change(channel, path, action)
        return USAGE

    def _row(self, channel: DoubleChannel) -> dict[str, Any]:
        created = int(channel.created)
        return {
            "uuid": channel.uuid,
            "direction": channel.direction,
            "created": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(created)),
            "created_epoch": str(created),
            "name": f"loopback/{channel.uuid}",
            "state": "CS_EXECUTE",
            "cid_name": "Outbound Call",
            "cid_num": "1001",
            "dest": "1002",
            "callstate": "ACTIVE" if channel.answered else "EARLY",
            "call_uuid": channel.originator or channel.uuid,
        }


def _block(kind: str, body: str) -> bytes:
    data = body.encode()
    if kind == "text/event-plain":
        return b"Content-Length: %d\nContent-Type: %b\n\n%b" % (len(data), kind.encode(), data)
    return b"Content-Type: %b\nContent-Length: %d\n\n%b" % (kind.encode(), len(data), data)


def _bug(path: str) -> str:
    return (
        " <media-bug>\n  <function>session_record</function>\n"
        f"  <target>{path}</target>\n  <thread-locked>0</thread-locked>\n </media-bug>\n"
    )
