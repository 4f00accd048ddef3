"""A clock that jumps ahead and back ends nothing, and leaves no trace after a restart."""

import asyncio
import socket
import time
from pathlib import Path

import httpx

from graph.services import open_services
from graph.settings import load
from recordings.model.instants import DAY, MINUTE, SECOND
from tests.e2e.installation import make_account, make_ingest, make_key
from tests.e2e.server import Server, until
from tests.e2e.sound import decode, wav
from tests.e2e.stream_call import StreamCall

CALL = "one call"
JUMP_SECONDS = 40 * 86_400
"""Longer than the trash window, and than the limits of takes and uploads."""


class JumpingServer(Server):
    """A server whose clock a test can move."""

    def __init__(self, data: Path, *options: str) -> None:
        super().__init__(data, *options)
        self._ahead = data.with_name("ahead")
        self.move_clock(0)

    def start(self) -> "JumpingServer":
        self.launch(prepare=("tests.e2e.shifted_clock:follow", str(self._ahead)))
        self.wait_until_ready()
        return self

    def move_clock(self, seconds: int) -> None:
        draft = self._ahead.with_suffix(".draft")
        draft.write_text(str(seconds))
        draft.rename(self._ahead)


def test_a_jump_ends_neither_a_take_nor_an_upload(data: Path) -> None:
    body = wav(seconds=2)
    with JumpingServer(data) as server:
        make_account(data)
        client, ingest = server.client(make_key(data)), make_ingest(data)
        address = f"{ingest}/call_recording_{{0}}.wav?call_id={{0}}"
        deleted = httpx.put(f"{server.url}{address.format('old')}", content=wav(seconds=1), timeout=30).json()["id"]
        client.wait_for(deleted, "STORED")
        client.do("deleteRecording", id=deleted)
        with (
            StreamCall(server.url, ingest, CALL) as call,
            socket.create_connection(("127.0.0.1", server.port)) as sender,
        ):
            taken = client.start(CALL, format="WAV")["plainId"]
            began = time.monotonic()
            head = f"PUT {address.format('new')} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            sender.sendall(head.encode() + body[: len(body) // 2])
            uploaded = until(lambda: next(iter(set(client.ids()) - {taken}), None))
            client.do("maskRecording", id=taken)
            server.move_clock(JUMP_SECONDS)
            # The purge shows that the server has examined everything that was due by its clock.
            until(lambda: client.find(deleted) is None)
            assert (client.find(taken)["state"], client.find(uploaded)["state"]) == ("MASKED", "RECORDING")
            (span,) = client.do("unmaskRecording", id=taken)["spans"]
            server.move_clock(0)
            sender.sendall(body[len(body) // 2 :])
            assert b"201 Created" in sender.recv(4_096)
            assert client.wait_for(uploaded, "STORED")["durationMs"] == 2_000
            assert call.is_open
            client.do("stopRecording", id=taken)
            lasted = (time.monotonic() - began) * SECOND
        stored = client.wait_for(taken, "STORED")
        sound = decode(client.http.get(stored["media"]["url"]).raise_for_status().content)
        assert 0 < stored["durationMs"] < lasted + SECOND
        assert abs(sound.seconds * SECOND - stored["durationMs"]) < 100
        assert 0 < span["durationMs"] < lasted


def test_a_restart_with_the_correct_clock_repairs_what_a_wrong_clock_has_set(data: Path) -> None:
    server = JumpingServer(data, "--trash-days", "1")
    server.move_clock(JUMP_SECONDS)
    with server:
        make_account(data)
        ingest = make_ingest(data)
        address = f"{server.url}{ingest}/call_recording_a.wav?call_id=a"
        identity = httpx.put(address, content=wav(seconds=1), timeout=30).json()["id"]
        client = server.client(make_key(data))
        client.wait_for(identity, "STORED")
        client.do("deleteRecording", id=identity)
        assert due_in(data, identity) > 40 * DAY
        assert server.stop() == 0
        server.move_clock(0)
        server.start()
        until(lambda: due_in(data, identity) < DAY + MINUTE)


def due_in(data: Path, identity: str) -> int:
    """Return the time until the next background step of a recording, in milliseconds."""

    async def load_due_at() -> int:
        async with open_services(load({}, {"data": str(data)})) as services:
            found = await services.store.load(identity)
            assert found is not None
            return (found.due_at or 0) - services.clock.now()

    return asyncio.run(load_due_at())
