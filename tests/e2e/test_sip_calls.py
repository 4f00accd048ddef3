"""Real SIP calls through a real rtpengine, which a policy records."""

import asyncio
from pathlib import Path
from typing import Any

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Client, Server, command, until
from tests.servers.rtpengine import HOST, Rtpengine, running_rtpengine, wait_until_ready
from tests.servers.sip_calls import sip_calls
from tests.support.tones import RATE, alaw_tone, signal_to_noise, stereo_samples

CALLS, RATE_OF_CALLS, SECONDS = 10, 5, 4.0
TONES = (440, 1_000)
STORED = "{ recordings(first: 50) { nodes { plainId state callId recorder media { url(format: WAV) } } } }"


def test_every_sip_call_is_recorded_with_both_parties(tmp_path: Path) -> None:
    folder = tmp_path / "rtpengine"
    with running_rtpengine(folder) as engine:
        asyncio.run(wait_until_ready(engine))
        switch = f"ng://{HOST}:{engine.port}?name=media1&account={DEMO_ACCOUNT}&folder={folder}"
        with Server(tmp_path / "data", "--demo", "--switch", switch) as server:
            client = server.client(server.shown_token())
            command("policy", "set", "--account", DEMO_ACCOUNT, "--on", "any.any", data=server.data)
            assert asyncio.run(_make_calls(engine, tmp_path)) == 0
            files = [_wav(client, each) for each in until(lambda: _stored(client))]
    for heard in files:
        # The service finds a call within a second.
        assert SECONDS - 1.6 < len(heard) / RATE < SECONDS + 0.2
        # The left side is the party whose first packet came first.
        sides = [[signal_to_noise(heard[:, side], hertz) > 30 for hertz in TONES] for side in (0, 1)]
        assert sorted(sides) == [[False, True], [True, False]]


async def _make_calls(engine: Rtpengine, folder: Path) -> int:
    sounds = (alaw_tone(TONES[0]), alaw_tone(TONES[1]))
    async with sip_calls(engine, folder, sounds, calls=CALLS, rate=RATE_OF_CALLS, seconds=SECONDS) as caller:
        return await asyncio.wait_for(caller.wait(), 40)


def _stored(client: Client) -> Any:
    found = [each for each in client.graphql(STORED)["recordings"]["nodes"] if each["recorder"] == "media1"]
    return found if len(found) == CALLS and {each["state"] for each in found} == {"STORED"} else None


def _wav(client: Client, recording: Any) -> Any:
    response = client.http.get(recording["media"]["url"])
    assert response.status_code == 200
    return stereo_samples(response.content)
