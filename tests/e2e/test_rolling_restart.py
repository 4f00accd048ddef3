"""Three servers behind nginx with the file in deploy/: a restart loses no request and cuts no call."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple, Self

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.e2e.installation import make_account, make_ingest
from tests.e2e.live_socket import following, subscribed
from tests.e2e.server import Client, Server, until
from tests.e2e.stream_call import StreamCall
from tests.servers.balancer import start_balancer

CALL = "a long call"
AMEND = "mutation($input: UpdateRecordingInput!) { updateRecording(input: $input) { recording { revision } } }"
COUNT = "{ viewer { account { recordings(first: 1) { nodes { plainId } } } } }"


class Cluster(NamedTuple):
    """The servers, the URL of nginx, and a client that uses nginx."""

    servers: list[Server]
    url: str
    client: Client
    ingest: str


@pytest.fixture
def cluster(tmp_path: Path, mongodb_uri: str, mongodb_database: str) -> Iterator[Cluster]:
    variables = {
        "RECORDINGS_MONGODB": mongodb_uri.replace("/?", f"/{mongodb_database}?"),
        "RECORDINGS_MEDIA": f"file://{tmp_path}/audio",
        "RECORDINGS_KEY_FILE": f"{tmp_path}/secret.key",
        "RECORDINGS_DRAIN_SECONDS": "1",
        "RECORDINGS_DRAIN_CALL_SECONDS": "30",
    }
    servers = [Server(tmp_path / name, **variables) for name in ("one", "two", "three")]
    folder = tmp_path / "nginx"
    folder.mkdir()
    with ExitStack() as stack:
        for server in servers:
            stack.push(server.__exit__)
            server.variables["RECORDINGS_PEER_URL"] = server.url
            server.launch()
        token = make_account(tmp_path / "one", **variables)
        ingest = make_ingest(tmp_path / "one", **variables)
        for server in servers:
            server.wait_until_ready()
        balancer = start_balancer(folder, [server.port for server in servers])
        stack.callback(balancer.process.stop)
        client = Client(balancer.url, token)
        stack.callback(client.http.close)
        yield Cluster(servers, balancer.url, client, ingest)


class Load:
    """Requests in threads, until the end of the block. `failures` has each response that is no success."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._over = threading.Event()
        self.failures: list[str] = []
        self.done = 0
        self._threads = [
            threading.Thread(target=self._repeat, args=(request,), daemon=True)
            for request in (self._query, self._query, self._list, self._upload)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _repeat(self, request: Callable[[httpx.Client, int], httpx.Response]) -> None:
        headers = dict(self._cluster.client.http.headers)
        with httpx.Client(base_url=self._cluster.url, headers=headers, timeout=30) as client:
            number = 0
            while not self._over.is_set():
                number += 1
                try:
                    answer = request(client, number)
                except httpx.HTTPError as error:
                    self.failures.append(f"{request.__name__}: {error!r}")
                    continue
                self.done += 1
                if answer.status_code not in {200, 201} or b'"errors"' in answer.content:
                    self.failures.append(f"{request.__name__}: {answer.status_code} {answer.text[:200]}")
                time.sleep(0.01)

    def _query(self, client: httpx.Client, _number: int) -> httpx.Response:
        return client.post("/graphql", json={"query": COUNT})

    def _list(self, client: httpx.Client, _number: int) -> httpx.Response:
        return client.get("/healthz")

    def _upload(self, client: httpx.Client, number: int) -> httpx.Response:
        name = f"call_recording_{number}.mp3?call_id={number}"
        return client.put(f"{self._cluster.ingest}/{name}", content=b"RIFF" + bytes(2_000) + str(number).encode())


class Follower:
    """Amends a recording, and follows its changes through nginx, until the end of the block.

    One client gets server-sent events, and connects again with `Last-Event-ID` whenever the stream ends, as
    `EventSource` does. Another one has a WebSocket, and subscribes again with the last cursor.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        call = f"{cluster.ingest}/call_recording_followed.mp3?call_id=followed"
        assert cluster.client.http.put(call, content=b"RIFF" + bytes(2_000)).status_code in {200, 201}
        (self._recording,) = cluster.client.ids()
        self._over = threading.Event()
        feed = cluster.client.graphql('{ recordingEvents(first: 1, since: "now") { cursor } }')["recordingEvents"]
        self._last_id = self._cursor = feed["cursor"]
        self.amended: list[int] = []
        self.followed: list[int] = []
        self.over_sockets: list[int] = []
        self.codes: list[int] = []
        """The codes with which the servers closed the sockets."""
        work = (self._follow, self._follow_over_sockets, self._amend)
        self._threads = [threading.Thread(target=each, daemon=True) for each in work]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _amend(self) -> None:
        with httpx.Client(base_url=self._cluster.url, headers=self._cluster.client.http.headers, timeout=30) as http:
            while not self._over.is_set():
                variables = {"input": {"id": self._recording, "label": str(len(self.amended))}}
                answer = http.post("/graphql", json={"query": AMEND, "variables": variables}).json()
                self.amended.append(answer["data"]["updateRecording"]["recording"]["revision"])
                time.sleep(0.2)

    def _follow(self) -> None:
        query = self._query("")
        while self.followed[-1:] != self.amended[-1:] or not self._over.is_set():
            own = {"accept": "text/event-stream", "last-event-id": self._last_id}
            headers = {**self._cluster.client.http.headers, **own}
            with (
                # A client that gets nothing for a second subscribes again, too.
                suppress(httpx.ReadTimeout),
                httpx.Client(base_url=self._cluster.url, timeout=1) as http,
                http.stream("POST", "/graphql", json={"query": query}, headers=headers) as stream,
            ):
                if stream.status_code == 200:
                    self._read(stream)
            time.sleep(0.05)

    def _query(self, since: str) -> str:
        wanted = f'{{ types: [AMENDED], recordingId: "{self._recording}" }}'
        return f"subscription {{ recordingChanged(filter: {wanted}{since}) {{ cursor event {{ revision }} }} }}"

    def _follow_over_sockets(self) -> None:
        token = self._cluster.client.http.headers["x-auth-token"]
        while self.over_sockets[-1:] != self.amended[-1:] or not self._over.is_set():
            try:
                with subscribed(self._cluster.url, token, a=self._query(f', since: "{self._cursor}"')) as socket:
                    while True:
                        item = following(socket, "a", seconds=1)
                        self._cursor = item["cursor"]
                        self.over_sockets.append(item["event"]["revision"])
            except ConnectionClosed as closed:
                self.codes.append(1006 if closed.rcvd is None else closed.rcvd.code)
            except (InvalidHandshake, OSError, TimeoutError):
                # A client that gets nothing for a second subscribes again, too.
                pass
            time.sleep(0.05)

    def _read(self, stream: httpx.Response) -> None:
        for line in stream.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                self._last_id = value
            elif name == "data" and value:
                self.followed.append(json.loads(value)["data"]["recordingChanged"]["event"]["revision"])


def receiver_of(cluster: Cluster, call_id: str) -> Server:
    """Return the server that receives a call."""
    query = "{ viewer { account { calls(first: 100) { nodes { callId node } } } } }"
    calls = cluster.client.graphql(query)["viewer"]["account"]["calls"]["nodes"]
    (node,) = [call["node"] for call in calls if call["callId"] == call_id]
    (found,) = [server for server in cluster.servers if (server.data / "node").read_text().strip() == node]
    return found


@pytest.mark.event_bar(4)
def test_a_rolling_restart_loses_no_request_and_cuts_no_call(cluster: Cluster) -> None:
    with Follower(cluster) as follower, Load(cluster) as load:
        for number, server in enumerate(cluster.servers):
            assert server.stop() == 0
            if number == 0:
                time.sleep(1)
            server.start()
            time.sleep(2.5)
    assert load.failures == []
    assert load.done > 100
    assert follower.followed == follower.amended
    assert follower.over_sockets == follower.amended
    assert set(follower.codes) <= {1012}
    assert len(follower.followed) > 30
    assert not [server for server in cluster.servers if "request failed" in server.log.read_text()]


def test_a_call_goes_on_while_its_server_drains(cluster: Cluster) -> None:
    with StreamCall(cluster.url, cluster.ingest, CALL) as call:
        identity = cluster.client.start(CALL)["plainId"]
        server = receiver_of(cluster, CALL)
        assert server.process is not None
        stopped: list[int] = []
        stopping = threading.Thread(target=lambda: stopped.append(server.stop()))
        stopping.start()
        until(lambda: httpx.get(f"{server.url}/readyz").status_code == 503)
        assert "drain" in httpx.get(f"{server.url}/readyz").text
        # A new call gets another server, and the old call is still recorded and controlled.
        for number in range(6):
            with StreamCall(cluster.url, cluster.ingest, f"new {number}") as new:
                other = cluster.client.start(new.call_id)["plainId"]
                assert receiver_of(cluster, new.call_id) is not server
                cluster.client.do("stopRecording", id=other)
                assert new.is_open
        assert cluster.client.do("maskRecording", id=identity)["state"] == "MASKED"
        assert cluster.client.do("unmaskRecording", id=identity)["state"] == "RECORDING"
        assert (call.is_open, stopped) == (True, [])
    stopping.join(30)
    assert stopped == [0]
    server.start()
    assert cluster.client.wait_for(identity, "STORED")["endCause"] == "HANGUP"
