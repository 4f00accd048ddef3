"""A call on FreeSWITCH that a policy records, up to the stored file, across a kill of the server."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from adapters.recorders.take_files import TakeFiles
from tests.contract.recorders.esl_double import PASSWORD, EslDouble
from tests.e2e.installation import ACCOUNT, make_account
from tests.e2e.server import Client, Server, command, until
from tests.e2e.sound import decode

CALL = "481f27fa-3c4a-4d71-adfd-684c8b549018"
FIND = """query Find($id: String!) {
  recordings(first: 5, filter: {callId: {equal: $id}}) {
    nodes { plainId state recorder endCause callerIdNumber ownerId media { url durationMs channels } }
  }
  viewer { account { calls(first: 5) { nodes { callId recorder capabilities } } } }
}"""


async def test_a_policy_records_calls_on_freeswitch_although_the_server_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "rec"
    folder.mkdir()
    double = EslDouble()
    await double.start()
    secret = quote(PASSWORD, safe="")
    url = f"esl://:{secret}@127.0.0.1:{double.port}?name=pbx1&account={ACCOUNT}&folder={folder}"
    server = Server(tmp_path / "data")
    # The double sends its file by HTTP.
    server.variables["RECORDINGS_SWITCH"] = f"{url}&upload={server.url}"
    with server:
        client = server.client(await asyncio.to_thread(make_account, server.data))
        policy = ("policy", "set", "--account", ACCOUNT, "--on", "any.any")
        await asyncio.to_thread(lambda: command(*policy, data=server.data))
        await asyncio.to_thread(until, lambda: _states(server).get("pbx1") == "ready")
        double.calls.ring(CALL, variables={"recordings_owner_id": "ada"})
        double.calls.ring("leg", originator=CALL, direction="outbound")
        double.calls.bridge(CALL, "leg")
        call = await asyncio.to_thread(until, lambda: _found(client, "RECORDING"))
        assert (call["recorder"], call["callerIdNumber"], call["ownerId"]) == ("pbx1", "1001", "ada")
        (live,) = client.graphql(FIND, id=CALL)["viewer"]["account"]["calls"]["nodes"]
        assert (live["callId"], live["recorder"]) == (CALL, "pbx1")
        assert {"PAUSE", "MASK", "ON_BRIDGE", "CONTINUES"} <= set(live["capabilities"])
        await asyncio.to_thread(server.kill)
        assert list(double.calls.channels) == [CALL, "leg"]
        (recording,) = [each for _, each in double.calls.all_recordings()]
        await asyncio.to_thread(server.start)
        await asyncio.to_thread(until, lambda: _states(server).get("pbx1") == "ready")
        assert [each for _, each in double.calls.all_recordings()] == [recording]
        seconds = double.calls.now() - recording.begun
        double.calls.hang_up(CALL)
        double.calls.hang_up("leg")
        stored = await asyncio.to_thread(until, lambda: _found(client, "STORED"))
        assert (stored["plainId"], stored["endCause"]) == (call["plainId"], "HANGUP")
        assert stored["media"]["channels"] == 2
        assert stored["media"]["durationMs"] / 1_000 == pytest.approx(seconds, abs=0.1)
        content = await asyncio.to_thread(lambda: httpx.get(stored["media"]["url"], trust_env=False).content)
        assert decode(content).seconds == pytest.approx(seconds, abs=0.2)
        assert double.put_results == [201]
        token = TakeFiles(PASSWORD).path_of(stored["plainId"]).split("/")[3]
        for file in (server.log, server.output):
            text = await asyncio.to_thread(file.read_text)
            assert token not in text
            assert PASSWORD not in text
            assert secret not in text
    await double.stop()


async def test_a_wrong_password_is_shown_for_each_switch(tmp_path: Path) -> None:
    double = EslDouble()
    await double.start()
    base = f"127.0.0.1:{double.port}"
    urls = [f"esl://:{text}@{base}?account={ACCOUNT}&folder=/none&name={text}" for text in ("wrong", "bad")]
    with Server(tmp_path / "data", RECORDINGS_SWITCH=",".join(urls)) as server:
        await asyncio.to_thread(until, lambda: set(_states(server).values()) == {"rejected"})
        assert set(_states(server)) == {"wrong", "bad"}
    await double.stop()


def _states(server: Server) -> dict[str, str]:
    return httpx.get(f"{server.url}/readyz", trust_env=False).json()["switches"]  # type: ignore[no-any-return]


def _found(client: Client, *states: str) -> dict[str, Any] | None:
    nodes = client.graphql(FIND, id=CALL)["recordings"]["nodes"]
    assert len(nodes) <= 1
    return next((node for node in nodes if node["state"] in states), None)
