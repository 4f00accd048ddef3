"""Two workers behind one port: control through any of them, and the death of one."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.e2e.installation import make_account, make_ingest
from tests.e2e.pair import live
from tests.e2e.server import Client, Server, until
from tests.e2e.sound import wav
from tests.e2e.stream_call import StreamCall
from tests.e2e.tenants import upload

CALL = "one call"


class Workers(NamedTuple):
    """A server with two workers, and a client of each worker's own address."""

    server: Server
    token: str
    ingest: str

    def started(self) -> list[dict[str, Any]]:
        """Return the log lines of all starts of workers."""
        lines = [json.loads(line) for line in self.server.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == "worker started"]

    def pid(self, number: int) -> int:
        return int([line["pid"] for line in self.started() if line["number"] == number][-1])

    def at(self, number: int) -> Client:
        url = next(line["url"] for line in self.started() if line["number"] == number)
        client = Client(url, self.token)
        self.server.clients.append(client)
        return client


@pytest.fixture(params=["sqlite", "mongodb"])
def workers(request: pytest.FixtureRequest, data: Path) -> Iterator[Workers]:
    variables = {"RECORDINGS_LOG_FORMAT": "json"}
    if request.param == "mongodb":
        uri, name = (request.getfixturevalue(each) for each in ("mongodb_uri", "mongodb_database"))
        variables["RECORDINGS_MONGODB"] = uri.replace("/?", f"/{name}?")
    with Server(data, "--workers", "2", **variables) as server:
        token, ingest = make_account(data, **variables), make_ingest(data, **variables)
        until(lambda: "warnings" not in httpx.get(f"{server.url}/readyz").json())
        yield Workers(server, token, ingest)


def test_a_call_of_one_worker_is_controlled_through_the_other_and_survives_its_death(workers: Workers) -> None:
    one, other = workers.at(1), workers.at(2)
    anyone = workers.server.client(workers.token)
    with StreamCall(str(other.http.base_url).rstrip("/"), workers.ingest, CALL):
        until(lambda: live(one) == [CALL])
        recording = one.start(CALL)["plainId"]
        # Time has to go by: the audio before the death is what the test measures.
        time.sleep(1)
        for name in ("pauseRecording", "resumeRecording", "maskRecording", "unmaskRecording"):
            one.do(name, id=recording)
        assert live(anyone) == live(other) == [CALL]
        dead = workers.pid(2)
        os.kill(dead, signal.SIGKILL)
        # New connections are served meanwhile. The worker that replaces the dead one finalizes its audio.
        anyone = workers.server.client(workers.token)
        found = anyone.wait_for(recording, "STORED")
    assert (found["endCause"], found["reason"]) == ("SERVER_RESTART", None)
    assert found["durationMs"] >= 900
    assert workers.pid(2) != dead
    until(lambda: "warnings" not in anyone.http.get("/readyz").json())

    def send(number: int) -> int:
        return upload(workers.server.port, workers.ingest, f"upload{number}", wav(1))[0]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(send, range(8))) == {201}
    assert until(lambda: len(anyone.ids()) == 9)
    assert workers.server.stop() == 0
    assert "all workers ended" in workers.server.log.read_text()
