"""Two servers on one MongoDB: each can record the calls of the other."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.adapters.audio.made_files import make
from tests.e2e.installation import ACCOUNT, make_key, revoke_all
from tests.e2e.live_socket import CALLS, CHANGES, closed, following, subscribed
from tests.e2e.pair import Pair, audio, codes, live
from tests.e2e.server import Client, until
from tests.e2e.sound import decode
from tests.e2e.stream_call import StreamCall


def test_the_same_file_through_two_servers_is_stored_once(pair: Pair) -> None:
    body = make("w01_plain.wav", pair.one.data.parent).read_bytes()

    def put(call: int, client: Client) -> tuple[int, str]:
        sent = client.http.put(f"{pair.ingest}/call_recording_{call}.wav?call_id={call}", content=body)
        return sent.status_code, sent.json()["id"]

    clients = (pair.at_one, pair.at_other)
    with ThreadPoolExecutor(24) as pool:
        # Twelve files, each sent through both servers at once. Then one file in sequence, first here, then there.
        jobs = [(call, client) for call in range(12) for client in clients]
        answers = list(pool.map(lambda job: put(*job), jobs))
    answers += [put(12, pair.at_one), put(12, pair.at_other), put(12, pair.at_one)]
    assert {status for status, _ in answers} <= {200, 201}
    assert answers[-3][1] == answers[-2][1] == answers[-1][1]
    until(lambda: Counter(states(pair.at_one).values())["FINALIZING"] == 0, seconds=60)
    found = states(pair.at_one)
    for call in range(13):
        of_call = Counter(state for (name, _), state in found.items() if name == str(call))
        assert of_call["STORED"] == 1, (call, of_call)
        assert set(of_call) <= {"STORED", "DISCARDED"}
    assert len(list((pair.one.data.parent / "audio").rglob("*.wav"))) == 13


def states(client: Client) -> dict[tuple[str, str], str]:
    query = "{ viewer { account { recordings(first: 100) { nodes { plainId callId state } } } } }"
    nodes = client.graphql(query)["viewer"]["account"]["recordings"]["nodes"]
    return {(node["callId"], node["plainId"]): node["state"] for node in nodes}


def test_a_call_is_recorded_through_any_server(pair: Pair) -> None:
    token = pair.at_other.http.headers["X-Auth-Token"]
    with (
        subscribed(pair.other, token, calls=CALLS, changes=CHANGES) as socket,
        pair.one.call(60, "--account", ACCOUNT) as call,
    ):
        until(lambda: live(pair.at_other) == [call.id] == live(pair.at_one))
        assert following(socket, "calls")["call"]["callId"] == call.id
        taken = pair.at_other.do("startRecording", callId=call.id, format="WAV")
        assert taken["state"] == "RECORDING"
        identity = taken["plainId"]
        for client in (pair.at_one, pair.at_other):
            assert codes(client.mutate("startRecording", callId=call.id)) == ["ALREADY_RECORDING"]
        # A fixed time, because a recording without audio is discarded.
        time.sleep(1)
        assert pair.at_other.do("pauseRecording", id=identity)["state"] == "PAUSED"
        assert pair.at_one.do("resumeRecording", id=identity)["state"] == "RECORDING"
        pair.at_other.do("maskRecording", id=identity)
        assert pair.at_other.do("unmaskRecording", id=identity)["spans"][1]["kind"] == "MASKED"
        assert pair.at_other.do("stopRecording", id=identity)["state"] == "FINALIZING"
        assert codes(pair.at_one.mutate("stopRecording", id=identity)) == ["NOT_RECORDING"]
        stored = pair.at_other.wait_for(identity, "STORED")
        kinds = [following(socket, "changes")["kind"] for _ in range(8)]
        assert kinds == ["REQUESTED", "STARTED", "PAUSED", "RESUMED", "MASKED", "UNMASKED", "ENDED", "STORED"]
        assert call.hang_up() == 0
        while following(socket, "calls")["kind"] != "ENDED":
            pass
    until(lambda: live(pair.at_other) == [])
    assert (stored["endCause"], stored["media"]["channels"]) == ("STOPPED", 2)
    whole = audio(pair.at_one, identity)
    assert audio(pair.at_other, identity) == whole
    assert decode(whole).seconds == pytest.approx(stored["durationMs"] / 1_000, abs=0.05)


def test_a_killed_server_is_reported_as_unreachable_and_finalizes_its_recording_later(pair: Pair) -> None:
    with pair.one.call(60, "--account", ACCOUNT) as call:
        identity = pair.at_other.start(call.id)["plainId"]
        # A fixed time, because a recording without audio is discarded.
        time.sleep(1)
        pair.one.kill()
        # Until its lease expires, the server only does not answer. After that it is known to be unreachable.
        for _ in range(2):
            refused = pair.at_other.mutate("stopRecording", id=identity)
            assert (codes(refused), refused["recording"]) == (["RECORDER_FAILED"], None)
            assert "unreachable" in refused["errors"][0]["message"]
            until(lambda: live(pair.at_other) == [])
        headers = dict(pair.at_other.http.headers)
        url = f"{pair.other.url}/v2/accounts/{ACCOUNT}/channels/{call.id}"
        node = (pair.one.data / "node").read_text().strip()
        for action in ("stop", "mask", "unmask"):
            data = {"module": "record_call", "data": {"action": action}}
            answer = httpx.put(url, headers=headers, json={"data": {"action": "metaflow", "data": data}})
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
            assert (answer.json()["message"], node in answer.text) == ("recorder_unreachable", True)
            assert "datastore" not in answer.text
    assert pair.at_other.find(identity)["state"] == "RECORDING"
    pair.one.start()
    found = pair.at_other.wait_for(identity, "STORED", "DISCARDED", "FAILED", "LOST")
    assert (found["state"], found["endCause"]) == ("STORED", "SERVER_RESTART")
    assert audio(pair.at_other, identity)


def test_one_idempotency_key_at_both_servers_is_applied_once(pair: Pair) -> None:
    with pair.one.call(60, "--account", ACCOUNT) as call:
        until(lambda: live(pair.at_other) == [call.id])
        identity = pair.at_other.start(call.id)["plainId"]
        # A fixed time, because a recording without audio is discarded.
        time.sleep(1)
        pair.at_one.do("stopRecording", id=identity)
    pair.at_one.wait_for(identity, "STORED")
    with ThreadPoolExecutor(8) as pool:
        for action in ("deleteRecording", "restoreRecording"):
            clients = [client for _ in range(4) for client in (pair.at_one, pair.at_other)]
            done = [pool.submit(client.do, action, id=identity, idempotencyKey=action) for client in clients]
            assert len({found.result()["state"] for found in done}) == 1
            word = action.removesuffix("Recording")
            logs = pair.one.log.read_text() + pair.other.log.read_text()
            assert logs.count(f'"event": "{word}"') == 1


def test_a_revocation_counts_at_every_server_within_five_seconds(pair: Pair) -> None:
    key = make_key(pair.one.data, **pair.one.variables)
    urls = [f"{server.url}/graphql" for server in (pair.one, pair.other)]

    def status(url: str) -> int:
        return httpx.post(url, headers={"X-Auth-Token": key}, json={"query": "{ __typename }"}).status_code

    assert [status(url) for url in urls] == [200, 200]
    with (
        StreamCall(pair.one.url, pair.ingest, "one") as one,
        StreamCall(pair.other.url, pair.ingest, "other") as other,
        subscribed(pair.other, key, calls=CALLS) as socket,
    ):
        until(lambda: sorted(live(pair.at_one)) == ["one", "other"])
        assert {following(socket, "calls")["call"]["callId"] for _ in range(2)} == {"one", "other"}
        revoke_all(pair.one.data, **pair.one.variables)
        began = time.monotonic()
        for url in urls:
            until(lambda: status(url) == 401, pause=0.1)  # noqa: B023 - used at once
        assert [one.wait_for_close(), other.wait_for_close(), closed(socket)] == [1008, 1008, 4403]
        # One second more, for a machine under load.
        assert time.monotonic() - began < 6


def test_commands_are_accepted_only_from_servers_of_the_installation(pair: Pair) -> None:
    token = pair.at_one.http.headers["X-Auth-Token"]
    for headers in ({}, {"X-Auth-Token": token}, {"Authorization": f"Bearer {token}"}):
        for server in (pair.one, pair.other):
            answer = httpx.post(f"{server.url}/internal/commands", headers=headers, content=b"x" * 300_000)
            assert answer.status_code == 401
    assert httpx.get(f"{pair.one.url}/internal/commands").status_code == 405
