"""A rotation of the installation's key while servers run: nothing that was signed before ends, and nothing restarts."""

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import httpx
import jwt

from adapters.recorders.dialects.twilio_signature import signature
from tests.adapters.audio.made_files import make
from tests.e2e.installation import ACCOUNT, make_account, make_ingest
from tests.e2e.pair import Pair, codes, live
from tests.e2e.server import SECONDS, Server, command, until
from tests.e2e.stream_call import StreamCall
from tests.servers.free_ports import free_port

LIST = "query List($after: String) { viewer { account { recordings(first: 1, after: $after) {%s} } } }"
CURSORS = LIST % "edges { cursor } "
APPLIES_SECONDS = 5.0


def test_a_rotation_interrupts_nothing(tmp_path: Path) -> None:
    with Server(tmp_path / "data").start() as server:
        token, ingest = make_account(server.data), make_ingest(server.data)
        client = server.client(token)
        body = make("w01_plain.wav", tmp_path).read_bytes()
        identity = client.http.put(f"{ingest}/call_recording_before.wav?call_id=before", content=body).json()["id"]
        media = client.wait_for(identity, "STORED")["media"]["url"]
        cursor = client.graphql(CURSORS)["viewer"]["account"]["recordings"]["edges"][0]["cursor"]
        session = httpx.get(f"{server.url}/v2/token_auth", headers={"X-Auth-Token": token})
        assert session.status_code == 200
        with StreamCall(server.url, ingest, "during") as call:
            until(lambda: live(client) == ["during"])
            recorded = client.start("during")["plainId"]
            rotated = command("key", "rotate-installation", data=server.data)
            assert rotated.returncode == 0, rotated.stderr
            keys = [json.loads(line) for line in rotated.stdout.splitlines()]
            assert [key["signs"] for key in keys] == [False, True]
            # A token of the new key is accepted at once, and the server itself soon signs with it.
            new = command("token", "--account", ACCOUNT, data=server.data).stdout.strip()
            assert jwt.get_unverified_header(new)["kid"] == keys[1]["id"]
            assert server.client(new).find(recorded)["state"] == "RECORDING"
            until(lambda: "installation key changed" in server.log.read_text(), seconds=APPLIES_SECONDS)
            assert client.do("stopRecording", id=recorded)["state"] == "FINALIZING"
            assert call.is_open
        client.wait_for(recorded, "STORED", "DISCARDED")
        assert httpx.get(f"{server.url}{httpx.URL(media).raw_path.decode()}").status_code == 200
        # The recording of the cursor is the oldest one, so no other follows. An invalid cursor is an error.
        found = client.graphql(LIST % "nodes { plainId }", after=cursor)["viewer"]["account"]["recordings"]
        assert found["nodes"] == []
        assert httpx.get(f"{server.url}/v2/token_auth", headers={"X-Auth-Token": token}).status_code == 200
        assert command("key", "drop-installation", "--yes", keys[0]["id"], data=server.data).returncode == 0
        until(lambda: _status(server, token) == 401, seconds=APPLIES_SECONDS)
        assert _status(server, new) == 200
        assert server.client(new).http.get(media).status_code == 401


def test_streams_need_the_signature_of_twilio_after_the_token_is_set(tmp_path: Path) -> None:
    with Server(tmp_path / "data").start() as server:
        token, ingest = make_account(server.data), make_ingest(server.data)
        client = server.client(token)
        words = ("account", "twilio-token", "set", ACCOUNT, "--token", "my-auth-token")
        assert _run(server, *words).returncode == 0
        with StreamCall(server.url, ingest, "unsigned") as call:
            assert call.wait_for_close() == 1006
        url = f"{server.url.replace('http', 'wss', 1)}{ingest}/ws"
        signed = StreamCall(server.url, ingest, "signed")
        signed.headers = {"X-Twilio-Signature": signature(url, "my-auth-token")}
        with signed:
            until(lambda: live(client) == ["signed"])
        log = server.log.read_text()
        assert "stream refused" in log
        assert "my-auth-token" not in log
        assert ingest.rsplit("/", 1)[1] not in log


def _run(server: Server, *words: str) -> "subprocess.CompletedProcess[str]":
    return command(*words, data=server.data, prepare=(), seconds=SECONDS, **server.variables)


def _has_line(log: Path, text: str) -> bool:
    return text in log.read_text()


def _status(server: Server, token: str) -> int:
    return httpx.get(f"{server.url}/v2/token_auth", headers={"X-Auth-Token": token}).status_code


def test_servers_with_copies_of_the_key_sign_with_the_new_one_when_all_have_it(pair: Pair) -> None:
    shared, copy = pair.one.data.parent / "secret.key", pair.one.data.parent / "copy.key"
    shutil.copy(shared, copy)
    assert pair.other.stop() == 0
    pair.other.variables["RECORDINGS_KEY_FILE"] = str(copy)
    pair.other.start()
    refused = _run(pair.one, "key", "rotate-installation")
    assert refused.returncode == 1
    node = (pair.other.data / "node").read_text().strip()
    assert f"these servers do not have it: {node}" in refused.stderr
    assert [json.loads(line)["signs"] for line in refused.stdout.splitlines()] == [True, False]
    shutil.copy(shared, copy)
    rotated = _run(pair.one, "key", "rotate-installation")
    assert rotated.returncode == 0, rotated.stderr
    keys = [json.loads(line) for line in rotated.stdout.splitlines()]
    assert [key["signs"] for key in keys] == [False, True]
    for log in (pair.one.log, pair.other.log):
        until(partial(_has_line, log, f'"signing": "{keys[1]["id"]}"'), seconds=APPLIES_SECONDS)
    # Commands between the servers, with a token of the old key.
    with StreamCall(pair.one.url, pair.ingest, "call"):
        until(lambda: live(pair.at_other) == ["call"])
        identity = pair.at_other.start("call")["plainId"]
        assert codes(pair.at_one.mutate("startRecording", callId="call")) == ["ALREADY_RECORDING"]
        assert pair.at_other.do("pauseRecording", id=identity)["state"] == "PAUSED"
    pair.at_one.wait_for(identity, "STORED", "DISCARDED")


def test_a_server_with_a_foreign_key_does_not_start(pair: Pair) -> None:
    folder = pair.one.data.parent
    foreign = folder / "foreign.key"
    made = command("account", "create", "A", data=folder / "alone", RECORDINGS_KEY_FILE=str(foreign))
    assert made.returncode == 0, made.stderr
    third = Server(folder / "third", **pair.one.variables | {"RECORDINGS_KEY_FILE": str(foreign)})
    for words in (("serve", "--port", str(free_port())), ("doctor",)):
        refused = _run(third, *words)
        assert refused.returncode == 1
        assert "does not belong to this metadata store" in refused.stderr
