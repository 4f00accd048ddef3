"""Two servers with different clocks: within the allowed half minute, and beyond it."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.installation import ACCOUNT, make_key
from tests.e2e.pair import Pair, live, open_pair
from tests.e2e.server import until
from tests.e2e.stream_call import StreamCall

CALL = "one call"
TIMES = "query Q($id: ID!) { recording(id: $id) { start created ended } }"
STATES = "{ viewer { account { recordings(first: 10) { nodes { state } } } } }"

DIFFERS = r"differs by (39|40|41) s"
"""A busy machine measures the difference up to a second wrong."""


@contextmanager
def opened(folder: Path, uri: str, database: str, ahead: int) -> Iterator[Pair]:
    with open_pair(folder, uri.replace("/?", f"/{database}?"), ahead) as pair:
        yield pair


def login(pair: Pair, url: str) -> str:
    """Return a new token that this server has issued for an API key."""
    key = make_key(pair.one.data, **pair.one.variables)
    answer = httpx.put(f"{url}/v2/api_auth", json={"data": {"api_key": key}}, timeout=30)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["auth_token"])


def status(url: str, token: str) -> int:
    return httpx.get(f"{url}/v2/accounts/{ACCOUNT}/recordings", headers={"X-Auth-Token": token}).status_code


@pytest.mark.parametrize("ahead", [25, -25])
def test_half_a_minute_is_tolerated(tmp_path: Path, mongodb_uri: str, mongodb_database: str, ahead: int) -> None:
    with opened(tmp_path, mongodb_uri, mongodb_database, ahead) as pair:
        for issuer in (pair.one.url, pair.other.url):
            token = login(pair, issuer)
            assert [status(url, token) for url in (pair.one.url, pair.other.url)] == [200, 200]
        for server, through, stopped in (
            (pair.one, pair.at_other, pair.at_other),
            (pair.other, pair.at_one, pair.at_one),
            (pair.other, pair.at_other, pair.at_one),
        ):
            with StreamCall(server.url, pair.ingest, CALL):
                until(lambda: live(pair.at_one) == live(pair.at_other) == [CALL])
                identity = through.start(CALL)["plainId"]
                # A fixed time, because a recording without audio is discarded.
                time.sleep(1)
                stopped.do("stopRecording", id=identity)
            pair.at_one.wait_for(identity, "STORED")
            times = pair.at_one.graphql(TIMES, id=identity)["recording"]
            assert times["created"] <= times["start"] <= times["ended"], times
            until(lambda: live(pair.at_one) == live(pair.at_other) == [])
        for server in (pair.one, pair.other):
            assert "clock" not in httpx.get(f"{server.url}/readyz").text


def test_a_larger_difference_is_named_and_makes_no_failed_recording(
    tmp_path: Path, mongodb_uri: str, mongodb_database: str
) -> None:
    with opened(tmp_path, mongodb_uri, mongodb_database, 40) as pair:
        problem = httpx.get(f"{pair.other.url}/readyz").json()["warnings"]["clock"]
        assert re.match(rf"this server's clock {DIFFERS}", problem)
        assert re.search(rf"this server's clock {DIFFERS}", pair.other.log.read_text())
        assert "clock" not in httpx.get(f"{pair.one.url}/readyz").text
        token = login(pair, pair.other.url)
        url, document = f"{pair.one.url}/graphql", {"query": "{ __typename }"}
        refused = httpx.post(url, headers={"X-Auth-Token": token}, json=document)
        assert refused.status_code == 401
        assert "this server's clock differs" in refused.text
        for server, through in ((pair.one, pair.at_other), (pair.other, pair.at_one)):
            with StreamCall(server.url, pair.ingest, CALL):
                until(lambda: live(pair.at_one) == live(pair.at_other) == [CALL])
                payload = through.mutate("startRecording", callId=CALL)
                assert [error["code"] for error in payload["errors"]] == ["RECORDER_FAILED"]
                assert re.search(DIFFERS, payload["errors"][0]["message"])
            until(lambda: live(pair.at_one) == live(pair.at_other) == [])
        assert pair.at_one.graphql(STATES)["viewer"]["account"]["recordings"]["nodes"] == []
