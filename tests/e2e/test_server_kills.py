"""Recordings after the server was stopped or killed."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.installation import ACCOUNT, make_account, make_ingest
from tests.e2e.pair import live
from tests.e2e.server import SECONDS, Server, command, until
from tests.e2e.sound import decode, wav
from tests.e2e.stream_call import StreamCall
from tests.faults.killed_process import Control
from tests.servers.free_ports import free_port


def test_a_kill_during_a_recording_loses_no_recorded_audio(data: Path) -> None:
    with Server(data) as server:
        client = server.client(make_account(data))
        with server.call(60, "--account", ACCOUNT) as call:
            identity = client.start(call.id, format="WAV")["plainId"]
            time.sleep(2)
            server.kill()
            # The call process ends with an error, because its server is gone.
            assert call.process.wait(SECONDS) == 1
        server.start()
        stored = client.wait_for(identity, "STORED")
        assert stored["endCause"] == "SERVER_RESTART"
        sound = decode(client.http.get(stored["media"]["url"]).content)
        assert 1.5 < sound.seconds < 6
        assert max(sound.loudness(channel, 0, sound.seconds) for channel in (0, 1)) > 0.01


def test_a_stop_during_a_recording_ends_it_as_shutdown(data: Path) -> None:
    with Server(data) as server:
        client = server.client(make_account(data))
        with server.call(60, "--account", ACCOUNT) as call:
            identity = client.start(call.id)["plainId"]
            time.sleep(1)
            assert server.stop() == 0
        # The finalizer stored the recording before the stop, or the next process does it.
        server.launch_unforked()
        server.wait_until_ready()
        stored = client.wait_for(identity, "STORED")
        assert stored["endCause"] == "SHUTDOWN"
        assert stored["durationMs"] > 500


def test_an_upload_is_repeated_after_a_kill(data: Path) -> None:
    body = wav(seconds=2)
    with Server(data) as server:
        client = server.client(make_account(data))
        path = f"{make_ingest(data)}/call_recording_abc@10.0.0.1.wav?call_id=abc%4010.0.0.1"
        with socket.create_connection(("127.0.0.1", server.port)) as sender:
            head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            sender.sendall(head.encode() + body[: len(body) // 2])
            until(lambda: _spooled(data) >= len(body) // 2)
            server.kill()
        server.start()
        (identity,) = client.ids()
        failed = client.find(identity)
        assert (failed["state"], failed["reason"]) == ("FAILED", "INCOMPLETE")
        again = httpx.put(f"{server.url}{path}", content=body, timeout=30)
        assert (again.status_code, again.json()["id"]) == (201, identity)
        stored = client.wait_for(identity, "STORED")
        assert (stored["endCause"], stored["durationMs"]) == ("RECEIVED", 2_000)
        assert client.http.get(stored["media"]["url"]).content == body
        assert httpx.put(f"{server.url}{path}", content=body, timeout=30).json()["id"] == identity
        others = {found["reason"] for other in client.ids() if (found := client.find(other))["plainId"] != identity}
        assert others == {"DUPLICATE"}


def test_a_start_that_the_server_did_not_survive_is_tried_again_with_its_key(tmp_path: Path, data: Path) -> None:
    control = Control(tmp_path)
    server = Server(data)
    server.launch(prepare=("tests.faults.killed_process:arm", str(tmp_path)))
    with ExitStack() as stack:
        stack.push(server.__exit__)
        server.wait_until_ready()
        client, ingest = server.client(make_account(data)), make_ingest(data)
        request = {"callId": "a call", "idempotencyKey": "k"}
        with StreamCall(server.url, ingest, "a call"):
            until(lambda: live(client))
            control.hold(kill_before_next="store.insert after")
            with pytest.raises(httpx.HTTPError):
                client.mutate("startRecording", **request)
        server.start()
        (first,) = client.ids()
        with StreamCall(server.url, ingest, "a call"):
            second = until(lambda: client.mutate("startRecording", **request)["recording"])
            assert (second["state"], second["plainId"] == first) == ("RECORDING", False)
            assert client.do("startRecording", **request)["plainId"] == second["plainId"]
        assert client.find(first)["reason"] == "NEVER_STARTED"


def test_a_second_server_on_the_same_data_does_not_start(data: Path) -> None:
    with Server(data):
        other = command("serve", "--port", str(free_port()), data=data)
        assert other.returncode == 1
        assert "another server uses the data folder" in other.stderr


def test_a_taken_port_is_reported(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = command("serve", "--port", port, data=data)
    assert (answer.returncode, "Traceback" in answer.stderr) == (1, False)
    assert answer.stderr == (
        f"Error: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "choose another address with --host and --port\n"
    )


def test_a_stop_during_the_start_is_clean(data: Path) -> None:
    unreachable = f"mongodb://127.0.0.1:{free_port()}/x?serverSelectionTimeoutMS=300000"
    server = Server(data, "--mongodb", unreachable)
    server.launch_unforked()
    try:
        # The server creates this file right before it opens the store, which is unreachable.
        until((data / "node").exists)
        assert server.stop() == 0
        assert server.log.read_text() == ""
    finally:
        server.kill()


def test_a_server_whose_spool_cannot_be_written_is_not_ready(data: Path) -> None:
    with Server(data) as server:
        spool = data / "spool"
        spool.rename(data / "gone")
        spool.write_bytes(b"")
        failing = httpx.get(f"{server.url}/readyz")
        assert (failing.status_code, failing.json()["parts"]["spool"]) == (503, "failing")
        spool.unlink()
        assert httpx.get(f"{server.url}/readyz").json()["status"] == "ready"


def _spooled(data: Path) -> int:
    return sum(path.stat().st_size for path in data.glob("spool/*/body.*"))
