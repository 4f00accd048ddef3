"""A call on Asterisk that a policy records, up to the stored file, across a kill of the server."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.contract.recorders.ari_double import PASSWORD, USER, AriDouble
from tests.e2e.installation import ACCOUNT, make_account
from tests.e2e.server import Client, Server, command, until
from tests.e2e.sound import decode

FIND = """query Find($id: String!) {
  recordings(first: 5, filter: {callId: {equal: $id}}) {
    nodes { plainId state recorder endCause callerIdNumber media { url durationMs channels } }
  }
}"""


async def test_a_policy_records_calls_on_asterisk_although_the_server_is_killed(tmp_path: Path) -> None:
    double = AriDouble()
    await double.start()
    secret = quote(PASSWORD, safe="")
    url = f"ari://{USER}:{secret}@127.0.0.1:{double.port}?name=pbx1&account={ACCOUNT}"
    with Server(tmp_path / "data", RECORDINGS_SWITCH=url) as server:
        client = server.client(await asyncio.to_thread(make_account, server.data))
        policy = ("policy", "set", "--account", ACCOUNT, "--on", "any.any")
        await asyncio.to_thread(lambda: command(*policy, data=server.data))
        await asyncio.to_thread(until, lambda: _states(server).get("pbx1") == "ready")
        double.ring("1795329996.0", state="Ring", number="100")
        call = await asyncio.to_thread(until, lambda: _found(client, "RECORDING"))
        assert (call["recorder"], call["callerIdNumber"]) == ("pbx1", "100")
        await asyncio.to_thread(server.kill)
        assert "1795329996.0" in double.channels
        assert [live.state for live in double.live.values()] == ["recording"] * 2
        await asyncio.to_thread(server.start)
        await asyncio.to_thread(until, lambda: _states(server).get("pbx1") == "ready")
        pieces = [live.since for live in double.live.values()]
        double.hang_up("1795329996.0")
        seconds = max(asyncio.get_running_loop().time() - since for since in pieces)
        stored = await asyncio.to_thread(until, lambda: _found(client, "STORED"))
        assert (stored["plainId"], stored["endCause"]) == (call["plainId"], "HANGUP")
        assert (stored["media"]["channels"], stored["media"]["durationMs"] / 1_000) == (
            2,
            pytest.approx(seconds, abs=0.1),
        )
        content = await asyncio.to_thread(lambda: httpx.get(stored["media"]["url"], trust_env=False).content)
        assert decode(content).seconds == pytest.approx(seconds, abs=0.2)
        await asyncio.to_thread(until, lambda: not list(double.leftovers()) or None)
        for file in (server.log, server.output):
            text = await asyncio.to_thread(file.read_text)
            assert PASSWORD not in text
            assert secret not in text
    await double.stop()


def _states(server: Server) -> dict[str, str]:
    return httpx.get(f"{server.url}/readyz", trust_env=False).json()["switches"]  # type: ignore[no-any-return]


def _found(client: Client, *states: str) -> dict[str, Any] | None:
    nodes = client.graphql(FIND, id="1795329996.0")["recordings"]["nodes"]
    assert len(nodes) <= 1
    return next((node for node in nodes if node["state"] in states), None)
