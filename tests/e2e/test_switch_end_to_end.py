"""A call on a real rtpengine, from `startRecording` to the stored file, across a kill of the server."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.e2e.installation import ACCOUNT, make_account
from tests.e2e.server import Server
from tests.e2e.sound import decode
from tests.servers.rtpengine import HOST, RtpCall, running_rtpengine, wait_until_ready

CALLS = "{ viewer { account { calls(first: 5) { nodes { callId recorder } } } } }"
FIELDS = "query Q($id: ID!) { recording(id: $id) { recorder endCause media { url durationMs channels } } }"
DEADLINE = 40


async def get(url: str) -> httpx.Response:
    return await asyncio.to_thread(httpx.get, url, trust_env=False)


async def test_a_call_on_a_switch_is_stored_although_the_server_is_killed(tmp_path: Path) -> None:
    with running_rtpengine(tmp_path / "rtpengine") as engine:
        await wait_until_ready(engine)
        url = f"ng://{HOST}:{engine.port}?name=media1&account={ACCOUNT}&folder={engine.folder}"
        with Server(tmp_path / "data", "--switch", url) as server:
            client = server.client(await asyncio.to_thread(make_account, server.data))
            call = RtpCall(engine, "sip-1@10.0.0.1")
            await call.offer()
            await call.answer()
            identity = (await asyncio.to_thread(client.start, call.call_id, format="WAV"))["plainId"]
            first = call.sent[0]
            found = await asyncio.to_thread(client.graphql, CALLS)
            assert found["viewer"]["account"]["calls"]["nodes"] == [{"callId": call.call_id, "recorder": "media1"}]
            assert (await get(f"{server.url}/readyz")).json()["switches"] == {"media1": "ready"}
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(DEADLINE):
                while call.sent[0] < first + 50:  # noqa: ASYNC110 - the sender has no event
                    await asyncio.sleep(0.1)
            frames = call.sent[0] - first
            await call.hang_up()
            stored = await asyncio.to_thread(client.wait_for, identity, "STORED")
            assert stored["endCause"] == "HANGUP"
            found = (await asyncio.to_thread(client.graphql, FIELDS, id=identity))["recording"]
            assert (found["recorder"], found["media"]["channels"]) == ("media1", 2)
            assert found["media"]["durationMs"] == pytest.approx(frames * 20, abs=200)
            heard = decode((await get(found["media"]["url"])).raise_for_status().content)
            assert heard.seconds == pytest.approx(frames / 50, abs=0.2)
            assert not list((engine.folder / "pcaps").iterdir())
