"""Two servers while MongoDB is frozen: a client gets an answer in time, and the servers go on right after."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.pair import Pair, live, open_pair
from tests.e2e.server import until
from tests.e2e.stream_call import StreamCall
from tests.servers.mongod import Mongod

CALL = "one call"
LIST = "{ viewer { account { recordings(first: 1) { nodes { plainId } } } } }"
STOP = "mutation S($id: ID!) { stopRecording(input: { id: $id }) { errors { __typename } } }"
FREEZE_SECONDS = 12
"""Longer than a lease."""


def test_a_frozen_store(tmp_path: Path, mongod: Mongod) -> None:
    with open_pair(tmp_path, mongod.uri.replace("/?", "/frozen?")) as pair, open_call(pair) as (call, identity):
        mongod.freeze()
        try:
            frozen = time.monotonic()
            for client in (pair.at_one, pair.at_other):
                for query, variables in ((LIST, {}), (STOP, {"id": identity})):
                    began = time.monotonic()
                    answer = client.http.post("/graphql", json={"query": query, "variables": variables})
                    assert_unavailable(answer)
                    # The operation's limit is ten seconds. Two more, for a machine under load.
                    assert time.monotonic() - began < 12
            time.sleep(max(0.0, FREEZE_SECONDS - (time.monotonic() - frozen)))
        finally:
            mongod.thaw()
        # The leases of both servers are over, but each of them still records.
        assert until(lambda: mask(pair, identity), seconds=20) == "MASKED"
        assert call.is_open
        assert pair.at_other.do("unmaskRecording", id=identity)["state"] == "RECORDING"
        assert pair.at_other.do("stopRecording", id=identity)["state"] == "FINALIZING"
        pair.at_other.wait_for(identity, "STORED")
        until(lambda: live(pair.at_other) == [CALL])


def mask(pair: Pair, identity: str) -> str | None:
    """Mask through the other server. MongoDB elects a primary first."""
    query = "mutation M($id: ID!) { maskRecording(input: { id: $id }) { recording { state } errors { __typename } } }"
    answer = pair.at_other.http.post("/graphql", json={"query": query, "variables": {"id": identity}}).json()
    if any(error["extensions"]["code"] == "UNAVAILABLE" for error in answer.get("errors", ())):
        return None
    payload = answer["data"]["maskRecording"]
    assert payload["errors"] == []
    return str(payload["recording"]["state"])


def assert_unavailable(answer: httpx.Response) -> None:
    body: Any = answer.json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAVAILABLE"], body
    assert answer.headers["retry-after"] == "10"


@contextmanager
def open_call(pair: Pair) -> Iterator[tuple[StreamCall, str]]:
    """Stream a call to the first server and record it. Yield the stream and the id of the recording."""
    with StreamCall(pair.one.url, pair.ingest, CALL) as stream:
        yield stream, str(pair.at_other.start(CALL)["plainId"])
