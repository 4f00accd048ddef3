"""A double of Asterisk: its REST interface, its events, and WAV files of known tones. It misbehaves on request.

It follows a real Asterisk 23: `test_ari_double.py` compares it with captured traffic.
"""

import asyncio
import itertools
import json
import math
import struct
import time
from array import array
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import WSMsgType, web

USER, PASSWORD = "recorder", "p@ss:word"
TONES = {"in": 440, "out": 1_000, "both": 440}
"""The frequency of each direction of a call in Hz."""
RATES = {"wav": 8_000, "wav16": 16_000}
FRAME = 0.02

Json = dict[str, Any]


def now_text(seconds: float | None = None) -> str:
    moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}+0000"


@dataclass
class Live:
    """A recording in progress. `pieces` has the length of each piece in seconds, and whether it is silent."""

    name: str
    format: str
    channel: "Chan"
    limit: int
    state: str = "queued"
    muted: bool = False
    pieces: list[tuple[float, bool]] = field(default_factory=list)
    since: float = 0.0

    def json(self, **more: Any) -> Json:
        target = f"channel:{self.channel.id}"
        return {"name": self.name, "format": self.format, "state": self.state, "target_uri": target, **more}

    def turn(self) -> None:
        """End a piece."""
        if self.state == "recording":
            self.pieces.append((time.monotonic() - self.since, self.muted))
        self.since = time.monotonic()

    def wav(self) -> bytes:
        rate, samples = RATES[self.format], array("h")
        for seconds, silent in self.pieces:
            count = round(seconds / FRAME) * int(rate * FRAME)
            step = 2 * math.pi * TONES[self.channel.spy or "in"] / rate
            start = len(samples)
            tone = (round(12_000 * math.sin(step * (start + n))) for n in range(count))
            samples.extend(itertools.repeat(0, count) if silent else tone)
        data = samples.tobytes()
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
        return (
            struct.pack("<4sI4s", b"RIFF", len(data) + 36, b"WAVE")
            + form
            + struct.pack("<4sI", b"data", len(data))
            + data
        )


@dataclass
class Chan:
    id: str
    name: str
    state: str = "Up"
    app: str = ""
    args: str = ""
    spied: str = ""
    """The channel that a snoop channel listens to."""
    spy: str = ""
    pair: str = ""
    """The other half of a Local channel."""
    exten: str = "s"
    appl: str = ""
    number: str = ""
    accountcode: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    created: str = field(default_factory=now_text)
    queue: list[Live] = field(default_factory=list)
    """Its recordings. Only the first one is in progress."""

    def json(self) -> Json:
        data = self.app + (f",{self.args}" if self.args else "")
        found: Json = {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "protocol_id": "",
            "caller": {"name": "", "number": self.number},
            "connected": {"name": "", "number": ""},
            "accountcode": self.accountcode,
            "dialplan": {
                "context": "default",
                "exten": self.exten,
                "priority": 1,
                "app_name": "Stasis" if self.app else self.appl,
                "app_data": data,
            },
            "creationtime": self.created,
            "language": "en",
        }
        return found | ({"channelvars": self.variables} if self.variables else {})


class AriDouble:
    """An Asterisk without telephony.

    - `vanishing`: snoop channels vanish after the response 200, as if the application did not exist.
    - `lost`: the types of events that are not sent. `repeated`: every event is sent twice. `delay`: seconds before it.
    - `slow`, `slow_list`: seconds before the response to a snoop, and to a list of channels.
    - `fails`: the paths, by their end, that answer with 500.
    - `has_no_extension`: calls are accepted and dropped.
    - `silent`: requests are accepted and not answered; nothing is sent on the WebSocket, not even pongs.
    - `closing`: every event WebSocket is closed at once, without an error.
    - `ahead`: how many seconds its clock is ahead.
    - `rate`: the sampling rate of the calls in kHz.
    """

    def __init__(self) -> None:
        self.channels: dict[str, Chan] = {}
        self.bridges: dict[str, Json] = {}
        self.live: dict[str, Live] = {}
        self.stored: dict[str, tuple[str, bytes]] = {}
        self.apps: dict[str, web.WebSocketResponse | None] = {}
        """The applications, and the WebSocket of each active one."""
        self.missed: list[str] = []
        """The types of events that no WebSocket got."""
        self.sent: list[str] = []
        """The types of events that were sent."""
        self.requests: list[str] = []
        self.sockets = 0
        self.port = 0
        self.vanishing = self.repeated = self.silent = self.read_only = self.closing = False
        self.has_no_extension = False
        self.ahead = 0.0
        self.password = PASSWORD
        self.lost: set[str] = set()
        self.fails: set[str] = set()
        self.delay = self.slow = self.slow_list = 0.0
        self.rate = 8
        self.started = time.time() - 3_600
        self._numbers = itertools.count()
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[web.WebSocketResponse] = set()
        self._filters: dict[str, set[str]] = {}
        self.subscribed: set[str] = set()
        """The applications that get the events of all channels and bridges. The others get those of their channels."""

    # The server

    async def start(self) -> None:
        app = web.Application(middlewares=[self._check])
        app.router.add_get("/ari/events", self._events)
        app.router.add_route("*", "/ari/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop to listen, and close all connections. Calls and recordings go on."""
        if self._runner is not None:
            for socket in tuple(self._open):
                _abort(socket)
            await self._runner.cleanup()
        for task in tuple(self._tasks):
            task.cancel()

    def drop(self) -> None:
        """Cut the event WebSockets. HTTP continues."""
        for socket in tuple(self._open):
            _abort(socket)

    def crash(self) -> None:
        """Restart, with nothing left but the files that were written so far, which have no lengths."""
        for live in self.live.values():
            live.turn()
            wav = live.wav()
            self.stored[live.name] = live.format, wav[:4] + bytes(4) + wav[8:40] + bytes(4) + wav[44:]
        self.channels.clear()
        self.bridges.clear()
        self.live.clear()
        self.apps.clear()
        self.started = time.time()
        self.drop()

    @web.middleware
    async def _check(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if self.silent:
            await asyncio.sleep(3_600)
        expected = b64encode(f"{USER}:{self.password}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            return web.json_response({"error": "Authentication required"}, status=401)
        if self.read_only and request.method != "GET":
            return web.json_response({"message": "Write access denied"}, status=403)
        if any(request.path.endswith(end) for end in self.fails):
            return _error(500, "Internal error")
        response: web.StreamResponse = await handler(request)
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        name = request.query["app"]
        if request.query.get("subscribeAll") == "true":
            self.subscribed.add(name)
        self.sockets += 1
        if self.closing:
            await socket.close()
            return socket
        if (previous := self.apps.get(name)) is not None:
            # The earlier WebSocket stays open, but gets nothing any more.
            await previous.send_json({"type": "ApplicationReplaced", "timestamp": now_text(), "application": name})
        self.apps[name] = socket
        self._open.add(socket)
        try:
            async for message in socket:
                if message.type is WSMsgType.PING and not self.silent:
                    await socket.pong(message.data)
        finally:
            self._open.discard(socket)
            if self.apps.get(name) is socket:
                self.apps[name] = None
                self._filters.pop(name, None)
                self.subscribed.discard(name)
                self._retire(name)
        return socket

    def _retire(self, name: str) -> None:
        """Delete an inactive application without channels."""
        if name in self.apps and self.apps[name] is None and not any(c.app == name for c in self.channels.values()):
            del self.apps[name]

    def emit(self, type: str, application: str | None = None, **fields: Any) -> None:
        """Send an event to one application, or to all of them."""
        times = 0 if type in self.lost else 2 if self.repeated else 1
        for name, socket in self.apps.items():
            if application not in {None, name} or (self._filters.get(name) and type not in self._filters[name]):
                continue
            if application is None and name not in self.subscribed and not self._has(name, fields):
                continue
            if socket is None or self.silent:
                self.missed.append(type)
                continue
            message = {"type": type, "timestamp": now_text(time.time() + self.ahead), **fields}
            text = json.dumps(message | {"asterisk_id": "02:fc:00:00:00:01", "application": name})
            for _ in range(times):
                self._spawn(self._send(socket, text))

    def _has(self, application: str, fields: Json) -> bool:
        """Return true if an event is about a channel of an application."""
        identity = fields.get("channel", {}).get("id") or fields.get("recording", {}).get("target_uri", "")[8:]
        chan = self.channels.get(identity)
        return chan is not None and chan.app == application

    async def _send(self, socket: web.WebSocketResponse, text: str) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if not socket.closed:
            self.sent.append(json.loads(text)["type"])
            await socket.send_str(text)

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Calls

    def ring(self, call_id: str, name: str = "", state: str = "Up", **given: Any) -> Chan:
        """Begin a call of one leg."""
        chan = Chan(call_id, name or f"PJSIP/100-{next(self._numbers):08x}", state, **given)
        chan.created = now_text(time.time() + self.ahead)
        self.channels[call_id] = chan
        self.emit("ChannelCreated", channel=chan.json())
        if chan.app:
            chan.exten, args = "tone", [chan.args] if chan.args else []
            self.emit("StasisStart", chan.app, args=args, channel=chan.json())
        return chan

    def answer(self, call_id: str) -> None:
        self.channels[call_id].state = "Up"
        self.emit("ChannelStateChange", channel=self.channels[call_id].json())

    def hang_up(self, channel_id: str, cause: int = 16) -> None:
        """End a channel, the snoop channels that listen to it, and the other half of a Local channel."""
        chan = self.channels.pop(channel_id, None)
        if chan is None:
            return
        self.emit("ChannelHangupRequest", channel=chan.json(), cause=cause)
        for live in chan.queue[:]:
            self._finish(live)
        for bridge in self.bridges.values():
            if channel_id in bridge["channels"]:
                bridge["channels"].remove(channel_id)
                self.emit("ChannelLeftBridge", channel=chan.json(), bridge=bridge)
        if chan.app:
            self.emit("StasisEnd", chan.app, channel=chan.json())
        for snoop in [each for each in self.channels.values() if each.spied == channel_id]:
            self.hang_up(snoop.id, cause=0)
        self.emit("ChannelDestroyed", channel=chan.json(), cause=cause, cause_txt="Normal Clearing")
        if chan.pair:
            self.hang_up(chan.pair)
        self._retire(chan.app)

    def bridge(self, bridge_id: str, *channels: str) -> None:
        """Connect channels."""
        bridge = self.bridges.setdefault(bridge_id, {"id": bridge_id, "bridge_type": "mixing", "channels": []})
        for channel in channels:
            bridge["channels"].append(channel)
            self.emit("ChannelEnteredBridge", bridge=dict(bridge), channel=self.channels[channel].json())

    def transfer_blind(self, leaves: str, stays: str) -> None:
        """Let a leg transfer the other party, and leave."""
        legs: Json = {"channel": self.channels[leaves].json(), "transferee": self.channels[stays].json()}
        self.emit("BridgeBlindTransfer", result="Success", exten="300", context="default", is_external=True, **legs)
        self.hang_up(leaves)

    def transfer_attended(self, first: str, second: str, stays: str, target: str) -> None:
        """Let the two legs of a party connect the two others, and leave."""
        legs = {"transferer_first_leg": first, "transferer_second_leg": second}
        legs |= {"transferee": stays, "transfer_target": target}
        channels: Json = {name: self.channels[leg].json() for name, leg in legs.items()}
        self.emit("BridgeAttendedTransfer", result="Success", is_external=True, destination_type="bridge", **channels)
        self.hang_up(first)
        self.hang_up(second)

    def snoops(self) -> list[Chan]:
        """Return the snoop channels."""
        return [each for each in self.channels.values() if each.spied]

    # Recordings

    def _begin(self, live: Live) -> None:
        live.state, live.since = "recording", time.monotonic()
        self.emit("RecordingStarted", recording=live.json())
        asyncio.get_running_loop().call_later(live.limit + 0.8, self._finish, live) if live.limit else None

    def _finish(self, live: Live, *, keep: bool = True) -> None:
        if self.live.pop(live.name, None) is not live:
            return
        live.turn()
        live.state = "done"
        live.channel.queue.remove(live)
        if keep:
            self.stored[live.name] = live.format, live.wav()
        self.emit("RecordingFinished", recording=live.json(duration=int(sum(each[0] for each in live.pieces))))
        if live.channel.queue:
            self._begin(live.channel.queue[0])

    # Requests

    async def _answer(self, request: web.Request) -> web.StreamResponse:  # noqa: C901, PLR0911 - one table
        parts = [part for part in request.match_info["path"].split("/") if part]
        match request.method, *parts:
            case "GET", "channels":
                listed = [each.json() for each in self.channels.values()]
                await asyncio.sleep(self.slow_list)
                return web.json_response(listed)
            case "GET", "bridges":
                return web.json_response(list(self.bridges.values()))
            case "GET", "asterisk", "info":
                return web.json_response({"status": {"startup_time": now_text(self.started + self.ahead)}})
            case "POST", "applications", name, "subscription":
                assert request.query["eventSource"] == "channel:,bridge:"
                self.subscribed.add(name)
                return web.json_response({"name": name})
            case "PUT", "applications", name, "eventFilter":
                self._filters[name] = {each["type"] for each in (await request.json())["allowed"]}
                return web.json_response({"name": name})
            case "POST", "events", "user", name:
                if request.query["application"] not in self.apps:
                    return _error(404, "Application not found")
                self.emit("ChannelUserevent", request.query["application"], eventname=name, userevent={})
                return web.Response(status=204)
            case "POST", "bridges":
                bridge: Json = {"id": f"bridge-{next(self._numbers)}", "bridge_type": "mixing", "channels": []}
                self.bridges[bridge["id"]] = bridge
                return web.json_response(bridge)
            case "DELETE", "bridges", name:
                return web.Response(status=204) if self.bridges.pop(name, None) else _error(404, "Bridge not found")
            case "POST", "bridges", name, "addChannel":
                self.bridge(name, *request.query["channel"].split(","))
                return web.Response(status=204)
            case _, "recordings", *rest:
                return self._recordings(request.method, rest)
            case _, "channels", *rest:
                return await self._channels(request, rest)
        return _error(404, "Resource not found")

    async def _channels(self, request: web.Request, parts: list[str]) -> web.Response:  # noqa: PLR0911 - one table
        if request.method == "POST" and not parts:
            return self._originate(request)
        chan = self.channels.get(parts[0])
        if chan is None:
            missing = "Provided channel was not found" if parts[1:] == ["snoop"] else "Channel not found"
            return _error(404, missing)
        match request.method, *parts[1:]:
            case ("GET",):
                return web.json_response(chan.json())
            case ("DELETE",):
                self.hang_up(chan.id, cause=32)
                return web.Response(status=204)
            case "GET", "variable":
                return web.json_response({"value": "slin" if self.rate == 8 else f"slin{self.rate}"})
            case "POST", "snoop":
                # It continues if the client does not wait for the response.
                return await asyncio.shield(asyncio.ensure_future(self._slow_snoop(chan, request)))
            case "POST", "record":
                return self._record(chan, request)
        return _error(404, "Resource not found")

    def _originate(self, request: web.Request) -> web.Response:
        app = request.query.get("app", "")
        number = next(self._numbers)
        name = f"{request.query['endpoint']}-{number:08x}"
        identity = request.query.get("channelId") or f"{int(time.time())}.{number}"
        chan = Chan(identity, f"{name};1", "Down", pair=f"{identity};2", appl="AppDial2", exten="tone")
        created = chan.json()
        other = Chan(f"{identity};2", f"{name};2", appl="Wait", exten="tone", pair=identity)
        if (app and app not in self.apps) or self.has_no_extension:
            # The response is a success, but the call is dropped.
            return web.json_response(created)
        for each in (chan, other):
            self.channels[each.id] = each
            self.emit("ChannelCreated", channel=each.json())
        chan.state, chan.app, chan.args = "Up", app, request.query.get("appArgs", "")
        self.emit("ChannelStateChange", channel=chan.json())
        if app:
            args = [chan.args] if chan.args else []
            self.emit("StasisStart", app, args=args, channel=chan.json())
        return web.json_response(created)

    async def _slow_snoop(self, chan: Chan, request: web.Request) -> web.Response:
        await asyncio.sleep(self.slow)
        if chan.id not in self.channels:
            return _error(404, "Provided channel was not found")
        return self._snoop(chan, request)

    def _snoop(self, chan: Chan, request: web.Request) -> web.Response:
        query = request.query
        if query["snoopId"] in self.channels:
            return _error(500, "Snoop channel could not be created")
        snoop = Chan(query["snoopId"], f"Snoop/{chan.id}-{next(self._numbers):08x}", spied=chan.id, spy=query["spy"])
        body = snoop.json()
        self.channels[snoop.id] = snoop
        self.emit("ChannelCreated", channel=body)
        if self.vanishing or query["app"] not in self.apps:
            asyncio.get_running_loop().call_later(0.05, self.hang_up, snoop.id)
        else:
            snoop.app = query["app"]
            self.emit("StasisStart", snoop.app, args=[], channel=snoop.json())
        return web.json_response(body)

    def _record(self, chan: Chan, request: web.Request) -> web.Response:
        name, format = request.query["name"], request.query["format"]
        if not chan.app:
            return _error(409, "Channel not in Stasis application")
        if name in self.live or name in self.stored:
            return _error(409, f"Recording '{name}' already exists and can not be overwritten")
        if format not in RATES:
            return _error(422, "specified format is unknown on this system")
        live = Live(name, format, chan, int(request.query.get("maxDurationSeconds", "0")))
        body = live.json()
        self.live[name] = live
        chan.queue.append(live)
        if chan.queue[0] is live:
            self._begin(live)
        return web.json_response(body, status=201)

    def _recordings(self, method: str, parts: list[str]) -> web.Response:
        name = "/".join(part for part in parts[1:] if part not in {"stop", "pause", "mute", "file"})
        live, stored = self.live.get(name), self.stored.get(name)
        if parts == ["stored"]:
            return web.json_response([{"name": each, "format": form} for each, (form, _) in self.stored.items()])
        if (live if parts[0] == "live" else stored) is None:
            return _error(404, "Recording not found")
        if parts[0] == "stored" and stored is not None:
            if method == "DELETE":
                del self.stored[name]
                return web.Response(status=204)
            if parts[-1] == "file":
                return web.Response(body=stored[1], content_type="audio/wav")
            return web.json_response({"name": name, "format": stored[0]})
        assert live is not None
        return self._control(method, parts[-1], live)

    def _control(self, method: str, action: str, live: Live) -> web.Response:
        on = method == "POST"
        if method == "GET":
            return web.json_response(live.json())
        live.turn()
        if action == "stop":
            self._finish(live)
        elif action == "pause":
            live.state = "paused" if on else "recording"
        elif action == "mute":
            live.muted = on
        else:
            self._finish(live, keep=False)
        return web.Response(status=204)

    def leftovers(self) -> Iterator[str]:
        """Return what the service has left on the switch."""
        yield from (each.id for each in self.snoops())
        yield from (name for name in (*self.live, *self.stored) if name.startswith("rec-"))


def _abort(socket: web.WebSocketResponse) -> None:
    request = socket._req
    if request is not None and request.transport is not None:
        request.transport.abort()


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
