"""The double of Asterisk answers the captured requests as the real one did."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.contract.recorders.ari_double import PASSWORD, USER, AriDouble

CAPTURED = Path(__file__).parents[2] / "adapters" / "recorders" / "captured" / "ari_transcript.jsonl"
LINES: list[dict[str, Any]] = [json.loads(line) for line in CAPTURED.read_text().splitlines()]


@pytest.fixture
async def double() -> AsyncIterator[AriDouble]:
    opened = AriDouble()
    await opened.start()
    yield opened
    await opened.stop()


def _used(line: dict[str, Any]) -> bool:
    # Bridges are recorded by other clients of Asterisk, not by this service.
    is_other = "rec-bridge" in line.get("url", "") or (line.get("params") or {}).get("name") == "rec-bridge"
    return line["kind"] == "http" and not is_other


def _shape(value: Any) -> Any:
    """Return the names of all fields, without their values."""
    return {key: _shape(each) for key, each in value.items()} if isinstance(value, dict) else None


async def test_the_responses_are_those_of_a_real_asterisk(double: AriDouble) -> None:
    """Each status, each message, and the fields of each body are the same, in the order of the capture."""
    bridges: dict[str, str] = {}
    headers = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{double.port}", headers=headers) as session:
        socket = await session.ws_connect("/ari/events", params={"app": "rec", "subscribeAll": "true"})
        for line in LINES:
            if not _used(line) or "rec-bridge" in line["url"]:
                continue
            # One request asks for a range. Asterisk sends the whole file.
            path = line["url"].replace("range", "/recordings/stored/rec-01JC/file")
            for real, ours in bridges.items():
                path = path.replace(real, ours)
            query = {name: str(value) for name, value in (line.get("params") or {}).items()}
            if path == "/channels":
                query["channelId"] = line["body"]["id"]
            if path.startswith("/recordings/live/rec-max") or query.get("name") == "rec-bad":
                await _until(lambda: "rec-max" in double.stored)
            ranged = {"Range": "bytes=0-99"} if line["url"] == "range" else {}
            async with session.request(line["method"], "/ari" + path, params=query, headers=ranged) as response:
                body: Any = await response.json() if response.content_type == "application/json" else None
                assert (path, response.status) == (path, line["status"])
            if path == "/bridges":
                bridges[line["body"]["id"]] = body["id"]
            elif path == "/recordings/stored":
                assert sorted(body, key=str) == sorted(line["body"], key=str)
            elif isinstance(line.get("body"), dict):
                assert _shape(body) == _shape(line["body"])
                fixed = {"name", "format", "target_uri", "message"} & body.keys() - {"creationtime"}
                if "channel" not in path or path.endswith("record"):
                    assert {key: body[key] for key in fixed} == {key: line["body"][key] for key in fixed}
        await socket.close()


async def test_the_events_are_those_of_a_real_asterisk(double: AriDouble) -> None:
    """A take on a snoop channel, and the hang-up of its call: each event of the capture, with the same fields."""
    headers = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}
    heard: list[dict[str, Any]] = []
    async with aiohttp.ClientSession(f"http://127.0.0.1:{double.port}/ari/", headers=headers) as session:
        socket = await session.ws_connect("events", params={"app": "rec", "subscribeAll": "true"})

        async def listen() -> None:
            async for message in socket:
                heard.append(message.json())  # noqa: PERF401 - they are read before the end

        listening = asyncio.create_task(listen())
        call, snoop = "1795329996.0", "snoop-1"
        await session.post("channels", params={"endpoint": "Local/tone@default", "app": "rec", "channelId": call})
        await session.post(f"channels/{call}/snoop", params={"spy": "both", "app": "rec", "snoopId": snoop})
        await session.post(f"channels/{snoop}/record", params={"name": "rec-snoop", "format": "wav"})
        await session.delete(f"channels/{call}")
        await _until(lambda: sum(each["type"] == "ChannelDestroyed" for each in heard) == 3)
        await socket.close()
        await listening
    captured = [line["event"] for line in LINES if line["kind"] == "event" and 28 <= LINES.index(line) <= 41]
    shapes = {each["type"]: _shape(each) for each in captured}
    # The cause of a hang-up is not used.
    shapes.pop("ChannelHangupRequest")
    assert shapes == {each["type"]: _shape(each) for each in heard if each["type"] in shapes}
    names = [(each["type"], (each.get("channel") or each.get("recording") or {}).get("id")) for each in captured]
    ours = [(each["type"], (each.get("channel") or each.get("recording") or {}).get("id")) for each in heard]
    for name in names:
        kind, identity = name
        assert kind == "ChannelHangupRequest" or name in ours or identity == "1795329996.1"
    order = [each for each in ours if each[0] in {"RecordingStarted", "RecordingFinished", "StasisEnd"}]
    assert order.index(("RecordingFinished", None)) < order.index(("StasisEnd", snoop))


async def _until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the double has no event
            await asyncio.sleep(0.01)
