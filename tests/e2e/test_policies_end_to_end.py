"""Calls that policies record, or refuse, on a real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.pair import CALLS
from tests.e2e.server import Client, Server, command, until
from tests.e2e.stream_call import StreamCall

SET = (
    "mutation Set($input: SetRecordingPolicyInput!) "
    "{ setRecordingPolicy(input: $input) { errors { ... on UserError { message } } } }"
)
FIND = """query Find($id: String!) {
  recordings(first: 5, filter: {callId: {equal: $id}}) {
    nodes { plainId state reason endCause origin policy { source documentId cell } }
  }
}"""
REFUSED = """{ auditLog(first: 10, filter: {outcome: DENIED, action: [FORBID_CALL]}) {
  nodes { action object { id } actor { name } details }
} }"""
ON = [{"decision": "RECORD"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("policies") / "data", "--demo") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return server.client(server.shown_token())


@pytest.fixture(scope="module")
def ingest(server: Server) -> str:
    return address(server)


@pytest.fixture(autouse=True)
def _no_policy(client: Client) -> None:
    put(client, scope="ACCOUNT", cells=[], locks=[], consent="NOT_NEEDED")


def address(server: Server, *words: str) -> str:
    made = json.loads(command("ingest", "create", "--account", DEMO_ACCOUNT, *words, data=server.data).stdout)
    path: str = made["url"].partition("/ingest/")[2]
    return f"/ingest/{path}"


def put(client: Client, **input: Any) -> None:
    assert client.graphql(SET, input=input)["setRecordingPolicy"]["errors"] == []


def found(client: Client, call_id: str, *states: str) -> Any:
    """Wait until a call has a recording in one of these states, and return it."""

    def look() -> Any:
        nodes = client.graphql(FIND, id=call_id)["recordings"]["nodes"]
        return next((node for node in nodes if node["state"] in states), None)

    return until(look)


def test_in_the_demo_a_call_is_recorded_without_a_mutation(server: Server, client: Client) -> None:
    command("policy", "set", "--account", DEMO_ACCOUNT, "--on", "inbound.offnet", data=server.data)
    with server.call(3) as call:
        recorded = found(client, call.id, "STORED")
    assert recorded["origin"] == "inbound from offnet to account"
    assert recorded["policy"] == {"source": "ACCOUNT", "documentId": DEMO_ACCOUNT, "cell": "inbound.offnet"}
    assert client.find(recorded["plainId"])["durationMs"] > 1_000


def test_bar_6_a_stream_under_never_is_refused_before_its_first_audio(
    server: Server, client: Client, ingest: str
) -> None:
    put(client, scope="ACCOUNT", cells=ON, locks=[{"kind": "NEVER", "numbers": ["+14155550123"]}])
    with StreamCall(server.url, ingest, "secret-call", record="true") as call:
        assert call.wait_for_close() == 1008
    assert call.close_reason.startswith(f"the account {DEMO_ACCOUNT} has a lock NEVER")
    assert client.graphql(FIND, id="secret-call")["recordings"]["nodes"] == []
    until(lambda: not list((server.data / "spool").rglob("*.mulaw")))
    (entry,) = until(lambda: client.graphql(REFUSED)["auditLog"]["nodes"])
    assert (entry["action"], entry["object"]["id"], entry["actor"]["name"]) == ("FORBID_CALL", "secret-call", "policy")
    assert entry["details"]["decision"] == "DO_NOT_RECORD"


def test_an_upload_under_never_is_refused_and_nothing_is_stored(server: Server, client: Client, ingest: str) -> None:
    put(client, scope="ACCOUNT", cells=ON, locks=[{"kind": "NEVER", "numbers": ["+14155550123"]}])

    def upload(number: str) -> httpx.Response:
        parties = {"call_id": f"file-{number}", "from": number, "to": "+493012345"}
        return httpx.put(f"{server.url}{ingest}", params=parties, content=b"RIFF" + bytes(4_000))

    before = set((server.data / "spool").rglob("*"))
    refused = upload("+14155550123")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN_BY_POLICY")
    assert client.graphql(FIND, id="file-+14155550123")["recordings"]["nodes"] == []
    assert set((server.data / "spool").rglob("*")) == before
    assert upload("+14155550199").status_code == 201


def test_a_sender_or_its_address_can_ask_for_the_recording(server: Server, client: Client, ingest: str) -> None:
    every = address(server, "--record-all")
    with (
        StreamCall(server.url, ingest, "asked", record="true"),
        StreamCall(server.url, every, "all"),
        StreamCall(server.url, every, "not", record="false"),
        StreamCall(server.url, ingest, "none"),
    ):
        for call_id in ("asked", "all"):
            assert found(client, call_id, "RECORDING")["policy"]["source"] == "REQUEST"
    for call_id in ("asked", "all"):
        found(client, call_id, "STORED")
    for call_id in ("not", "none"):
        assert client.graphql(FIND, id=call_id)["recordings"]["nodes"] == []


def test_bar_8_after_a_transfer_the_new_leg_is_judged_and_the_first_recording_ends(
    server: Server, client: Client, ingest: str
) -> None:
    put(client, scope="USER", id="ada", cells=ON)
    put(client, scope="USER", id="bob", cells=[{"decision": "DO_NOT_RECORD"}])
    leg = {"interaction_id": "talk", "network": "offnet"}
    with StreamCall(server.url, ingest, "leg1", owner_id="ada", **leg) as first:
        found(client, "leg1", "RECORDING")
        with StreamCall(server.url, ingest, "leg2", owner_id="bob", **leg):
            until(lambda: "leg2" in json.dumps(client.graphql(CALLS)))
            first.hang_up()
            assert found(client, "leg1", "STORED", "FINALIZING")["endCause"] == "LEG_ENDED"
    assert client.graphql(FIND, id="leg2")["recordings"]["nodes"] == []


def test_audio_without_consent_is_deleted(server: Server, client: Client, ingest: str) -> None:
    put(client, scope="ACCOUNT", cells=ON, consent="ALL_PARTIES")
    with StreamCall(server.url, ingest, "waits"), StreamCall(server.url, ingest, "agreed", consent="given"):
        waiting = found(client, "waits", "ARMED")
        recorded = found(client, "agreed", "RECORDING")
        spooled = [path for path in (server.data / "spool").rglob("*") if recorded["plainId"] in str(path)]
        assert spooled
        for recording in (waiting, recorded):
            client.do("answerConsent", id=recording["plainId"], given=False)
        for call_id in ("waits", "agreed"):
            assert found(client, call_id, "DISCARDED")["reason"] == "NO_CONSENT"
        until(lambda: not any(path.exists() for path in spooled))


def test_a_policy_of_v2_records_a_call(server: Server, client: Client, ingest: str, tmp_path: Path) -> None:
    del tmp_path
    path = f"/v2/accounts/{DEMO_ACCOUNT}"
    document = client.http.get(path).json()["data"]
    networks = {network: {"enabled": True} for network in ("onnet", "offnet")}
    document["call_recording"] = {"account": {"inbound": networks, "outbound": networks}}
    assert client.http.post(path, json={"data": document}).json()["data"] == document
    with StreamCall(server.url, ingest, "v2"):
        assert found(client, "v2", "RECORDING")["origin"] == "inbound from unknown to account"
